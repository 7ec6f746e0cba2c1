"""Rows above the cold tier as of a moment: those of a later backup that the restored log names.

What a decision, a session's close or an execution put into tables was written some time after the
event itself. The log says what had happened, so that its events choose the rows, not their tier.
"""

import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import polars as pl

from adapters.backups.repository import BackupRepository, Manifest
from adapters.backups.rolling_tables import added_after
from adapters.backups.server_copies import COPIES, HOT, LOG, WARM
from adapters.stores.envelope import Sealer, SealError, is_sealed
from adapters.stores.event_log_sqlite import SqliteEventLog
from adapters.stores.hot_embedded import EmbeddedHotStore
from adapters.stores.hot_tables import HotTables
from adapters.stores.opening import open_cold, open_hot, open_warm
from adapters.stores.segments import SegmentTier, TierCorruptionError
from adapters.stores.tiered_tables import TieredTables
from adapters.stores.tiers import TierPolicies
from adapters.stores.warm import WarmStore
from features.projections import OrderProjection, instruments_of
from swarm_core import events as ev

# Where the copies of what lies on servers are, see `server_copies`, and what lies in the home.
LOGS = (f"{COPIES}/{LOG}", "warm/events.db")
HOTS, WARMS = (f"{COPIES}/{HOT}", "hot/hot.db"), (f"{COPIES}/{WARM}/", "warm/tables/")
_BY_DECISION = ("decisions", "decision_contributions")
_BY_DECIDED_SESSION = ("trails", "regimes")
_BY_CLOSED_SESSION = ("nav", "positions")
TABLES = (*_BY_DECISION, *_BY_DECIDED_SESSION, *_BY_CLOSED_SESSION)


@dataclass(frozen=True, slots=True)
class RowsRolled:
    """How many rows were added, and which sessions the log closes but no backup has rows of."""

    added: Mapping[str, int] = field(default_factory=dict[str, int])
    without_rows: tuple[str, ...] = ()


