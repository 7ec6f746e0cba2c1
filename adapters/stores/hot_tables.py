"""Rows in the hot tier: each segment is one value of the hot store, a header and an Arrow file."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

import polars as pl

from adapters.stores.hot import HotStore
from adapters.stores.segments import (
    Segment,
    TierCorruptionError,
    asked,
    checked,
    cut,
    from_bytes,
    span,
    to_bytes,
)

_SPACE = "rows/"
_END = b"\n"  # of the header, which lets a segment be described without decoding its rows


class HotTables:
    """The rows of the last sessions, beside the colony's state, in any hot store."""

    tier = "hot"

    def __init__(self, store: HotStore) -> None:
        self._store = store

    def write(self, table: str, rows: pl.DataFrame) -> tuple[Segment, ...]:
        """Add the rows, all or none; return their segments."""
        cells = {digest: _header(part) + to_bytes(part) for digest, part in cut(table, rows)}
        self._store.put(_SPACE + table, cells)
        return tuple(_segment(table, digest, content) for digest, content in cells.items())

    def segments(self, table: str) -> tuple[Segment, ...]:
        cells = self._store.read(_SPACE + table)
        return tuple(_segment(table, digest, content) for digest, content in cells.items())

    def read_segment(self, segment: Segment) -> pl.DataFrame:
        content = self._store.find(_SPACE + segment.table, segment.content_hash)
        if content is None:
            raise KeyError(f"the hot tier has no segment {segment.content_hash} of {segment.table}")
        return checked(segment, from_bytes(segment.table, content.partition(_END)[2]))

    def scan(
        self,
        table: str,
        segments: Sequence[Segment],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        instrument_ids: Sequence[str] | None = None,
    ) -> pl.LazyFrame:
        """Return rows of these segments; being small they are read and verified at once."""
        parts = [self.read_segment(s) for s in segments]
        rows = pl.concat(parts, how="diagonal_relaxed") if parts else pl.DataFrame()
        return asked(rows.lazy(), start, end, instrument_ids)

    def remove(self, table: str, segments: Iterable[Segment]) -> None:
        self._store.remove(_SPACE + table, [s.content_hash for s in segments])

    def tables(self) -> tuple[str, ...]:
        names = (s for s in self._store.spaces() if s.startswith(_SPACE))
        return tuple(n.removeprefix(_SPACE) for n in names)


def _header(rows: pl.DataFrame) -> bytes:
    first, last = (t.isoformat() if t else None for t in span(rows))
    return json.dumps([rows.height, first, last]).encode() + _END


def _segment(table: str, digest: str, content: bytes) -> Segment:
    try:
        row_count, *bounds = json.loads(content.partition(_END)[0])
        first, last = (datetime.fromisoformat(t) if t else None for t in bounds)
    except ValueError as error:
        raise TierCorruptionError(
            f"hot segment {digest[:12]} of {table} must have a header"
        ) from error
    return Segment(table, digest, row_count, len(content), first, last)
