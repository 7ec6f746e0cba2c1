"""Reading a version of a Delta table lazily: only the months, row groups and columns asked for."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import polars as pl
from deltalake import DeltaTable
from polars.io.plugins import register_io_source

from adapters.stores.cold_blocks import ColdBlocks
from adapters.stores.cold_places import ColdPlace, storage
from adapters.stores.envelope import SealError
from adapters.stores.sealed_place import SealedPlace
from adapters.stores.segments import asked
from adapters.stores.table_months import INSTANT, MONTH, UNDATED, month_span, month_start


def table_schema(stored: DeltaTable) -> pl.Schema:
    """Return the columns of the table without the month of its partitions."""
    columns = pl.Schema(stored.schema()).items()
    return pl.Schema({name: dtype for name, dtype in columns if name != MONTH})


def month_files(stored: DeltaTable, first: str | None, last: str | None) -> list[str]:
    """Return the files of the months first..last, as this version names them."""
    bounds = [(MONTH, op, m) for op, m in ((">=", first), ("<=", last)) if m is not None]
    return sorted(stored.file_uris(file_pruning_predicate=bounds or None))


def is_readable(place: ColdPlace, file: str) -> bool:
    """Return whether every row of a file can be read."""
    options = storage(place.scan_options)
    try:
        if isinstance(place, SealedPlace):
            pl.read_parquet(place.plain_bytes(file))
            return True
        pl.scan_parquet(file, hive_partitioning=False, glob=False, **options).collect()  # type: ignore[arg-type]  # its keyword arguments by name
    except (pl.exceptions.ComputeError, FileNotFoundError, SealError):
        return False
    return True


def crowded_months(stored: DeltaTable, files_min: int) -> list[str]:
    """Return the months that lie in at least so many files."""
    actions = pl.DataFrame(stored.get_add_actions(flatten=True))
    counted = actions.group_by(month=f"partition.{MONTH}").len()
    return sorted(counted.filter(pl.col("len") >= files_min)["month"].to_list())


def months_held(stored: DeltaTable) -> tuple[datetime | None, datetime | None]:
    """Return the beginning of the first month that holds rows, and the end of the last."""
    actions = pl.DataFrame(stored.get_add_actions(flatten=True))
    months = [m for m in actions[f"partition.{MONTH}"].unique() if m != UNDATED]
    if not months:
        return None, None
    return month_start(min(months)), month_start(max(months), after=1) - INSTANT


def scan_months(
    blocks: ColdBlocks, stored: DeltaTable, first: str | None = None, last: str | None = None
) -> pl.LazyFrame:
    """Return the rows of the months first..last, without the month itself.

    What of their files a question needs is compared with what was written, before it is read.
    """
    place, files, schema = blocks.place, month_files(stored, first, last), table_schema(stored)
    if not files:
        return pl.LazyFrame(schema=schema)
    if isinstance(place, SealedPlace):  # what is sealed proves itself as it is opened
        return _scan_files([place.plain_bytes(file) for file in files], schema, None)
    root = place.uri("_")[:-1]
    names = [file.removeprefix("file://").removeprefix(root) for file in files]
    table = names[0].partition("/")[0]
    paths = [name.partition("/")[2] for name in names]

    def fetch(
        columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        blocks.prove(table, paths, columns, predicate)
        rows = _scan_files(files, schema, place.scan_options)
        rows = rows if predicate is None else rows.filter(predicate)
        rows = rows if columns is None else rows.select(columns)
        yield (rows if limit is None else rows.head(limit)).collect()

    return register_io_source(fetch, schema=schema, is_pure=True)


def _scan_files(
    files: Sequence[str] | Sequence[bytes],
    schema: pl.Schema,
    options: dict[str, str | int] | None,
) -> pl.LazyFrame:
    return pl.scan_parquet(
        files,  # type: ignore[arg-type]  # paths or bytes, not a mix
        schema=schema,
        missing_columns="insert",
        extra_columns="ignore",
        hive_partitioning=False,
        glob=False,
        **storage(options),  # type: ignore[arg-type]  # its keyword arguments by name
    )


def scan_rows(
    blocks: ColdBlocks,
    stored: DeltaTable,
    start: datetime | None,
    end: datetime | None,
    instrument_ids: Sequence[str] | None,
) -> pl.LazyFrame:
    """Return rows with start <= event_time < end of these instruments.

    Rows lie sorted by instrument within a month, so that the statistics of the row groups rule
    out nearly all that hold other instruments.
    """
    return asked(scan_months(blocks, stored, *month_span(start, end)), start, end, instrument_ids)
