"""The warm tier: recent bars, features, decisions, orders, fills as Parquet under DuckDB views."""

import json
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from adapters.stores.segments import Segment, TierCorruptionError, checked, cut, span

_SUFFIX = ".parquet"
_META = "apiary.segment"


class WarmStore:
    """Tables as folders of immutable Parquet segments under `root`.

    A segment appears by one rename after its bytes were synced, so that a reader or a crash sees
    all of it or nothing. Its name is the hash of its rows: written twice, it is there once.
    """

    tier = "warm"

    def __init__(self, root: Path) -> None:
        self._root = Path(root)

    def write(self, table: str, rows: pl.DataFrame) -> tuple[Segment, ...]:
        """Add the rows in one segment per month and return the segments."""
        folder = self._root / table
        folder.mkdir(parents=True, exist_ok=True)
        paths: list[Path] = []
        for digest, part in cut(table, rows):
            paths.append(folder / (digest + _SUFFIX))
            if not paths[-1].exists():
                _write_whole(paths[-1], part)
        return tuple(_segment(table, path) for path in paths)

    def segments(self, table: str) -> tuple[Segment, ...]:
        """Return the segments of a table, oldest name first; none where there is no such table."""
        return tuple(_segment(table, path) for path in self._files(table))

    def read_segment(self, segment: Segment) -> pl.DataFrame:
        """Return the rows of a segment, verified; KeyError where it is not there."""
        path = self._root / segment.table / (segment.content_hash + _SUFFIX)
        if not path.exists():
            raise KeyError(f"the warm tier has no segment {path.name} of {segment.table}")
        try:
            rows = pl.read_parquet(path, hive_partitioning=False, glob=False)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise TierCorruptionError(f"{path} must be a Parquet file: {error}") from error
        return checked(segment, rows)

    def remove(self, table: str, segments: Iterable[Segment]) -> None:
        for segment in segments:
            (self._root / table / (segment.content_hash + _SUFFIX)).unlink(missing_ok=True)
        _sync_folder(self._root / table)

    def tables(self) -> tuple[str, ...]:
        if not self._root.is_dir():
            return ()
        return tuple(sorted(p.name for p in self._root.iterdir() if any(p.glob("*" + _SUFFIX))))

    def read(
        self,
        table: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> pl.DataFrame:
        """Return rows with start <= event_time < end; KeyError where the table does not exist."""
        files = self._files(table)
        if not files:
            raise KeyError(f"the warm tier has no table {table} in {self._root}")
        scan = pl.concat([pl.scan_parquet(f, glob=False) for f in files], how="diagonal_relaxed")
        if start is not None:
            scan = scan.filter(pl.col("event_time") >= start)
        if end is not None:
            scan = scan.filter(pl.col("event_time") < end)
        return scan.unique(maintain_order=True).collect()

    def query(self, sql: str) -> pl.DataFrame:
        """Return the answer of a DuckDB query in which every warm table is a view.

        The views hold each row once. Nothing outside the tier can be reached.
        """
        with duckdb.connect(":memory:") as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for table in self.tables():
                connection.execute(_view(table, self._files(table)))
            connection.execute(f"SET allowed_directories = ['{self._root}/']")
            connection.execute("SET enable_external_access = false")
            return pl.DataFrame(connection.execute(sql).to_arrow_table())

    def _files(self, table: str) -> list[Path]:
        return sorted((self._root / table).glob("*" + _SUFFIX))


def _view(table: str, files: Iterable[Path]) -> str:
    names = ", ".join("'" + str(f).replace("'", "''") + "'" for f in files)
    source = f"read_parquet([{names}], union_by_name = true, hive_partitioning = false)"
    return f'CREATE VIEW "{table}" AS SELECT DISTINCT * FROM {source}'


def _segment(table: str, path: Path) -> Segment:
    meta = json.loads(pl.read_parquet_metadata(path)[_META])
    first, last = (datetime.fromisoformat(t) if t else None for t in (meta["first"], meta["last"]))
    size = path.stat().st_size
    return Segment(table, path.stem, meta["row_count"], size, first, last)


def _write_whole(path: Path, rows: pl.DataFrame) -> None:
    """Write, sync, rename, sync the folder: after any crash the file is whole or absent."""
    first, last = span(rows)
    meta = {
        "row_count": rows.height,
        "first": first.isoformat() if first else None,
        "last": last.isoformat() if last else None,
    }
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        rows.write_parquet(file, metadata={_META: json.dumps(meta)})
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if not folder.is_dir():
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
