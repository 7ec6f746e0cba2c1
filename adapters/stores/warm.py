"""The warm tier: recent bars, features, decisions, orders, fills as Parquet files on disk."""

import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import polars as pl

from adapters.stores.segments import (
    UNREADABLE,
    Segment,
    TierCorruptionError,
    asked,
    checked,
    cut,
    span,
)

_SUFFIX = ".parquet"
_META = "apiary.segment"

Stamp = tuple[int, int, int, int]  # size, times of content and of inode, inode


class WarmStore:
    """Tables as folders of immutable Parquet segments under `root`.

    A segment appears by one rename after its bytes were synced, so that a reader or a crash sees
    all of it or nothing. Its name is the hash of its rows: written twice, it is there once.
    """

    tier = "warm"
    on_server = False

    def __init__(self, root: Path) -> None:
        self._root = Path(root)
        # What was seen of files: a file is known again by size, times and inode.
        self._proven: dict[Path, Stamp] = {}  # of those that are whole
        self._told: dict[Path, tuple[Stamp, Segment, pl.Schema]] = {}

    def write(self, table: str, rows: pl.DataFrame) -> tuple[Segment, ...]:
        """Add the rows in one segment per month and return the segments."""
        folder = self._root / table
        folder.mkdir(parents=True, exist_ok=True)
        paths: list[Path] = []
        for digest, part in cut(table, rows):
            paths.append(folder / (digest + _SUFFIX))
            if not paths[-1].exists():
                _write_whole(paths[-1], part)
        return tuple(self._segment(table, path)[0] for path in paths)

    def segments(self, table: str) -> tuple[Segment, ...]:
        """Return the segments of a table, oldest name first; none where there is no such table."""
        return tuple(self._segment(table, path)[0] for path in self._files(table))

    def read_segment(self, segment: Segment) -> pl.DataFrame:
        """Return the rows of a segment, verified; KeyError where it is not there."""
        path = self._root / segment.table / (segment.content_hash + _SUFFIX)
        if not path.exists():
            raise KeyError(f"the warm tier has no segment {path.name} of {segment.table}")
        return checked(segment, _read(path))

    def prove(self, table: str) -> None:
        """Read each file that was not read since it changed; raises TierCorruptionError by name."""
        for path in self._files(table):
            with suppress(FileNotFoundError):  # it moved on
                stamp = _stamp(path)
                if self._proven.get(path) != stamp:
                    checked(self._segment(table, path)[0], _read(path))
                    self._proven[path] = stamp

    def _segment(self, table: str, path: Path) -> tuple[Segment, pl.Schema]:
        """Return what a file's footer tells, read once for as long as the file stays the same."""
        stamp, told = _stamp(path), self._told.get(path)
        if told is None or told[0] != stamp:
            told = self._told[path] = stamp, *_described(table, path)
        return told[1], told[2]

    def damages(self, table: str) -> Iterator[tuple[str, str]]:
        """Read every file; yield (name, reason) of those that are not what was written."""
        for path in self._files(table):
            try:
                self.read_segment(self._segment(table, path)[0])
            except TierCorruptionError as error:
                yield path.stem, " ".join(str(error).split())

    def scan(
        self,
        table: str,
        segments: Sequence[Segment],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        instrument_ids: Sequence[str] | None = None,
    ) -> pl.LazyFrame:
        """Return rows of these segments, read when collected."""
        files = [self._root / table / (s.content_hash + _SUFFIX) for s in segments]
        schemas = [self._segment(table, file)[1] for file in files]
        # A hash proves the rows, not the statistics beside them.
        if schemas and all(schema == schemas[0] for schema in schemas):
            rows = pl.scan_parquet(files, schema=schemas[0], glob=False, use_statistics=False)
            return asked(rows, start, end, instrument_ids)
        scans = [pl.scan_parquet(f, glob=False, use_statistics=False) for f in files]
        rows = pl.concat(scans, how="diagonal_relaxed") if scans else pl.LazyFrame()
        return asked(rows, start, end, instrument_ids)

    def remove(self, table: str, segments: Iterable[Segment]) -> None:
        for segment in segments:
            path = self._root / table / (segment.content_hash + _SUFFIX)
            path.unlink(missing_ok=True)
            self._proven.pop(path, None)
            self._told.pop(path, None)
        _sync_folder(self._root / table)

    def tables(self) -> tuple[str, ...]:
        if not self._root.is_dir():
            return ()
        return tuple(sorted(p.name for p in self._root.iterdir() if any(p.glob("*" + _SUFFIX))))

    def _files(self, table: str) -> list[Path]:
        return sorted((self._root / table).glob("*" + _SUFFIX))


def _read(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, hive_partitioning=False, glob=False)
    except FileNotFoundError:
        raise
    except (*UNREADABLE, pl.exceptions.PanicException) as error:
        raise TierCorruptionError(f"{path} must be a Parquet file: {error}") from error


def _stamp(path: Path) -> Stamp:
    told = path.stat()
    return told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino


def _described(table: str, path: Path) -> tuple[Segment, pl.Schema]:
    try:
        meta = json.loads(pl.read_parquet_metadata(path)[_META])
        times = (meta["first"], meta["last"])
        first, last = (datetime.fromisoformat(t) if t else None for t in times)
        size = path.stat().st_size
        segment = Segment(table, path.stem, meta["row_count"], size, first, last)
        return segment, pl.Schema(pl.read_parquet_schema(path))
    except FileNotFoundError:
        raise  # it moved on
    except (*UNREADABLE, pl.exceptions.PanicException) as error:
        raise TierCorruptionError(f"{path} must be a segment of {table}: {error}") from error


def _write_whole(path: Path, rows: pl.DataFrame) -> None:
    """Write, sync, rename, sync the folder: after any crash the file is whole or absent."""
    first, last = span(rows)
    meta = {
        "row_count": rows.height,
        "first": first.isoformat() if first else None,
        "last": last.isoformat() if last else None,
    }
    buffer = io.BytesIO()
    rows.write_parquet(
        buffer,
        compression="snappy",  # read often, and gone to the cold tier soon
        row_group_size=65_536,
        metadata={_META: json.dumps(meta)},
    )
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(buffer.getvalue())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)  # on a full disk half a file only takes more room
        text = f"the warm tier must be writable: {error.strerror or error}"
        raise OSError(error.errno, text, str(path)) from error
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if not folder.is_dir():
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
