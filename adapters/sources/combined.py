"""Several sources as one: their rows side by side, each under its own source name."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

import polars as pl

from adapters.sources.batches import ROW_BITS
from features.schemas import INSTRUMENTS, QUARANTINE_COLUMNS, TABLES


class RecordSource(Protocol):
    """What is combined; the assets' `Source`."""

    @property
    def name(self) -> str: ...

    @property
    def tables(self) -> tuple[str, ...]: ...

    def fetch(self, table: str, start: datetime, end: datetime) -> pl.DataFrame: ...

    def instruments(self) -> pl.DataFrame: ...


@runtime_checkable
class RejectingSource(Protocol):
    """A source that keeps the rows it could not read, and says which columns it does not read."""

    def rejected(self, table: str | None = None) -> pl.DataFrame: ...

    def left_out(self, table: str | None = None) -> tuple[str, ...]: ...


@runtime_checkable
class LocatingSource(Protocol):
    """A source that finds the file and the row in it that a record came from."""

    def locate(self, source: str, source_row: int) -> tuple[Path, int]: ...


class CombinedSource:
    """The union of sources; a table that none of them has is empty.

    Raises ValueError where there is no source, or two describe one instrument in different
    asset classes or currencies: they would not be the same instrument.
    """

    def __init__(self, sources: Sequence[RecordSource]) -> None:
        if not sources:
            raise ValueError("a desk must have at least one source, had none")
        self._sources = tuple(sources)
        self._files: dict[tuple[str, int], Path] = {}  # by source and the tag of the file

    @property
    def name(self) -> str:
        """The names of the sources, joined."""
        return "+".join(source.name for source in self._sources)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that at least one source has."""
        present = {table for source in self._sources for table in source.tables}
        return tuple(name for name in TABLES if name in present)

    def fetch(self, table: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the rows of every source that has the table, in the order of the sources."""
        schema = TABLES[table]
        frames = [
            schema.conform(source.fetch(table, start, end))
            for source in self._sources
            if table in source.tables
        ]
        return pl.concat([schema.empty(), *frames])

    def find_file(self, source: str, source_row: int) -> tuple[Path, int] | None:
        """Return the file and the row in it (0 follows the header) that a record came from.

        None where the source is no folder of files, or the file is no longer in it. Each file is
        looked for once: a folder may hold thousands.
        """
        tag, row = source_row >> ROW_BITS, source_row & ((1 << ROW_BITS) - 1)
        if (source, tag) in self._files:
            return self._files[source, tag], row
        for part in self._sources:
            if isinstance(part, LocatingSource):
                with suppress(KeyError):
                    self._files[source, tag] = part.locate(source, source_row)[0]
                    return self._files[source, tag], row
        return None

    def instruments(self) -> pl.DataFrame:
        """Return all instruments; the first source that knows a ticker's spell describes it."""
        frames = [INSTRUMENTS.conform(source.instruments()) for source in self._sources]
        rows = pl.concat([INSTRUMENTS.empty(), *frames])
        kinds = rows.group_by("instrument_id").agg(
            pl.col("asset_class").n_unique().alias("classes"),
            pl.col("currency").n_unique().alias("currencies"),
        )
        torn = kinds.filter((pl.col("classes") > 1) | (pl.col("currencies") > 1))
        if not torn.is_empty():
            raise ValueError(
                "an instrument must have one asset class and one currency in all sources, "
                f"had several: {torn['instrument_id'].sort().to_list()[:5]}"
            )
        return rows.unique(list(INSTRUMENTS.key), keep="first", maintain_order=True)

    def rejected(self, table: str) -> pl.DataFrame:
        """Return the rows of a table that could not be read, with reasons (QUARANTINE_COLUMNS)."""
        frames = [
            source.rejected(table)
            for source in self._sources
            if isinstance(source, RejectingSource) and table in source.tables
        ]
        return pl.concat([pl.DataFrame(schema=QUARANTINE_COLUMNS), *frames])

    def left_out(self, table: str | None = None) -> tuple[str, ...]:
        """Return a line for the columns of files that no table reads, of one table or of all."""
        return tuple(
            line
            for source in self._sources
            if isinstance(source, RejectingSource) and (table is None or table in source.tables)
            for line in source.left_out(table)
        )
