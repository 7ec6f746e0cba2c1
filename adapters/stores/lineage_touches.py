"""From a raw row forward: every order whose features, or whose model, can have read it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

import polars as pl

from adapters.stores.lineage_reach import decided_before, reaching, reads, sessions_between
from adapters.stores.lineage_reads import (
    ModelCards,
    OrderHistory,
    PinnedTables,
    moment,
    pinned_version,
)
from features.calendars import day_of, day_of_close
from features.catalog import CATALOG
from features.catalog.rows_read import FEATURES, macro_rows_read, news_rows_read, related_series
from swarm_core.events import DecisionTaken

MARKET = "market"  # the name of headlines that name no instrument
_TABLES = ("bars", "macro", "news", "corporate_actions")
_INSTANT = timedelta(microseconds=1)
_COLUMNS = {"features": ("instrument_id", "event_time", "knowledge_time", "as_of")}
TOUCHES: dict[str, pl.DataType] = {
    "order_id": pl.String(),
    "decision_id": pl.String(),
    "session": pl.String(),
    "instrument_id": pl.String(),
    "touch": pl.String(),  # "features", "cross_section" or "training"
    "features": pl.String(),  # those that reach the row, comma-separated; empty for training
    "model_version": pl.String(),
}


@dataclass(frozen=True, slots=True)
class _Row:
    """The address of a raw row."""

    table: str
    event_time: datetime
    instrument_id: str | None
    series_id: str | None
    source: str | None
    span: timedelta = _INSTANT  # the rows begin at event_time and lie within it

    @property
    def end(self) -> datetime:
        return self.event_time + self.span

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the versions of this record among the rows."""
        named = {
            "instrument_id": self.instrument_id,
            "series_id": self.series_id,
        }
        found = rows.filter(
            pl.col("event_time").is_between(self.event_time, self.end, closed="left")
        )
        for column, value in named.items():
            if self.table == "news" and value == MARKET:
                found = found.filter(pl.col(column).is_null())
            elif value is not None:
                found = found.filter(pl.col(column) == value)
        if self.source is not None:
            name = pl.col("source").str.split("@").list.first()
            found = found.filter((pl.col("source") == self.source) | (name == self.source))
        return found

    def __str__(self) -> str:
        who = self.instrument_id or self.series_id or "any"
        return f"{who} at {self.event_time.isoformat()} of {self.table}"


def orders_touched_by(
    history: OrderHistory,
    tables: PinnedTables,
    models: ModelCards | None,
    table: str,
    *,
    event_time: datetime,
    instrument_id: str | None = None,
    series_id: str | None = None,
    source: str | None = None,
    whole_day: bool = False,
) -> pl.DataFrame:
    """Return TOUCHES: the orders whose decision could read the row, and through what.

    `table` is "bars", "macro", "news" or "corporate_actions" (of which splits alone are read: they
    scale the bars before them). A row touches an order through "features" of the order's
    own instrument, through the "cross_section" of all instruments, or through the "training" of
    the model; one order may stand once for each. A row that was quarantined, or known only after
    a decision, did not touch it. Of news, the instrument MARKET stands for headlines that name
    none. With `whole_day` it is about all rows of a series' or a name's day that begins at
    event_time. Raises KeyError where no stored table has the row.
    """
    if table not in _TABLES:
        raise ValueError(f"table must be one of {', '.join(_TABLES)}, was {table!r}")
    span = timedelta(days=1) if whole_day else _INSTANT
    row = _Row(table, event_time, instrument_id, series_id, source, span)
    _require_row(tables, row)
    reader = _Reader(tables, event_time)
    touches: list[tuple[str, ...]] = []
    for decision_id, taken in history.decisions.items():
        reach = _Reach(reader, models, taken, row)
        orders = history.of_decision(decision_id)
        if orders and reach.can_read():
            for intended in orders:
                order = intended.order
                touches += reach.touches(order.client_order_id, order.instrument_id)
    return pl.DataFrame(touches, schema=TOUCHES, orient="row")


def _require_row(tables: PinnedTables, row: _Row) -> None:
    for name in (f"clean_{row.table}", f"raw_{row.table}"):
        if tables.exists(name):
            near = tables.read(name, start=row.event_time, end=row.end)
            if row.of(near).height:
                return
    raise KeyError(f"no stored row is {row}")


class _Reader:
    """Reads tables at pinned versions, each once: thousands of decisions may pin the same."""

    def __init__(self, tables: PinnedTables, since: datetime) -> None:
        self._tables = tables
        self._since = since - timedelta(days=1)
        self._read: dict[tuple[str, int | None], pl.DataFrame] = {}

    def read(self, table: str, taken: DecisionTaken) -> pl.DataFrame:
        """Return what the decision could read of a table from the row's day on.

        Of macro it is all: what a release is weighed against counts back from it.
        """
        version = pinned_version(taken.lineage, table)
        key = (table, version)
        if key not in self._read:
            start = None if table == "clean_macro" else self._since
            exists = self._tables.exists(table)
            self._read[key] = (
                self._tables.read(table, start=start, columns=_COLUMNS.get(table), version=version)
                if exists
                else pl.DataFrame()
            )
        rows = self._read[key]
        return (
            rows.filter(pl.col("knowledge_time") <= moment(taken.time_ns)) if rows.width else rows
        )


