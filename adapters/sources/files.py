"""The file source: a folder of CSV, JSON, Parquet or zip files, read as its mapping says."""

import fnmatch
import hashlib
import logging
import operator
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingLike
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from adapters.sources.batches import ROW_BITS, FileRows, in_batches, joined
from adapters.sources.deliveries import as_versions, delivered, missing_later
from adapters.sources.file_batches import Read, batch_of, load, put
from adapters.sources.file_digests import FileDigests
from adapters.sources.kept_frames import KeptFrames, Shelf
from adapters.sources.mapping import Mapping, MappingError, TableMapping
from adapters.sources.mapping_series import Deliveries
from adapters.sources.packed import contents, left_over
from adapters.sources.reading import RawRows, read_rows, read_whole
from adapters.sources.rows import TableRows, to_table
from adapters.sources.special_formats import (
    grouped_header,
    lean_factor_file,
    lean_map_file,
    stamped_json,
)
from adapters.sources.tick_bars import drawn_bars
from adapters.sources.unread_columns import unread_columns
from adapters.sources.wheels import Progress, sha256_of
from features.calendars import utc
from features.schemas import INSTRUMENTS, QUARANTINE_COLUMNS, TABLES

_SPECIAL = {
    "lean_map_file": lean_map_file,
    "lean_factor_file": lean_factor_file,
    "stamped_json": stamped_json,
    "grouped_header": grouped_header,
}
# Tick and lot where a mapping gives none: a cent is far too coarse for these.
_USUAL_INCREMENTS = {"fx": ("0.00001", "1"), "crypto": ("0.0001", "0.0001")}
_log = logging.getLogger(__name__)
_TOLD_EVERY = 100  # files


