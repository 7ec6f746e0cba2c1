"""Rows in the hot tier: each segment is one value of the hot store, a header and an Arrow file."""

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
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
_KEPT_BYTES_MAX = 64_000_000  # of decoded segments, in memory
_END = b"\n"  # of the header, which lets a segment be described without decoding its rows


class HotTables:
    """The rows of the last sessions, beside the colony's state, in any hot store."""

    tier = "hot"
    on_server = False

    def __init__(self, store: HotStore) -> None:
        self._store = store
        self._kept: dict[tuple[str, str], pl.DataFrame] = {}
        self._sums: dict[tuple[str, str], int] = {}  # of the bytes of what was proven
        self._listed: dict[str, tuple[object, tuple[Segment, ...]]] = {}  # as of a stamp

    def write(self, table: str, rows: pl.DataFrame) -> tuple[Segment, ...]:
        """Add the rows, all or none; return their segments."""
        cells = {digest: _header(part) + to_bytes(part) for digest, part in cut(table, rows)}
        self._store.put(_SPACE + table, cells)
        return tuple(_segment(table, digest, content) for digest, content in cells.items())

    def segments(self, table: str) -> tuple[Segment, ...]:
        """Return the segments, each proven once for as long as its bytes are the same.

        Raises TierCorruptionError, which names it, on one that is not what was written.
        """
        stamp = self._store.stamp(_SPACE + table)
        as_of, listed = self._listed.get(table, (None, ()))
        if stamp is not None and stamp == as_of:
            return listed
        cells = self._store.read(_SPACE + table)
        found = tuple(self._proven(table, digest, content) for digest, content in cells.items())
        self._listed[table] = stamp, found
        return found

    def _proven(self, table: str, digest: str, content: bytes) -> Segment:
        segment, found = _segment(table, digest, content), zlib.crc32(content)
        if self._sums.get((table, digest)) != found:
            self._keep(segment, _checked(segment, content))
            self._sums[table, digest] = found
        return segment

    def prove(self, table: str) -> None:
        """Do nothing: to list the segments proves them."""

    def damages(self, table: str) -> Iterator[tuple[str, str]]:
        """Decode every segment; yield (name, reason) of those that are not what was written."""
        for digest, content in self._store.read(_SPACE + table).items():
            try:
                _checked(_segment(table, digest, content), content)
            except TierCorruptionError as error:
                yield digest, " ".join(str(error).split())

    def read_segment(self, segment: Segment) -> pl.DataFrame:
        return _checked(segment, self._content(segment))

    def scan(
        self,
        table: str,
        segments: Sequence[Segment],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        instrument_ids: Sequence[str] | None = None,
    ) -> pl.LazyFrame:
        """Return rows of these segments, read at once.

        A segment never changes, so that what was decoded once is kept, as far as there is room.
        """
        parts = [self._decoded(s) for s in segments]
        rows = pl.concat(parts, how="diagonal_relaxed") if parts else pl.DataFrame()
        return asked(rows.lazy(), start, end, instrument_ids)

    def _decoded(self, segment: Segment) -> pl.DataFrame:
        name = (segment.table, segment.content_hash)
        rows = self._kept.get(name)
        if rows is None:
            rows = self.read_segment(segment)
            self._keep(segment, rows)
        return rows

    def _keep(self, segment: Segment, rows: pl.DataFrame) -> None:
        held = sum(int(r.estimated_size()) for r in self._kept.values())
        if held + rows.estimated_size() <= _KEPT_BYTES_MAX:
            self._kept[segment.table, segment.content_hash] = rows

    def _content(self, segment: Segment) -> bytes:
        content = self._store.find(_SPACE + segment.table, segment.content_hash)
        if content is None:
            raise KeyError(f"the hot tier has no segment {segment.content_hash} of {segment.table}")
        return content

    def remove(self, table: str, segments: Iterable[Segment]) -> None:
        gone = [s.content_hash for s in segments]
        self._store.remove(_SPACE + table, gone)
        for content_hash in gone:
            self._kept.pop((table, content_hash), None)
            self._sums.pop((table, content_hash), None)

    def tables(self) -> tuple[str, ...]:
        names = (s for s in self._store.spaces() if s.startswith(_SPACE))
        return tuple(n.removeprefix(_SPACE) for n in names)


def _header(rows: pl.DataFrame) -> bytes:
    first, last = (t.isoformat() if t else None for t in span(rows))
    return json.dumps([rows.height, first, last]).encode() + _END


def _checked(segment: Segment, content: bytes) -> pl.DataFrame:
    return checked(segment, from_bytes(segment.table, content.partition(_END)[2]))


def _segment(table: str, digest: str, content: bytes) -> Segment:
    try:
        row_count, *bounds = json.loads(content.partition(_END)[0])
        first, last = (datetime.fromisoformat(t) if t else None for t in bounds)
    except (ValueError, TypeError) as error:
        raise TierCorruptionError(
            f"hot segment {digest[:12]} of {table} must have a header"
        ) from error
    return Segment(table, digest, row_count, len(content), first, last)
