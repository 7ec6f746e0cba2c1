"""Reading a version of a Delta table lazily: only the months, row groups and columns asked for."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import polars as pl
from deltalake import DeltaTable
from polars.io.plugins import register_io_source

from adapters.stores.cold_blocks import ColdBlocks
from adapters.stores.cold_places import ColdPlace, storage
from adapters.stores.delta_names import names_in_table
from adapters.stores.envelope import SealError
from adapters.stores.sealed_place import SealedPlace
from adapters.stores.table_months import INSTANT, MONTH, UNDATED, month_start


def table_schema(stored: DeltaTable) -> pl.Schema:
    """Return the columns of the table without the month of its partitions."""
    columns = pl.Schema(stored.schema()).items()
    return pl.Schema({name: dtype for name, dtype in columns if name != MONTH})


def month_names(stored: DeltaTable, first: str | None, last: str | None) -> list[str]:
    """Return the files of the months first..last, as `month/file`, that this version has."""
    bounds = [(MONTH, op, m) for op, m in ((">=", first), ("<=", last)) if m is not None]
    return sorted(names_in_table(stored.file_uris(file_pruning_predicate=bounds or None)))


def month_files(
    place: ColdPlace, table: str, stored: DeltaTable, first: str | None, last: str | None
) -> list[str]:
    """Return where the files of the months first..last of this version lie."""
    return [f"{place.uri(table)}/{name}" for name in month_names(stored, first, last)]


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


class ColdView:
    """The rows of the months first..last of one version, to be asked for again and again.

    What of their files a question needs is compared with what was written, before it is read.
    """

    def __init__(
        self,
        blocks: ColdBlocks,
        stored: DeltaTable,
        first: str | None = None,
        last: str | None = None,
    ) -> None:
        self.schema = table_schema(stored)  # without the month
        self._blocks, self._table = blocks, stored.table_uri.rstrip("/").rpartition("/")[2]
        self._paths = month_names(stored, first, last)
        self._files = [f"{blocks.place.uri(self._table)}/{path}" for path in self._paths]
        # polars keeps what it learnt of the files with the frame of a scan.
        self._kept: tuple[list[tuple[int, ...]], pl.LazyFrame] | None = None

    def rows(
        self, columns: Sequence[str] | None = None, predicate: pl.Expr | None = None
    ) -> pl.LazyFrame:
        """Return these columns of the rows that a condition leaves; raises as `ColdBlocks` does.

        None asks for all. The files are compared now and read when the frame is collected.
        """
        place = self._blocks.place
        if not self._files:
            rows = pl.LazyFrame(schema=self.schema)
        elif isinstance(place, SealedPlace):  # what is sealed proves itself as it is opened
            opened = [place.plain_bytes(file) for file in self._files]
            rows = scan_files(opened, self.schema, None)
        else:
            stamps = self._blocks.prove(self._table, self._paths, columns, predicate)
            if self._kept is None or self._kept[0] != stamps:
                self._kept = stamps, scan_files(self._files, self.schema, place.scan_options)
            rows = self._kept[1]
        rows = rows if predicate is None else rows.filter(predicate)
        return rows if columns is None else rows.select(columns)

    def scan(self) -> pl.LazyFrame:
        """Return the rows as a frame that compares and reads what it needs when it is collected."""

        def fetch(
            columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
        ) -> Iterator[pl.DataFrame]:
            rows = self.rows(columns, predicate)
            yield (rows if limit is None else rows.head(limit)).collect()

        return register_io_source(fetch, schema=self.schema, is_pure=True)


def scan_months(
    blocks: ColdBlocks, stored: DeltaTable, first: str | None = None, last: str | None = None
) -> pl.LazyFrame:
    """Return the rows of the months first..last, without the month itself."""
    return ColdView(blocks, stored, first, last).scan()


def scan_files(
    files: Sequence[str] | Sequence[bytes],
    schema: pl.Schema,
    options: dict[str, str | int] | None,
) -> pl.LazyFrame:
    """Return the rows of files, or of their bytes, in the columns of a table."""
    return pl.scan_parquet(
        files,  # type: ignore[arg-type]  # paths or bytes, not a mix
        schema=schema,
        missing_columns="insert",
        extra_columns="ignore",
        hive_partitioning=False,
        glob=False,
        **storage(options),  # type: ignore[arg-type]  # its keyword arguments by name
    )
