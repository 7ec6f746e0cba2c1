"""The files behind Feast's offline sources: Delta tables, Parquet files and folders of them."""

import glob
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import polars as pl
from deltalake import DeltaTable, write_deltalake

from adapters.file_lock import Locked
from adapters.stores.delta_names import DeltaTableThere

_YEAR = "year"


def offline_root(config: Any) -> Path:
    """Return the folder that a source's relative path starts from, of a Feast RepoConfig."""
    repo = Path(config.repo_path or ".")
    return repo / (config.offline_store.root or ".")


def source_path(config: Any, source: Any) -> Path:
    """Return where a Feast FileSource lies. Raises TypeError for any other kind of source."""
    path = getattr(source, "path", None)
    if not isinstance(path, str):
        raise TypeError(f"source must be a FileSource, was {type(source).__name__} {source.name}")
    return offline_root(config) / path


def scan_source(config: Any, source: Any) -> pl.LazyFrame:
    """Return the rows of a Feast FileSource, lazily, its field mapping applied.

    Raises FileNotFoundError where there is nothing at its path.
    """
    rows = scan(source_path(config, source))
    return rows.rename(dict(source.field_mapping), strict=False) if source.field_mapping else rows


def scan(path: Path) -> pl.LazyFrame:
    """Return the rows at the path, a Delta table, a Parquet file or a folder of Parquet files."""
    if _is_delta(path):
        return pl.scan_delta(DeltaTableThere(path))
    if path.is_dir():
        within = f"{glob.escape(str(path))}/**/*.parquet"
        return pl.scan_parquet(within, missing_columns="insert")
    if not path.exists():
        raise FileNotFoundError(f"offline rows must lie at {path}, which does not exist")
    return pl.scan_parquet(path, glob=False)


def _is_delta(path: Path) -> bool:
    return (path / "_delta_log").is_dir()


def replace_span(
    path: Path, rows: pl.DataFrame, *, time_column: str, start: datetime, end: datetime
) -> int:
    """Put the rows in the place of all with start <= time < end, in one new version of the table.

    A reader sees the table before or after, never between. Returns the table's version. Raises
    ValueError where a row lies outside the span or the span has no zone.
    """
    _require_span(rows, time_column, start, end)
    dated = rows.with_columns(pl.col(time_column).dt.year().cast(pl.Int32).alias(_YEAR))
    with _turn(path):
        if not _is_delta(path):
            write_deltalake(str(path), dated.to_arrow(), partition_by=[_YEAR])
        else:
            write_deltalake(
                str(path),
                dated.to_arrow(),
                mode="overwrite",
                schema_mode="merge",
                predicate=_span_sql(time_column, start, end),
            )
        table = DeltaTable(str(path))
        # Every replacement leaves the files it replaced: those that no reader of this week can
        # still be at go, so that a daily write does not grow the folder by a year a day.
        table.vacuum(dry_run=False)
        return table.version()


def _turn(path: Path) -> Locked:
    """Return the lock of those who write to the table.

    Delta alone lets one of two first writers fail, and which one is chance.
    """
    return Locked(path.parent / f".{path.name}.lock")


def _require_span(rows: pl.DataFrame, time_column: str, start: datetime, end: datetime) -> None:
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError(f"start and end must have a zone, were {start} and {end}")
    outside = rows.filter(~((pl.col(time_column) >= start) & (pl.col(time_column) < end)))
    if outside.height or rows[time_column].null_count():
        raise ValueError(
            f"every row must have {start} <= {time_column} < {end}, "
            f"{outside.height + rows[time_column].null_count()} of {rows.height} had not"
        )


def _span_sql(column: str, start: datetime, end: datetime) -> str:
    """Return the span as a predicate; the years first, so that other partitions stay untouched."""
    low, high = (t.astimezone(UTC) for t in (start, end))
    stamp = "%Y-%m-%dT%H:%M:%S.%fZ"
    return (
        f"{_YEAR} >= {low.year} AND {_YEAR} <= {high.year} AND {column} >= "
        f"'{low.strftime(stamp)}' AND {column} < '{high.strftime(stamp)}'"
    )


def append(path: Path, source: Any, rows: pl.DataFrame) -> None:
    """Add rows to a Delta table, to a folder of Parquet files, or to one Parquet file."""
    if path.exists():
        expected = [c for c in scan(path).collect_schema().names() if c != _YEAR]
        if sorted(expected) != sorted(c for c in rows.columns if c != _YEAR):
            raise ValueError(f"rows for {source.name} must have {expected}, had {rows.columns}")
        rows = rows.select(expected).cast(scan(path).select(expected).collect_schema())
    if _is_delta(path):
        dated = rows.with_columns(
            pl.col(source.timestamp_field).dt.year().cast(pl.Int32).alias(_YEAR)
        )
        with _turn(path):
            write_deltalake(str(path), dated.to_arrow(), mode="append")
    elif path.suffix == ".parquet":
        whole = pl.concat([scan(path).collect(), rows]) if path.exists() else rows
        write_whole(path, whole)
    else:
        path.mkdir(parents=True, exist_ok=True)
        content = _parquet(rows)
        # Named by its content: the same batch written twice is one file.
        _place(path / f"{sha256(content).hexdigest()[:32]}.parquet", content)


def write_whole(path: Path, rows: pl.DataFrame) -> None:
    """Write one Parquet file; whoever reads sees the old one or the new one."""
    _place(path, _parquet(rows))


def _parquet(rows: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    rows.write_parquet(buffer)
    return buffer.getvalue()


def _place(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        file.write(content)
    Path(file.name).replace(path)
