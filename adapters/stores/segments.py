"""Segments: immutable batches of a table's rows, named by the hash of what they hold."""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import polars as pl

from adapters.stores.content_hash import canonical_order, content_hash
from adapters.stores.plan_parts import all_of
from adapters.stores.table_months import MONTH, span_filter, with_month
from adapters.stores.table_types import storable

# What reading a damaged file may raise; polars may panic over one as well.
UNREADABLE = (pl.exceptions.PolarsError, OSError, ValueError, KeyError, TypeError)


class TierCorruptionError(ValueError):
    """Rows read back are not the rows that were written; nothing was dropped."""


class SegmentGoneError(FileNotFoundError):
    """A segment left its tier before it was read; the next tier holds its rows."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A batch of one table's rows in one tier; `content_hash` is its name.

    `first` and `last` bound its event times (its knowledge times where it has no event times),
    and are None where it has neither.
    """

    table: str
    content_hash: str
    row_count: int
    byte_count: int
    first: datetime | None
    last: datetime | None

    def overlaps(self, start: datetime | None, end: datetime | None) -> bool:
        """Return whether a row with start <= event_time < end can be in it."""
        if self.first is None or self.last is None:
            return start is None and end is None
        return (end is None or self.first < end) and (start is None or self.last >= start)


class SegmentTier(Protocol):
    """A tier that holds rows in segments.

    To write what is there already, or to remove what is not there, does nothing.
    """

    @property
    def tier(self) -> str: ...

    @property
    def on_server(self) -> bool:
        """Return whether its rows are asked of a server when a scan is collected."""
        ...

    def write(self, table: str, rows: pl.DataFrame) -> tuple[Segment, ...]: ...

    def segments(self, table: str) -> tuple[Segment, ...]: ...

    def prove(self, table: str) -> None:
        """Raise TierCorruptionError where a segment is not what was written, before it is asked.

        What was proven stays so until it changes. A server's own sums are trusted.
        """
        ...

    def damages(self, table: str) -> Iterator[tuple[str, str]]:
        """Read everything of a table; yield (name, reason) of what is not as it was written."""
        ...

    def read_segment(self, segment: Segment) -> pl.DataFrame:
        """Return the rows; raise TierCorruptionError where they are not what was written."""
        ...

    def scan(
        self,
        table: str,
        segments: Sequence[Segment],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        instrument_ids: Sequence[str] | None = None,
    ) -> pl.LazyFrame:
        """Return the rows of these segments with start <= event_time < end of these instruments.

        They are read when the frame is collected; their hashes are not compared. Raises
        FileNotFoundError then, or KeyError, where one of them has left the tier.
        """
        ...

    def remove(self, table: str, segments: Iterable[Segment]) -> None: ...

    def tables(self) -> tuple[str, ...]: ...


class ColdRows(Protocol):
    """Rows of one version of a cold table."""

    @property
    def schema(self) -> pl.Schema: ...

    def rows(
        self, columns: Sequence[str] | None = None, predicate: pl.Expr | None = None
    ) -> pl.LazyFrame:
        """Return these columns of the rows that a condition leaves; None asks for all.

        What must be compared before it is read is compared now.
        """
        ...


class ColdTables(Protocol):
    """What tiering needs of the cold tier; rows in it never leave it."""

    def add(self, table: str, rows: pl.DataFrame) -> object: ...

    def read(
        self, table: str, *, start: datetime | None = None, end: datetime | None = None
    ) -> pl.DataFrame: ...

    def view(
        self,
        table: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        version: int | None = None,
    ) -> ColdRows | None:
        """Return the months that start <= event_time < end touches; None where no table is."""
        ...

    def exists(self, table: str) -> bool: ...

    def tables(self) -> tuple[str, ...]: ...

    def require_files(self, table: str, version: int | None = None) -> None:
        """Raise OSError where a file of a version lies in an archive that is not there."""
        ...

    def unreadable(self, table: str, version: int | None = None) -> tuple[str, ...]:
        """Return the names of the files of a version that cannot be read."""
        ...

    def size(self, table: str) -> tuple[int, int]: ...

    def span(self, table: str) -> tuple[datetime | None, datetime | None]: ...