@dataclass(slots=True)
class _Told:
    """What a log says has happened."""

    decisions: set[str] = field(default_factory=set[str])
    decided: set[str] = field(default_factory=set[str])
    closed: set[str] = field(default_factory=set[str])

    @classmethod
    def by(cls, events: Iterable[ev.RecordedEvent]) -> "_Told":
        told = cls()
        for event in (recorded.event for recorded in events):
            if isinstance(event, ev.DecisionTaken):
                told.decisions.add(event.lineage.decision_id)
                told.decided.add(event.lineage.session)
            elif isinstance(event, ev.SessionClosed):
                told.closed.add(event.session)
        return told

    def choose(self, table: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of what has happened."""
        if table in _BY_DECISION:
            return rows.filter(pl.col("decision_id").is_in(list(self.decisions)))
        sessions = self.decided if table in _BY_DECIDED_SESSION else self.closed
        return rows.filter(pl.col("session").dt.to_string().is_in(list(sessions)))


def roll_rows(
    home: Path,
    repository: BackupRepository,
    later: Manifest,
    log: SqliteEventLog,
    after: int,
    sealer: Sealer | None = None,
) -> RowsRolled:
    """Add to a restored home the rows of `later` that its log, from record `after` on, names.

    Orders and fills are read off the log itself. Raises SealError where the cold tier is sealed
    and the sealer does not open it.
    """
    _require_key(home, sealer)
    hot = open_hot(home, None)
    with closing(hot), tempfile.TemporaryDirectory(prefix=".rows-", dir=home) as folder:
        cold = open_cold(home, None, sealer=sealer)
        rows = TieredTables(hot, open_warm(home, None, None, 1.0), cold, TierPolicies())
        told, before = _Told.by(log.read()), _counts(HotTables(hot))
        newly = _Told.by(log.read(after)).closed
        # A backup in the middle of a run has the log, and one after it the rows.
        for number, source in enumerate(_with_rows(repository, later, log, Path(folder))):
            held = _Later(repository, source, Path(folder) / str(number), sealer)
            for table in TABLES:
                for frame in held.rows(home, table):
                    rows.write(table, told.choose(table, frame))
            if not newly - _sessions(rows):
                break
        for table, frame in _projected(rows, log).items():
            rows.write(table, frame)
        added = {t: n - before.get(t, 0) for t, n in _counts(HotTables(hot)).items()}
        return RowsRolled(added, tuple(sorted(newly - _sessions(rows))))


def _with_rows(
    repository: BackupRepository, later: Manifest, log: SqliteEventLog, folder: Path
) -> Iterator[Manifest]:
    """Yield backups that may hold rows of the log: the later one, and the newest if it goes on."""
    yield later
    newest = repository.read(repository.names()[-1])
    name = next((f.path for f in newest.files if f.path in LOGS), None)
    if newest.name == later.name or name is None:
        return
    repository.extract(newest, name, folder / "events.db")
    with closing(SqliteEventLog(folder / "events.db")) as ahead:
        last = log.last_sequence()
        goes_on = ahead.last_sequence() >= last and ahead.hash_at(last) == log.hash_at(last)
    if goes_on:
        yield newest


class _Later:
    """The rows of a later backup: of its hot and warm segments, and of its cold commits."""

    def __init__(
        self, repository: BackupRepository, later: Manifest, folder: Path, sealer: Sealer | None
    ) -> None:
        self._repository, self._later = repository, later
        self._folder, self._sealer = folder, sealer
        self._held = [file.path for file in later.files]
        self._hots = [self._brought(name, f"hot{n}.db") for n, name in enumerate(HOTS)]

    def _brought(self, name: str, target: str) -> Path | None:
        if name not in self._held:
            return None
        self._repository.extract(self._later, name, self._folder / target)
        return self._folder / target

    def rows(self, home: Path, table: str) -> Iterator[pl.DataFrame]:
        """Yield rows of a table; those of the cold tier that the home has no version of."""
        for path in filter(None, self._hots):
            with closing(EmbeddedHotStore(path)) as store:
                yield from _segments(HotTables(store), table)
        for prefix in WARMS:
            for name in [n for n in self._held if n.startswith(f"{prefix}{table}/")]:
                self._brought(name, f"warm/{table}/{Path(name).name}")
        yield from _segments(WarmStore(self._folder / "warm"), table)
        for name in added_after(home, self._repository, self._later, table):
            file = self._brought(name, "file.parquet")
            if file is not None:  # what a vacuum has taken since is within what replaced it
                yield self._opened(file.read_bytes(), name.partition("cold/")[2])

    def _opened(self, content: bytes, path: str) -> pl.DataFrame:
        if is_sealed(content):
            if self._sealer is None:
                raise SealError(f"{path} must be opened with its owner's key, none is set")
            content = self._sealer.open(content, path)
        try:
            return pl.read_parquet(io.BytesIO(content))
        except pl.exceptions.PolarsError as error:
            raise TierCorruptionError(f"{path} must be a Parquet file: {error}") from error


def _segments(tier: SegmentTier, table: str) -> Iterator[pl.DataFrame]:
    for segment in tier.segments(table):
        yield tier.read_segment(segment)


def _counts(hot: HotTables) -> dict[str, int]:
    return {t: sum(s.row_count for s in hot.segments(t)) for t in hot.tables()}


def _projected(rows: TieredTables, log: SqliteEventLog) -> dict[str, pl.DataFrame]:
    """Return the orders and fills of the log that the tables do not have, or not as they stand."""
    if not rows.exists("instruments"):
        return {}
    read = OrderProjection(instruments_of(rows.read("instruments"))).apply_all(log.read())
    found = {"orders": (read.orders(), "order_id"), "fills": (read.fills(), "fill_id")}
    return {t: _newer(rows, t, frame, key) for t, (frame, key) in found.items()}


def _newer(rows: TieredTables, table: str, frame: pl.DataFrame, key: str) -> pl.DataFrame:
    if frame.is_empty() or not rows.exists(table):
        return frame
    known = rows.read(table, columns=[key, "knowledge_time"])
    return (
        frame.join(known, on=key, how="left", suffix="_before", maintain_order="left")
        .filter(
            pl.col("knowledge_time_before").is_null()
            | (pl.col("knowledge_time_before") < pl.col("knowledge_time"))
        )
        .drop("knowledge_time_before")
    )


def _sessions(rows: TieredTables) -> set[str]:
    if not rows.exists("nav"):
        return set()
    return set(rows.read("nav", columns=["session"])["session"].dt.to_string().to_list())


def _require_key(home: Path, sealer: Sealer | None) -> None:
    """Raise SealError where a table of the cold tier is sealed and nothing opens it."""
    if sealer is not None:
        return
    for table in (*TABLES, "orders", "fills", "instruments"):
        for file in islice((home / "cold" / table).glob("*/*.parquet"), 1):
            if is_sealed(file.read_bytes()):
                path = file.relative_to(home / "cold")
                raise SealError(f"{path} must be opened with its owner's key, none is set")