class FileSource:
    """A `Source` over a folder, read as its mapping says.

    Rows that cannot be read are never dropped: `rejected` returns them with the reason. Files are
    read when a table is first asked for and again when what they hold changes; with `kept`, what
    an earlier process read of the same content is not read again. The source of a row is
    "files/<mapping>/<data set>", its source_row the row in the file (`locate` finds it).
    Raises MappingError where the mapping does not fit a file, UnreadableFileError where a file
    cannot be read at all.
    """

    def __init__(
        self,
        folder: Path,
        mapping: Mapping,
        progress: Progress = _log.info,
        kept: KeptFrames | None = None,
    ) -> None:
        if not folder.is_dir():
            raise FileNotFoundError(f"folder must be a directory, was {folder}")
        self._folder = folder
        self._mapping = mapping
        self._progress = progress
        self._kept = kept
        self._digests = FileDigests()
        self._read: dict[int, Read] = {}
        # Sorted tables, each with the parts it was made of, and what later deliveries lack of them.
        self._sorted: dict[str, tuple[list[TableRows], pl.DataFrame]] = {}
        self._missing: dict[str, pl.DataFrame] = {}

    @property
    def name(self) -> str:
        """The mapping's name, which begins every row's source."""
        return f"files/{self._mapping.name}"

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables the mapping has records for; instruments have their own method."""
        names = dict.fromkeys(spec.table for spec in self._mapping.tables)
        return tuple(name for name in names if name != INSTRUMENTS.name)

    def fetch(self, table: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the table's rows with start <= event_time < end, sorted by key."""
        if table not in self.tables:
            raise ValueError(f"table must be one of {self.tables}, was {table!r}")
        inside = (pl.col("event_time") >= utc(start)) & (pl.col("event_time") < utc(end))
        return self._all_rows(table).filter(inside)

    def rejected(self, table: str | None = None) -> pl.DataFrame:
        """Return the rows that could not be read, or that a later delivery lacks, with reasons."""
        parts = [
            batch.table_rows.rejected
            for number, spec in enumerate(self._mapping.tables)
            if table in {None, spec.table}
            for batch in self._read_spec(number, spec).batches
        ]
        again = {spec.table for spec in self._mapping.tables if spec.deliveries is not None}
        for name in sorted(again if table is None else again & {table}):
            self._all_rows(name)
            parts += [self._missing[name]] if name in self._missing else []
        rows = pl.concat([pl.DataFrame(schema=QUARANTINE_COLUMNS), *parts])
        return rows.sort("table", "source", "source_row", maintain_order=True)

    def instruments(self) -> pl.DataFrame:
        """Return the INSTRUMENTS rows of the mapping's own table and of every symbol seen."""
        named = self._instrument_table
        found = [
            self._instruments_of(spec, self._symbols_of(number, spec))
            for number, spec in enumerate(self._mapping.tables)
            if spec.table != INSTRUMENTS.name and spec.instrument is not None
        ]
        seen = pl.concat([INSTRUMENTS.empty(), *found]).unique(
            ["instrument_id", "ticker"], keep="first", maintain_order=True
        )
        # An identity that the mapping's table describes is not described a second time.
        unnamed = seen.join(named, on="instrument_id", how="anti")
        return pl.concat([named, unnamed]).sort(*INSTRUMENTS.key)

    def files(self) -> pl.DataFrame:
        """Return path, table, bytes and sha256 of every file that the mapping reads."""
        rows = [
            (str(path.relative_to(self._folder)), spec.table, path.stat().st_size, sha256_of(path))
            for spec in self._mapping.tables
            for path in self._paths(spec)
        ]
        schema = {
            "path": pl.String(),
            "table": pl.String(),
            "bytes": pl.Int64(),
            "sha256": pl.String(),
        }
        return pl.DataFrame(rows, schema=schema, orient="row")

    def unmapped_files(self) -> tuple[str, ...]:
        """Return the files that neither a table nor `ignore` names: nothing vanishes silently.

        Members of archives that cannot be read are files too (all.zip/notes.xlsx).
        """
        mapped = {path for spec in self._mapping.tables for path in self._paths(spec)}
        names, ignored = left_over(self._folder, mapped), tuple(self._mapping.ignore)
        return tuple(n for n in names if not any(fnmatch.fnmatch(n, p) for p in ignored))

    def left_out(self, table: str | None = None) -> tuple[str, ...]:
        """Return a line for the columns of its files that no table reads, of one table or of all.

        Tables are read for it, as by `fetch`.
        """
        found = unread_columns(
            (spec, batch.layout)
            for number, spec in enumerate(self._mapping.tables)
            for batch in self._read_spec(number, spec).batches
        )
        return tuple(line for name, line in found.items() if table in {None, name})

    def locate(self, source: str, source_row: int) -> tuple[Path, int]:
        """Return the file and the row in it that a record came from (row 0 follows the header).

        Raises KeyError where no file of this folder holds it.
        """
        tag, row = source_row >> ROW_BITS, source_row & ((1 << ROW_BITS) - 1)
        for spec in self._mapping.tables:
            for path in self._paths(spec):
                same_source = self._source_of(spec, path) == source
                if same_source and tag == self._tag(spec, path):
                    return path, row
        raise KeyError(
            f"source must be one of {self.name!r} with its row, was {source}, {source_row}"
        )

    def _all_rows(self, table: str) -> pl.DataFrame:
        schema = TABLES[table]
        specs = [(n, spec) for n, spec in enumerate(self._mapping.tables) if spec.table == table]
        held = [
            (spec, [batch.table_rows for batch in self._read_spec(n, spec).batches])
            for n, spec in specs
        ]
        parts = [part for _, found in held for part in found]
        made_of, rows = self._sorted.get(table, ([], schema.empty()))
        if len(made_of) == len(parts) and all(map(operator.is_, made_of, parts)):
            return rows
        by = dict.fromkeys((*schema.key, "knowledge_time", "source", "source_row"))
        order = [column for column in by if column in schema.columns]
        frames = [_rows_of(spec, found) for spec, found in held if found]
        rows = self._in_versions(table, pl.concat([schema.empty(), *frames]))
        rows = rows.sort(order, maintain_order=True)
        self._sorted[table] = (parts, rows)
        return rows

    def _in_versions(self, table: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows, those of data sets that are delivered again and again as versions."""
        again: dict[str, tuple[Deliveries, dict[int, str]]] = {}
        for spec in self._mapping.tables:
            if spec.table == table and spec.deliveries is not None:
                _, tags = again.setdefault(spec.dataset or table, (spec.deliveries, {}))
                tags |= {
                    self._tag(spec, path): path.relative_to(self._folder).as_posix()
                    for path in self._paths(spec)
                }
        none, tag = pl.DataFrame(schema=QUARANTINE_COLUMNS), pl.col("source_row") // (1 << ROW_BITS)
        missing = [none]
        for dataset, (deliveries, tags) in again.items():
            of_it = (pl.col("source") == f"{self.name}/{dataset}") & tag.is_in(list(tags))
            files = delivered(deliveries, tags.items())
            again_told = rows.filter(of_it)
            missing.append(missing_later(again_told, TABLES[table], files))
            versions = as_versions(again_told, TABLES[table], files)
            rows = pl.concat([rows.filter(~of_it), versions])
        self._missing[table] = pl.concat(missing)
        return rows

    def _read_spec(self, number: int, spec: TableMapping) -> Read:
        """Return the rows of the files; those that changed are read again."""
        paths = {path.relative_to(self._folder).as_posix(): path for path in self._paths(spec)}
        now = {name: self._digests.of(path) for name, path in paths.items()}
        known = self._read.get(number)
        if known is not None and known.digests == now:
            return known
        instruments = None
        if spec.instrument is not None and spec.instrument.resolve:
            instruments = self._instrument_table
        shelf = self._shelf(number, spec, instruments)
        if known is None:
            known = Read({}) if shelf is None else load(shelf)
        read = known.still_true(now)
        wanted = {name: path for name, path in paths.items() if name not in read.digests}
        tags = {name: self._tag(spec, path) for name, path in wanted.items()}
        for batch in in_batches(self._file_rows(spec, wanted, read.digests)):
            rows = self._converted(spec, batch, instruments)
            read.batches.append(batch_of(batch, tags, rows))
        if shelf is not None and read.digests != known.digests:
            read = read.tidied()
            put(shelf, read)
        self._read[number] = read  # whole, or not at all
        return read

    def _shelf(
        self, number: int, spec: TableMapping, instruments: pl.DataFrame | None
    ) -> Shelf | None:
        """Return where rows read by this table are kept: of its mapping in all but the files."""
        if self._kept is None:
            return None
        rules = [replace(s, files=("",), exclude=None) for s in self._mapping.tables[: number + 1]]
        bearers = None if instruments is None else instruments.hash_rows().to_list()
        return self._kept.shelf(
            "rows", self._folder.resolve(), self.name, rules[-1], rules.count(rules[-1]),
            self._has_one_file(spec), bearers,
        )  # fmt: skip

    def _file_rows(
        self, spec: TableMapping, paths: MappingLike[str, Path], digests: dict[str, str]
    ) -> Iterator[FileRows]:
        """Yield what the files hold, and note the hash of what was read of each."""
        for count, (relative, path) in enumerate(paths.items(), start=1):
            source, offset = self._source_of(spec, path), self._tag(spec, path) << ROW_BITS
            whole = read_whole(path)
            digests[relative] = hashlib.sha256(whole).hexdigest()
            for name, content in contents(path, whole):
                raw = self._raw(spec, name, content)
                groups = self._groups(spec, relative if name in relative else name)
                yield FileRows(relative, source, offset, groups, raw)
                offset += raw.rows.height + raw.ragged.height
            if count % _TOLD_EVERY == 0:
                self._progress(f"read {count:,} of {len(paths):,} files of {spec.table}")

    def _converted(
        self, spec: TableMapping, files: list[FileRows], instruments: pl.DataFrame | None
    ) -> TableRows:
        try:
            ticks = replace(spec, table=spec.read_as, drawn=None)
            rows = to_table(ticks, joined(files), instruments=instruments)
        except (MappingError, pl.exceptions.PolarsError) as error:
            if len(files) > 1:  # the file that does not fit is to be named
                for file in files:
                    self._converted(spec, [file], instruments)
            is_ours = isinstance(error, MappingError)
            what = ":" if is_ours else " must fit its mapping, did not:"
            raise MappingError(f"{files[0].name}{what} {str(error).splitlines()[0]}") from error
        if spec.drawn is None:
            return rows
        return replace(rows, rejected=rows.rejected.with_columns(table=pl.lit(spec.table)))

    def _raw(self, spec: TableMapping, name: str, content: bytes) -> RawRows:
        special = _SPECIAL.get(spec.format)
        if special is not None:
            return special(name, content)
        return read_rows(name, content, spec.csv, spec.format)

    def _groups(self, spec: TableMapping, name: str) -> dict[str, str]:
        if spec.file_name is None:
            return {}
        match = re.search(spec.file_name, name)
        if match is None:
            raise MappingError(f"{name} must match file_name {spec.file_name!r}, did not")
        return {key: value or "" for key, value in match.groupdict().items()}

    def _paths(self, spec: TableMapping) -> list[Path]:
        found: dict[Path, None] = {}
        for pattern in spec.files:
            named = self._folder.glob(pattern) if _is_pattern(pattern) else [self._folder / pattern]
            found |= dict.fromkeys(path for path in sorted(named) if path.is_file())
        if spec.exclude is None:
            return list(found)
        return [path for path in found if not fnmatch.fnmatch(path.name, spec.exclude)]

    def _source_of(self, spec: TableMapping, path: Path) -> str:
        dataset = spec.dataset or spec.table
        if spec.source_per_file:
            return f"{self.name}/{dataset}:{path.relative_to(self._folder).as_posix()}"
        return f"{self.name}/{dataset}"

    def _tag(self, spec: TableMapping, path: Path) -> int:
        """Return a number that names the file within its data set, whatever files come to it."""
        if spec.deliveries is None and (spec.source_per_file or self._has_one_file(spec)):
            return 0
        relative = path.relative_to(self._folder).as_posix()
        return zlib.crc32(relative.encode()) & 0x3FFFFFFF

    def _has_one_file(self, spec: TableMapping) -> bool:
        """Return whether the table's data set is one file, whatever files come to the folder."""
        is_one = len(spec.files) == 1 and not _is_pattern(spec.files[0])
        return is_one and self._layouts_of[spec.dataset or spec.table] == 1

    @cached_property
    def _layouts_of(self) -> Counter[str]:
        """How many choices of files share each data set."""
        return Counter(
            dataset
            for dataset, _ in {(s.dataset or s.table, s.files) for s in self._mapping.tables}
        )

    @cached_property
    def _instrument_table(self) -> pl.DataFrame:
        parts = [
            batch.table_rows.rows
            for number, spec in enumerate(self._mapping.tables)
            if spec.table == INSTRUMENTS.name
            for batch in self._read_spec(number, spec).batches
        ]
        return pl.concat([INSTRUMENTS.empty(), *parts]).unique(
            INSTRUMENTS.key, keep="first", maintain_order=True
        )

    def _symbols_of(self, number: int, spec: TableMapping) -> pl.DataFrame:
        """Return the symbols of a table's files in the order of the files, each once."""
        batches = self._read_spec(number, spec).batches
        if not batches:
            return pl.DataFrame()
        places = pl.DataFrame(
            [
                (self._source_of(spec, path), self._tag(spec, path), place)
                for place, path in enumerate(self._paths(spec))
            ],
            schema={"source": pl.String(), "tag": pl.Int64(), "place": pl.Int64()},
            orient="row",
        )
        seen = pl.concat([batch.table_rows.symbols for batch in batches])
        names = ("instrument_id", "symbol", "calendar", "currency")
        placed = seen.join(places, on=["source", "tag"], how="left")
        return placed.group_by(names).agg(pl.col("place").min()).sort("place", *names).select(names)

    def _instruments_of(self, spec: TableMapping, symbols: pl.DataFrame) -> pl.DataFrame:
        if spec.instrument is None or symbols.is_empty():
            return INSTRUMENTS.empty()
        what = spec.instrument
        tick, lot = _USUAL_INCREMENTS.get(what.asset_class, (None, None))
        return INSTRUMENTS.conform(
            symbols.rename({"symbol": "ticker"}).with_columns(
                asset_class=pl.lit(what.asset_class),
                venue=pl.lit(what.venue, dtype=pl.String),
                price_increment=pl.lit(what.price_increment or tick, dtype=pl.String),
                size_increment=pl.lit(what.size_increment or lot, dtype=pl.String),
                multiplier=pl.lit(what.multiplier, dtype=pl.String),
                source=pl.lit(f"{self.name}/{spec.dataset or spec.table}"),
            )
        )


def _rows_of(spec: TableMapping, parts: Sequence[TableRows]) -> pl.DataFrame:
    """Return what the batches of a table hold, as rows of it."""
    rows = pl.concat([part.rows for part in parts])
    if spec.drawn is None:
        return rows
    return drawn_bars(rows, spec.drawn, within_files=spec.deliveries is not None)


def _is_pattern(files: str) -> bool:
    return any(character in files for character in "*?[")
