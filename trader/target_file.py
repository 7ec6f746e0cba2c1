"""A strategy that a person writes down: a file of target weights, each from a moment on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from hashlib import sha256
from math import isfinite
from pathlib import Path

import yaml

from swarm_core.book import Book
from swarm_core.lineage import ROW_PREFIX, Lineage, is_row
from swarm_core.market import Quote
from swarm_core.trading_state import TradingState
from trader.ports import Intent, Item, Moment
from trader.settings import QUOTE_PATIENCE_NS


@dataclass(frozen=True, slots=True)
class TargetRow:
    """Weights, as fractions of NAV, that the book shall have from `time_ns` on.

    It is a decision: its id is made from its contents, so a row is traded once. A row that comes
    back after another took its place is a decision of its own, `after` that other one.
    """

    time_ns: int
    instrument_ids: tuple[str, ...]
    target_weights: tuple[float, ...]
    after: str = ""

    @property
    def decision_id(self) -> str:
        contents = (self.time_ns, self.instrument_ids, self.target_weights)
        text = repr((*contents, self.after) if self.after else contents)
        return f"{ROW_PREFIX}{sha256(text.encode()).hexdigest()[:16]}"

    def among(self, decided: Sequence[str], was_decided: Callable[[str], bool]) -> "TargetRow":
        """Return the row as it stands after what was decided, the newest decision last.

        `decided` is what is in memory, at least the newest two; `was_decided` knows the others.
        """
        if not decided or self.decision_id == decided[-1]:
            return self
        if len(decided) > 1:
            resumed = replace(self, after=decided[-2])
            if resumed.decision_id == decided[-1]:
                return resumed
        if self.decision_id in decided or was_decided(self.decision_id):
            return replace(self, after=decided[-1])
        return self


def read_targets(path: Path) -> tuple[TargetRow, ...]:
    """Return the rows of a file in the order of their moments.

    The file: `targets:`, a list of `{at: 2020-03-02T14:30:00Z, weights: {US.SPY: 0.5}}`. Raises
    ValueError with one line that says what must hold and what was given.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{path} must be readable YAML: {' '.join(str(error).split())}") from error
    rows = content.get("targets") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise ValueError(f"{path} must hold a list `targets`, was {content!r:.80}")  # noqa: TRY004  # a file raises one kind
    read = [_row(path, number, row) for number, row in enumerate(rows, 1)]
    if len({row.time_ns for row in read}) != len(read):
        raise ValueError(f"{path}: each moment must stand once, one stands twice")
    return tuple(sorted(read, key=lambda row: row.time_ns))


def _row(path: Path, number: int, row: object) -> TargetRow:
    where = f"{path}: target {number}"
    if not isinstance(row, Mapping) or set(row) != {"at", "weights"}:
        raise ValueError(f"{where} must have `at` and `weights`, was {row!r:.80}")
    weights = row["weights"]
    if not isinstance(weights, Mapping) or not weights:
        raise ValueError(f"{where}: weights must map instruments to numbers, was {weights!r:.80}")
    for name, weight in weights.items():
        if not isinstance(name, str):
            raise ValueError(f"{where}: an instrument must be a name, was {name!r}")  # noqa: TRY004  # one kind of error for a file
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not (is_number and isfinite(weight) and abs(weight) <= 10):
            raise ValueError(f"{where}: weight of {name} must be in [-10, 10], was {weight!r}")
    ids = tuple(sorted(weights))
    return TargetRow(_moment(where, row["at"]), ids, tuple(float(weights[n]) for n in ids))


def _moment(where: str, at: object) -> int:
    found = at
    if isinstance(at, str):
        try:
            found = datetime.fromisoformat(at)
        except ValueError:
            found = None
    if isinstance(found, datetime) and found.tzinfo is not None:
        return round(found.timestamp() * 1_000_000) * 1_000
    raise ValueError(f"{where}: at must be a moment in ISO 8601 with its zone, was {at!s}")


class TargetFileEngine:
    """Decides the newest row whose moment has come; a changed file is read again by itself.

    A file that cannot be read keeps the rows that were read before, and is told once. `quotes`
    are the desk's: a row waits, for a while, until each of its instruments has one. `has_retired`
    tells whether a decision was taken and is only in the log any more.
    """

    def __init__(
        self,
        path: Path,
        quotes: Mapping[str, Quote],
        tell: Callable[[str], None] = lambda _: None,
        has_retired: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Read the file; raises ValueError where it does not hold."""
        self.path, self._quotes, self._tell = path, quotes, tell
        self._has_retired = cache(has_retired)  # what is not decided yet is asked for by name
        self._stamp = self._stamped()
        self.rows = read_targets(path)
        self._asked: list[str] = []  # decisions of this process: the log knows the others
        self._first_ns: int | None = None  # when this process first saw the time

    def on_market(self, item: Item, book: Book, time_ns: int) -> Intent | None:
        """Return the row that is due, at the first moment at which it can be traded."""
        # What is decided while trading is halted would be denied, and be lost when it goes on.
        if not isinstance(item, Moment) or book.trading_state is TradingState.HALTED:
            return None
        if self._first_ns is None:
            self._first_ns = time_ns
        self._read_again()
        due = [row for row in self.rows if row.time_ns <= time_ns]
        if not due:
            return None
        decided = [*self._before(book), *self._asked]
        row = due[-1].among(decided, self._has_retired)
        if row.decision_id in self._asked:
            return None
        missing = set(row.instrument_ids) - set(self._quotes)
        since_ns = max(row.time_ns, self._first_ns)  # its moment, or the first look at the market
        if missing and time_ns < since_ns + QUOTE_PATIENCE_NS:
            return None
        self._asked.append(row.decision_id)
        if not decided and self._has_retired(row.decision_id):
            self._tell(
                f"the row of {self.path} that is due was traded long ago: "
                "give it a later `at` to have it traded again"
            )
        return Intent(
            targets=row, lineage=Lineage(decision_id=row.decision_id, session=book.session)
        )

    def _before(self, book: Book) -> list[str]:
        """Return the rows that earlier processes decided, in their order."""
        return [name for name in book.decisions if is_row(name) and name not in self._asked]

    def _stamped(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except OSError:
            return 0, 0
        return found.st_mtime_ns, found.st_size

    def _read_again(self) -> None:
        stamp = self._stamped()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.rows = read_targets(self.path)
        except ValueError as error:
            self._tell(f"the targets stay as they were: {error}")
        else:
            self._tell(f"read {len(self.rows)} targets of {self.path}")