class _Reach:
    """What one decision could read of the row."""

    def __init__(
        self, reader: _Reader, models: ModelCards | None, taken: DecisionTaken, row: _Row
    ) -> None:
        self._row = row
        self._taken = taken
        self._lineage = taken.lineage
        self._session = date.fromisoformat(taken.lineage.session)
        self._reader = reader
        self._models = models

    def can_read(self) -> bool:
        """Return whether the clean row was known when the decision was taken."""
        if self._row.event_time > moment(self._taken.time_ns):
            return False
        rows = self._reader.read(f"clean_{self._row.table}", self._taken)
        if rows.width and self._row.table == "corporate_actions":
            rows = rows.filter(pl.col("kind") == "split")
        return bool(rows.width) and self._row.of(rows).height > 0

    def touches(self, order_id: str, instrument_id: str) -> Iterator[tuple[str, ...]]:
        """Yield one TOUCHES row for each way in which the row reached the order."""
        for touch, names in self._features(instrument_id).items():
            if names:
                yield self._touch(order_id, instrument_id, touch, ", ".join(names))
        if self._in_training():
            yield self._touch(order_id, instrument_id, "training", "")

    def _touch(self, order_id: str, instrument_id: str, touch: str, names: str) -> tuple[str, ...]:
        lineage = self._lineage
        ids = (order_id, lineage.decision_id, lineage.session, instrument_id)
        return (*ids, touch, names, lineage.model_version)

    def _features(self, instrument_id: str) -> dict[str, tuple[str, ...]]:
        if self._row.table == "macro":
            return {"features": self._macro_features}
        if self._row.table == "news":
            return {"features": self._news_features(instrument_id)}
        back = self._sessions_back(instrument_id)
        own = self._row.instrument_id == instrument_id
        return {
            "features": reaching(reads("bars"), back) if own else (),
            "cross_section": reaching(reads("bars", other_instrument=True), back),
        }

    @cached_property
    def _decided(self) -> pl.DataFrame:
        """When instruments were decided on, at this session and before."""
        rows = self._reader.read("features", self._taken)
        return rows.filter(day_of_close() <= self._session) if rows.width else rows

    def _as_of(self, instrument_id: str | None = None) -> tuple[datetime, tuple[datetime, ...]]:
        """Return the moment that the session's features are of, and the instrument's before it."""
        if self._decided.width:
            now = self._decided.filter(day_of_close() == self._session).sort("event_time")
            if instrument_id is not None:
                now = now.filter(pl.col("instrument_id") == instrument_id)
            if now.height:
                last = now.row(-1, named=True)
                before = decided_before(self._decided, last["instrument_id"], last["event_time"])
                return last["as_of"], before
        return moment(self._taken.time_ns), ()

    def _sessions_back(self, instrument_id: str) -> int:
        bars = self._reader.read("clean_bars", self._taken)
        own = bars.filter(pl.col("instrument_id") == instrument_id)
        dates: list[date] = own.select(day_of_close()).to_series().unique().sort().to_list()
        return sessions_between(dates, self._row.event_time, self._session)

    @cached_property
    def _macro_features(self) -> tuple[str, ...]:
        rows = self._reader.read("clean_macro", self._taken)
        related = rows.filter(pl.col("series_id").is_in(related_series(self._row.series_id)))
        return self._names(macro_rows_read(related, self._as_of()[0]))

    def _news_features(self, instrument_id: str) -> tuple[str, ...]:
        rows = self._reader.read("clean_news", self._taken)
        return self._names(news_rows_read(rows, instrument_id, *self._as_of(instrument_id)))

    def _names(self, read: pl.DataFrame) -> tuple[str, ...]:
        """Return the features that read a version of the row, in catalogue order."""
        lists = self._row.of(read)[FEATURES].to_list()
        told = {name for names in lists for name in names.split(", ")}
        return tuple(f.name for f in CATALOG if f.name in told)

    def _in_training(self) -> bool:
        if self._models is None or not self._lineage.model_name:
            return False
        try:
            card = self._models.card(self._lineage.model_name, self._lineage.model_version)
        except (KeyError, OSError):
            return False
        return _trained_on(card, day_of(self._row.event_time))


def _trained_on(card: Mapping[str, object], day: date) -> bool:
    start, end = (str(card.get(n, ""))[:10] for n in ("training_start", "training_end"))
    return bool(start and end) and start <= day.isoformat() <= end
