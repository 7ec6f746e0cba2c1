"""Rows in the hot tier: each segment is one value of the hot store."""

from collections.abc import Iterable

import polars as pl

from adapters.stores.hot import HotStore
from adapters.stores.segments import Segment, checked, cut, from_bytes, span, to_bytes

_SPACE = "rows/"


class HotTables:
    """The rows of the last sessions, beside the colony's state, in any hot store."""

    tier = "hot"

    def __init__(self, store: HotStore) -> None:
        self._store = store

    def write(self, table: str, rows: pl.DataFrame) -> tuple[Segment, ...]:
        """Add the rows, all or none; return their segments."""
        parts = [(digest, part, to_bytes(part)) for digest, part in cut(table, rows)]
        self._store.put(_SPACE + table, {digest: content for digest, _, content in parts})
        return tuple(_segment(table, digest, part, len(c)) for digest, part, c in parts)

    def segments(self, table: str) -> tuple[Segment, ...]:
        cells = self._store.read(_SPACE + table)
        return tuple(
            _segment(table, digest, from_bytes(table, content), len(content))
            for digest, content in cells.items()
        )

    def read_segment(self, segment: Segment) -> pl.DataFrame:
        content = self._store.find(_SPACE + segment.table, segment.content_hash)
        if content is None:
            raise KeyError(f"the hot tier has no segment {segment.content_hash} of {segment.table}")
        return checked(segment, from_bytes(segment.table, content))

    def remove(self, table: str, segments: Iterable[Segment]) -> None:
        self._store.remove(_SPACE + table, [s.content_hash for s in segments])

    def tables(self) -> tuple[str, ...]:
        names = (s for s in self._store.spaces() if s.startswith(_SPACE))
        return tuple(n.removeprefix(_SPACE) for n in names)


def _segment(table: str, digest: str, rows: pl.DataFrame, byte_count: int) -> Segment:
    return Segment(table, digest, rows.height, byte_count, *span(rows))
