"""The corporate actions that a trader knows: of the control plane's tables, or of a file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from adapters.feeds.table_file import read_rows
from features.calendars import previous_session
from features.schemas import CORPORATE_ACTIONS, UTC_TIME
from features.session_actions import actions_between, halted_ids, unadjusted
from swarm_core.actions.action import CorporateAction
from swarm_core.instruments import Instrument
from trader.hours import ExchangeHours

_NEEDED = ("instrument_id", "ex_date", "kind")
_NUMBERS = ("ratio", "amount")
_KINDS = ("split", "dividend", "spin_off", "merger", "delisting", "halt")
_EPOCH, _HOUR_NS = datetime(1970, 1, 1, tzinfo=UTC), 3_600 * 10**9


@dataclass(frozen=True, slots=True)
class KnownActions:
    """Actions by their ex-dates; `rows` is asked anew each time, for those known up to a moment.

    `told` are the actions of every series: a halt is the instrument's, whatever series is traded.
    They are asked for once an hour of the market's time.
    """

    rows: Callable[[datetime], pl.DataFrame | None]
    told: Callable[[], pl.DataFrame | None]
    hours: ExchangeHours
    instruments: Mapping[str, Instrument]
    _halts: dict[int, pl.DataFrame] = field(default_factory=dict[int, pl.DataFrame])

    def of_session(self, before: str, session: str) -> Sequence[CorporateAction]:
        day = date.fromisoformat(session)
        earlier = before or previous_session(self.hours.calendar, day).isoformat()
        return self._between(self.hours.bounds(earlier)[1], self.hours.bounds(session)[1])

    def announced(self, after: str, until_ns: int) -> Sequence[CorporateAction]:
        # The actions of the session itself count: they may have become known after its opening.
        day = date.fromisoformat(after)
        earlier = previous_session(self.hours.calendar, day).isoformat()
        return self._between(self.hours.bounds(earlier)[1], until_ns)

    def halted(self, start_ns: int, end_ns: int) -> frozenset[str]:
        start, end = (_EPOCH + timedelta(microseconds=n // 1_000) for n in (start_ns, end_ns))
        halts = self._halts_of(end_ns // _HOUR_NS)
        return halted_ids(halts, start, end) if halts.height else frozenset()

    def _halts_of(self, hour: int) -> pl.DataFrame:
        if hour not in self._halts:
            told = self.told()
            rows = CORPORATE_ACTIONS.empty() if told is None else told
            self._halts.clear()
            self._halts[hour] = rows.filter(pl.col("kind") == "halt")
        return self._halts[hour]

    def _between(self, after_ns: int, until_ns: int) -> Sequence[CorporateAction]:
        after, until = (datetime.fromtimestamp(n // 10**9, UTC) for n in (after_ns, until_ns))
        rows = self.rows(until)
        return () if rows is None else actions_between(rows, self.instruments, after, until)


def read_action_file(path: Path, instruments: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the actions of a CSV or Parquet file, for prices as they are quoted on the day.

    Columns: instrument_id, ex_date (ISO), kind (split, dividend, spin_off, merger, delisting,
    halt), and ratio (new for old), amount (per unit), currency and detail (the instrument that is
    given) as the kind needs them; end_date (ISO) is the day a dividend is paid, or the first that
    a halted instrument trades again. Raises ValueError with one line on what cannot be read or
    lacks its number.
    """
    rows = read_rows(path, _NEEDED, "actions")
    try:
        numbers = [pl.col(n).cast(pl.Float64) for n in _NUMBERS if n in rows.columns]
        rows = rows.with_columns(*numbers)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())[:300]}") from error
    for number, row in enumerate(rows.iter_rows(named=True), 1):
        _check(f"{path}: action {number}", row, instruments)
    at, ends = _midnight("ex_date"), _midnight("end_date")
    if "end_date" not in rows.columns:
        ends = pl.lit(None, dtype=UTC_TIME)
    return unadjusted(
        CORPORATE_ACTIONS.conform(
            rows.with_columns(
                event_time=at, knowledge_time=at, end_time=ends, source=pl.lit("file")
            )
        )
    )


def _midnight(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String).str.to_date("%Y-%m-%d").cast(UTC_TIME)


def _check(where: str, row: Mapping[str, object], instruments: Mapping[str, Instrument]) -> None:
    kind, name = row["kind"], row["instrument_id"]
    if kind not in _KINDS:
        raise ValueError(f"{where}: kind must be one of {list(_KINDS)}, was {kind!r}")
    if name not in instruments:
        raise ValueError(f"{where}: instrument_id must be a known instrument, was {name!r}")
    for column in ("ex_date", "end_date"):
        day = row.get(column)
        if column == "end_date" and day is None:
            continue
        try:
            date.fromisoformat(str(day))
        except ValueError as error:
            raise ValueError(f"{where}: {column} must be a day, was {day!s:.40}") from error
    if kind == "merger":
        _check_merger(where, row, instruments)
    if kind == "halt" and row.get("end_date") and str(row["end_date"]) <= str(row["ex_date"]):
        raise ValueError(
            f"{where}: end_date of a halt must lie after its ex_date {row['ex_date']}, "
            f"was {row['end_date']}"
        )
    needed = {"split": ("ratio",), "dividend": ("amount",), "spin_off": _NUMBERS}
    for column in needed.get(str(kind), ()):
        value = row.get(column)
        if not isinstance(value, float) or not 0 < value < float("inf"):
            raise ValueError(f"{where}: {column} of a {kind} must be positive, was {value!r}")


def _check_merger(
    where: str, row: Mapping[str, object], instruments: Mapping[str, Instrument]
) -> None:
    """Raise ValueError unless it pays an amount, or gives a ratio of a known instrument."""
    ratio, amount, given = row.get("ratio"), row.get("amount"), row.get("detail")
    for column, value in (("ratio", ratio), ("amount", amount)):
        if value is not None and not (isinstance(value, float) and 0 < value < float("inf")):
            raise ValueError(f"{where}: {column} of a merger must be positive, was {value!r}")
    if ratio is None and amount is None:
        raise ValueError(f"{where}: a merger must have an amount, a ratio, or both, had neither")
    if ratio is not None and given not in instruments:
        raise ValueError(
            f"{where}: detail of a merger with a ratio must be a known instrument, was {given!r}"
        )
