"""The raw rows that a decision's features of one instrument were computed from."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from adapters.stores.lineage_reach import (
    NEWS_DAYS,
    calendar_days,
    decided_before,
    last_sessions,
    lookback_sessions,
    newest_versions,
    reads,
    splits_of,
)
from adapters.stores.lineage_reads import PinnedTables, read_pinned
from adapters.stores.lineage_tree import LineageNode
from features.catalog.rows_read import FEATURES, NEWS_REACH, macro_rows_read, news_rows_read
from swarm_core.lineage import Lineage

SeriesChoice = Callable[[pl.DataFrame], pl.DataFrame]
FindFile = Callable[[str, int], tuple[Path, int] | None]

_INSTANT = timedelta(microseconds=1)
_ADDRESS = ("event_time", "knowledge_time", "source", "source_row")
_VALUES = {
    "bars": ("open", "high", "low", "close", "volume"),
    "macro": ("series_id", "value", FEATURES),
    "news": ("headline", FEATURES),
    "corporate_actions": ("kind", "ratio"),
}


class RawRows:
    """Reads, at a decision's pinned versions, the rows of each table that its features read."""

    def __init__(
        self,
        tables: PinnedTables,
        choose: SeriesChoice,
        lineage: Lineage,
        instrument_id: str,
        event_time: datetime,
        as_of: datetime,
        find_file: FindFile,
    ) -> None:
        self._tables, self._choose, self._lineage = tables, choose, lineage
        self._find_file = find_file
        self._instrument_id, self._last, self._as_of = instrument_id, event_time, as_of

    def nodes(self) -> Iterator[LineageNode]:
        """Yield a node for each table, or what is missing of it."""
        bars = self._bars()
        first = None if bars is None or bars.is_empty() else bars["event_time"].min()
        found = {
            "bars": bars,
            "macro": self._macro(),
            "news": self._news(),
            "corporate_actions": self._splits(first),
        }
        for table, rows in found.items():
            if rows is not None:
                yield _node(table, rows, self._find_file)
            # A market without a split is whole; without its news it may have lost something.
            elif table != "corporate_actions":
                yield LineageNode(kind="missing", title=f"there is no table clean_{table}")

    def _read(
        self, table: str, start: datetime | None, end: datetime | None = None
    ) -> pl.DataFrame | None:
        return read_pinned(
            self._tables, self._lineage, f"clean_{table}", start=start, end=end,
            known_by=self._as_of,
        )  # fmt: skip

    def _bars(self) -> pl.DataFrame | None:
        count = lookback_sessions(reads("bars")) + 1
        rows = self._read("bars", self._last - calendar_days(count), self._last + _INSTANT)
        if rows is None:
            return None
        own = self._choose(rows.filter(instrument_id=self._instrument_id))
        newest = newest_versions(own, ["interval", "event_time", "source"])
        return last_sessions(newest.sort("event_time"), count)

    def _macro(self) -> pl.DataFrame | None:
        rows = self._read("macro", None)
        return None if rows is None else macro_rows_read(rows, self._as_of)

    def _news(self) -> pl.DataFrame | None:
        rows = self._read("news", self._last - NEWS_REACH)
        if rows is None:
            return None
        before = read_pinned(
            self._tables, self._lineage, "features", start=self._last - NEWS_DAYS, end=self._last
        )
        decided = () if before is None else decided_before(before, self._instrument_id, self._last)
        return news_rows_read(rows, self._instrument_id, self._as_of, decided)

    def _splits(self, first: object) -> pl.DataFrame | None:
        count = lookback_sessions(reads("corporate_actions")) + 1
        start = first if isinstance(first, datetime) else self._last - calendar_days(count)
        rows = self._read("corporate_actions", start, self._last + _INSTANT)
        if rows is None:
            return None
        return newest_versions(splits_of(rows, self._instrument_id), ["event_time", "source"])


def _node(table: str, rows: pl.DataFrame, find_file: FindFile) -> LineageNode:
    shown = [c for c in (*_ADDRESS, *_VALUES[table]) if c in rows.columns]
    sources = rows["source"].unique().sort().to_list()
    told = [_with_file(row, find_file) for row in rows.select(shown).iter_rows(named=True)]
    return LineageNode(
        kind="raw_rows",
        title=f"{rows.height} rows of {table}",
        facts={"sources": ", ".join(sources) or "none"},
        rows=tuple(told),
    )


def _with_file(row: dict[str, object], find_file: FindFile) -> dict[str, object]:
    """Return the row with the file that it came from and its number there, where there is one."""
    source, number = row.get("source"), row.get("source_row")
    if not (isinstance(source, str) and isinstance(number, int)):
        return row
    found = find_file(source, number)
    return row if found is None else {**row, "file": str(found[0]), "file_row": found[1]}