def cut(table: str, rows: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    """Return the rows as (content hash, rows) by month, without repetitions, in canonical order.

    Months keep a segment's age meaningful: a backfill of years does not stay hot for its last day.
    """
    rows = storable(table, rows).unique(maintain_order=True)
    if rows.is_empty():
        return []
    months = with_month(canonical_order(rows)).partition_by(
        MONTH, include_key=False, maintain_order=True
    )
    return [(content_hash(part), part) for part in months]


def checked(segment: Segment, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows if they are what the segment's name and bounds say; else raise.

    Raises TierCorruptionError, which names the segment.
    """
    found = content_hash(canonical_order(rows))
    if found != segment.content_hash:
        raise TierCorruptionError(
            f"a segment of {segment.table} must hash to {segment.content_hash[:12]}, "
            f"was {found[:12]}"
        )
    told, held = (segment.row_count, segment.first, segment.last), (rows.height, *span(rows))
    if told != held:
        raise TierCorruptionError(
            f"segment {segment.content_hash[:12]} of {segment.table} must say what it holds, "
            f"says {_bounds(told)}, holds {_bounds(held)}"
        )
    return rows


def _bounds(told: tuple[int, datetime | None, datetime | None]) -> str:
    return f"{told[0]} rows from {told[1]} to {told[2]}"


def read_each(tier: "SegmentTier", table: str) -> Iterator[tuple[str, str]]:
    """Read each segment of a table; yield (name, reason) of those that are not whole."""
    for segment in tier.segments(table):
        try:
            tier.read_segment(segment)
        except TierCorruptionError as error:
            yield segment.content_hash, " ".join(str(error).split())


def asked(
    scan: pl.LazyFrame,
    start: datetime | None,
    end: datetime | None,
    instrument_ids: Sequence[str] | None,
) -> pl.LazyFrame:
    """Return the rows with start <= event_time < end of these instruments; None asks for all."""
    condition = asked_condition(start, end, instrument_ids)
    return scan if condition is None else scan.filter(condition)


def asked_condition(
    start: datetime | None, end: datetime | None, instrument_ids: Sequence[str] | None
) -> pl.Expr | None:
    """Return start <= event_time < end of these instruments as a condition; None: everything."""
    parts: list[pl.Expr] = []
    if start is not None or end is not None:
        parts.append(span_filter(start, end))
    if instrument_ids is not None:
        ids, column = list(instrument_ids), pl.col("instrument_id")
        parts.append(column == ids[0] if len(ids) == 1 else column.is_in(ids))
    return all_of(parts)


def span(rows: pl.DataFrame) -> tuple[datetime | None, datetime | None]:
    """Return the first and the last event time, or knowledge time where there is no event time."""
    for column in ("event_time", "knowledge_time"):
        if column in rows.columns and rows[column].null_count() < rows.height:
            low, high = rows.select(low=pl.col(column).min(), high=pl.col(column).max()).row(0)
            return low, high
    return None, None


def to_bytes(rows: pl.DataFrame) -> bytes:
    """Return the rows as an Arrow IPC file, compressed."""
    buffer = io.BytesIO()
    rows.write_ipc(buffer, compression="zstd")
    return buffer.getvalue()


def from_bytes(table: str, content: bytes) -> pl.DataFrame:
    """Return the rows of an Arrow IPC file; raise TierCorruptionError where it is none."""
    try:
        return pl.read_ipc(io.BytesIO(content))
    except (*UNREADABLE, pl.exceptions.PanicException) as error:
        raise TierCorruptionError(f"a segment of {table} must be an Arrow file: {error}") from error
