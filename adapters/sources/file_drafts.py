"""What one file says of itself: its layout, its table, its columns, its stamps and its symbols."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import polars as pl

from adapters.sources.action_drafts import with_actions
from adapters.sources.cells import number_of
from adapters.sources.column_names import (
    known_column,
    known_columns,
    plain_name,
    zone_in_name,
)
from adapters.sources.draft import Draft
from adapters.sources.draft_series import series_columns
from adapters.sources.file_names import exchange_of, file_stem, ticker_of
from adapters.sources.header_units import price_currency
from adapters.sources.json_records import NoRecordsError
from adapters.sources.mapping import DEFAULT_NULLS, Csv, MappingError, TimeField, Unpivot
from adapters.sources.name_days import days_in
from adapters.sources.null_names import null_names
from adapters.sources.packed import contents, is_beside_data, members
from adapters.sources.partitions import FILE_DAY, FILE_YEAR, partition_value
from adapters.sources.path_days import dated_by_path, with_day_parts
from adapters.sources.quarters import with_whole_clock
from adapters.sources.reading import (
    RawRows,
    UnreadableFileError,
    decode,
    read_rows,
    read_whole,
)
from adapters.sources.special_formats import (
    PARQUET,
    grouped_columns,
    grouped_header,
    is_grouped_parquet,
)
from adapters.sources.stamps import recognise
from adapters.sources.table_kinds import kind_of, settled
from adapters.sources.text_layout import begins_with_data, layout_of, with_lean_units

THESE = "{files}"  # the file, or a pattern of the files, that a question is about
LEAVE_OUT = f"leave it out with --ignore {THESE}"
_SAMPLED = 2_000  # prices looked at for their decimals
_DECIMALS = 2  # where no price says how many
_REPEATED = 1.5  # rows a moment, from which on a file is of several instruments
_LAST_ZONE = "Etc/GMT+12"  # where a day ends last
_FIXED_POINT, _BILLIONTHS = {"rtype", "publisher_id"}, 1e6  # a thousandth, and more
_PLAIN = Csv()
# 127 and 16.5 of 32 parts as CBOT writes it (127'165, 127-16+), and 367 and 4 of 8 (367'4). Among
# prices of 127'165 in whole units most would end otherwise.
_FRACTION = r"^-?\d+['’^\-](?:[0-7]|(?:[0-2]\d|3[01])(?:[02357]|\+|\.\d+)?)$"
_FRACTIONS = 0.9  # of the prices
_CRSP_CLOSES = ("prc", "dlyprc")


class NoTableError(Exception):
    """The file holds no rows, or is a text about the data."""


class FileHints(Protocol):
    """What the user said of how the files are written."""

    @property
    def day_first(self) -> bool | None: ...
    @property
    def zone(self) -> str | None: ...
    @property
    def encoding(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFile:
    """A file that was opened and not yet read: its first member, and its text where it is one."""

    relative: str
    path: Path
    name: str
    content: bytes
    text: str = ""
    layout: Csv = _PLAIN
    is_text: bool = False
    is_grouped: bool = False

    def read(self) -> RawRows:
        """Return its rows; raises NoTableError, MappingError or UnreadableFileError."""
        if self.is_text and not self.is_grouped and begins_with_data(self.text, self.layout):
            raise MappingError(
                "the first line must be a header, is data: write csv: {header: [...]} in a "
                "mapping, or leave such files out with --ignore PATTERN"
            )
        try:
            if self.is_grouped:
                raw = grouped_header(self.name, self.content)
            else:
                raw = read_rows(self.name, self.content, self.layout)
        except UnreadableFileError as error:
            if isinstance(error.__cause__, NoRecordsError):
                raise NoTableError("JSON without records") from None
            raise
        if raw.rows.is_empty() and not raw.ragged.is_empty():
            raise MappingError(
                "its lines must fit its header, none does: write csv: {skip_lines: ...} in a "
                f"mapping, or {LEAVE_OUT}"
            )
        if raw.rows.is_empty():
            raise NoTableError("holds no rows")
        return raw


def open_file(relative: str, path: Path, hints: FileHints) -> OpenFile:
    """Return the file with its layout; raises as `OpenFile.read` does."""
    name, content = next(contents(path, read_whole(path)), ("", b""))
    if not name:
        raise NoTableError("an archive without data files")
    is_text = not name.lower().endswith((".parquet", ".pq", ".json", ".jsonl", ".ndjson"))
    if not is_text:
        return OpenFile(
            relative=relative, path=path, name=name, content=content,
            is_grouped=name.lower().endswith(PARQUET) and is_grouped_parquet(content),
        )  # fmt: skip
    if is_beside_data(path.name):
        raise NoTableError("about the data")
    text = _text(name, content, hints.encoding)
    return OpenFile(
        relative=relative, path=path, name=name, content=content, text=text, is_text=True,
        layout=replace(
            with_lean_units(layout_of(text), text, relative), encoding=hints.encoding
        ),
        is_grouped=grouped_columns(text) is not None,
    )  # fmt: skip


def draft_of(file: OpenFile, raw: RawRows, hints: FileHints) -> Draft:
    """Return what a file and its rows say; raises MappingError with a question."""
    rows = raw.rows.drop("source_row", strict=False)
    columns = known_columns(rows)
    leave_out = f"or {LEAVE_OUT}"
    if "time" not in columns:
        rows, columns = dated_by_path(file.name, file.relative, rows, columns)
    if "time" not in columns:
        raise MappingError(
            f"which of the columns {rows.columns} is the time? write a mapping, {leave_out}"
        )
    try:
        table, unpivot = kind_of(rows, with_actions(columns, rows, file.relative), file.relative)
        currency = price_currency(columns) if table == "bars" and unpivot is None else None
    except MappingError as error:
        raise MappingError(f"{error} write a mapping, {leave_out}") from None
    time, parts = columns["time"], (columns["time"],)
    stamped = rows[FILE_DAY if time == FILE_YEAR else time]
    if "clock" in columns and not is_midnight(rows[columns["clock"]]):
        parts = (time, columns["clock"])
        stamped = rows.select(stamp_of(parts)).to_series()
    _must_be_unpacked(file, stamped)
    stamps = recognise(stamped, time, hints.day_first, hints.zone or zone_in_name(time))
    try:
        table, unpivot = settled(table, unpivot, columns, stamps)
    except MappingError as error:
        raise MappingError(f"{error} write a mapping, {leave_out}") from None
    parts, stamps = with_day_parts(time, parts, stamps)
    known = _known_time(rows, time, hints, table)
    if unpivot is not None and unpivot.pattern:
        known = TimeField(
            column=("vintage",), format=("%Y%m%d",), zone=hints.zone or _LAST_ZONE, stands_for="day"
        )
    if table == "bars" and unpivot is None and "symbol" not in columns and known is None:
        columns |= _named_by_content(rows, stamped, columns)
    series: tuple[str, ...] = ()
    if table == "macro" and unpivot is None:
        moments = [stamped, *([] if known is None else [rows[known.column[0]]])]
        series = series_columns(rows, moments, columns)
        columns |= {"series_id": series[0]} if series else {}
    decimals = _DECIMALS
    priced = priced_column(columns)
    if priced is not None:
        _must_be_decimal(rows, priced)
        _must_be_numbers(rows[priced], file.layout)
        alone = pl.zeros(rows.height, dtype=pl.Int64, eager=True)
        decimals = decimals_of(rows[priced], alone, 1, file.layout)[0]
    return Draft(
        relative=file.relative, table=table, layout=file.layout, columns=columns, stamps=stamps,
        parts=parts, unpivot=unpivot, decimals=decimals,
        symbols=symbols_of(rows, columns, unpivot, file),
        format="grouped_header" if file.is_grouped else "auto", known=known,
        negative_closes=_marks_middles(rows, columns),
        volume_mark=_volume_mark(rows, columns, file.layout), series=series,
        currency=currency, not_null=null_names(rows, columns, file.relative),
    )  # fmt: skip


def priced_column(columns: Mapping[str, str]) -> str | None:
    """Return the column whose prices tell how finely an instrument is quoted."""
    return next((columns[m] for m in ("close", "price", "bid") if m in columns), None)


def _must_be_unpacked(file: OpenFile, stamped: pl.Series) -> None:
    """Raise MappingError on an archive of files that differ in their day alone, each of many days.

    They may be deliveries of one another, which files in a folder are looked at for.
    """
    if not file.relative.lower().endswith(".zip") or stamped.n_unique() <= 1:
        return
    named = [days_in(name) for name in members(file.path)]
    dated = [name.blanked for name in named if name.days]
    if len(set(dated)) < len(dated):
        raise MappingError(
            "its members differ in their day alone and hold several days each: unpack it, so that "
            f"what one delivery changes is told from the one before, or {LEAVE_OUT}"
        )


def is_crsp(columns: Mapping[str, str]) -> bool:
    """Return whether closes are CRSP's, which are negative where nobody traded."""
    return plain_name(columns.get("close", "")) in _CRSP_CLOSES


def _marks_middles(rows: pl.DataFrame, columns: Mapping[str, str]) -> bool:
    closes = rows[columns["close"]] if is_crsp(columns) else pl.Series(dtype=pl.Float64)
    return bool((closes.cast(pl.Float64, strict=False) < 0).any())


def _volume_mark(rows: pl.DataFrame, columns: Mapping[str, str], layout: Csv) -> str:
    """Return a point where it parts the thousands of volumes (2.323.322) beside prices of 1.5."""
    volume = columns.get("volume")
    if volume is None or rows.schema[volume] != pl.String or layout.decimal == ",":
        return ""
    return "." if rows[volume].str.contains(r"^\s*\d{1,3}(?:\.\d{3}){2,}\s*$").any() else ""


def _must_be_numbers(prices: pl.Series, layout: Csv) -> None:
    """Raise MappingError where most prices cannot be read: each row would be rejected."""
    if prices.dtype != pl.String:
        return
    text = prices.head(_SAMPLED).str.strip_chars()
    written = text.filter(text.is_not_null() & ~text.is_in(list(DEFAULT_NULLS)))
    if (
        parts := written.filter(written.str.contains(_FRACTION))
    ).len() > _FRACTIONS * written.len():
        raise MappingError(
            f"its prices must be decimal numbers, {prices.name!r} holds fractions such as "
            f"{parts[0]} (32nds, or eighths): write them as 127.515625, or {LEAVE_OUT}"
        )
    read = pl.DataFrame({"text": written}).select(number_of(pl.col("text"), layout)).to_series()
    if 2 * read.null_count() > written.len():
        odd = written.filter(read.is_null())[0]
        raise MappingError(
            f"how are the numbers of {prices.name!r}, such as {odd!r}, to be read? write them as "
            f"1234.5, csv: {{decimal: ..., thousands: ...}} in a mapping, or {LEAVE_OUT}"
        )


def _must_be_decimal(rows: pl.DataFrame, close: str) -> None:
    """Raise MappingError on prices in billionths, as Databento writes them unless asked not to."""
    prices = rows[close].cast(pl.Float64, strict=False)
    if _FIXED_POINT.issubset(rows.columns) and (prices.abs() >= _BILLIONTHS).any():
        raise MappingError(
            f"its prices must be in units of the currency, {close!r} is in billionths of them: "
            "ask the vendor for pretty prices, or write scale: 1.0e-9 at each in a mapping"
        )


def _known_time(rows: pl.DataFrame, time: str, hints: FileHints, table: str) -> TimeField | None:
    """Return how the moment is read at which a row was made public; None where nothing says it.

    A day without its hour says nothing of what was known at a decision of that day. Macro values
    are known when it is over, everywhere on earth where no zone is told; bars are used at once, so
    that of them such a day is not read.
    """
    column = None if table == "corporate_actions" else known_column(rows, time)
    if column is None or rows[column].null_count() == rows.height:
        return None
    stamps = recognise(rows[column], column, hints.day_first, hints.zone or zone_in_name(column))
    if stamps.days_only and table != "macro":
        return None
    if stamps.days_only:
        return TimeField(
            column=(column,), format=stamps.format, zone=stamps.zone or _LAST_ZONE,
            take=stamps.take, stands_for="day",
        )  # fmt: skip
    if stamps.needs_zone:
        raise MappingError(
            f"in which zone are the times of {column!r}? write --zone UTC, America/New_York or "
            "another"
        )
    return TimeField(column=(column,), format=stamps.format, zone=stamps.zone, take=stamps.take)


def _named_by_content(
    rows: pl.DataFrame, stamped: pl.Series, columns: Mapping[str, str]
) -> dict[str, str]:
    """Return the column of symbols where times repeat and one text column tells them apart.

    Raises MappingError where none or several do: bars of many must not be read as those of one.
    """
    written = stamped.drop_nulls()
    if written.len() < _REPEATED * written.n_unique():
        return {}
    left = [c for c in rows.columns if rows.schema[c] == pl.String and c not in columns.values()]
    told = [
        name
        for name in left
        if rows[name].n_unique() > 1
        and pl.DataFrame({"time": stamped, "name": rows[name]}).n_unique() >= 0.9 * rows.height
    ]
    if len(told) != 1:
        raise MappingError(
            f"which of the columns {rows.columns} names the instrument? its times are there "
            f"several times over; write symbol: in a mapping, or {LEAVE_OUT}"
        )
    return {"symbol": told[0]}


def _text(name: str, content: bytes, encoding: str | None) -> str:
    try:
        return decode(name, content, encoding)
    except UnreadableFileError:
        if encoding is None and content[:2] not in {b"\xff\xfe", b"\xfe\xff"}:
            raise MappingError(
                "in which encoding is it? it is not UTF-8; write --encoding cp1252 (Western "
                "Europe), latin-1, gb18030 or another"
            ) from None
        raise


def is_midnight(clock: pl.Series) -> bool:
    """Return whether no time of day is told: 000000 beside every day."""
    return bool(clock.cast(pl.String).str.strip_chars().str.contains(r"^[0:.]*$").all())


def symbols_of(
    rows: pl.DataFrame, columns: dict[str, str], unpivot: Unpivot | None, file: OpenFile
) -> list[tuple[str, str | None]]:
    """Return the (symbol, exchange) pairs of a file; its name where it has no column of symbols.

    The members of an archive are files of their own.
    """
    exchange = columns.get("exchange")
    if unpivot is not None:
        return [(c, None) for c in rows.columns if c not in unpivot.index]
    if "symbol" in columns:
        pairs = rows.select(*pair_of(columns)).drop_nulls("symbol").unique(maintain_order=True)
        return list(pairs.iter_rows())
    venue = None if exchange is None else rows[exchange].cast(pl.String).drop_nulls()
    is_archive = file.relative.lower().endswith(".zip")
    named_by = members(file.path) if is_archive else [file.relative]
    place = None if venue is None or venue.is_empty() else venue[0]
    place = place or partition_value(file.relative, "exchange")
    return [(_ticker_or_stem(name), place or exchange_of(name)) for name in named_by]


def pair_of(columns: Mapping[str, str]) -> tuple[pl.Expr, pl.Expr]:
    """Return the symbol and the exchange of a row, null where no column names it."""
    exchange = columns.get("exchange")
    venue = pl.lit(None, pl.String) if exchange is None else pl.col(exchange).cast(pl.String)
    symbol = pl.col(columns["symbol"]).cast(pl.String).str.strip_chars()
    return symbol.alias("symbol"), venue.alias("exchange")


def stamp_of(parts: Sequence[str]) -> pl.Expr:
    """Return the moment that is written in several columns as one text."""
    texts = [pl.col(part).cast(pl.String).str.strip_chars() for part in parts]
    return with_whole_clock(pl.concat_str(texts, separator=" "))


def _ticker_or_stem(relative: str) -> str:
    try:
        return ticker_of(relative)
    except MappingError:
        return file_stem(relative)


def decimals_of(prices: pl.Series, of_file: pl.Series, count: int, layout: Csv) -> list[int]:
    """Return how many decimals most prices of each of `count` files are written with."""
    told = pl.DataFrame({"price": prices, "file": of_file}).drop_nulls("price")
    told = told.filter(pl.int_range(pl.len()).over("file") < _SAMPLED)
    mark = r"\." if prices.dtype.is_float() else re.escape(layout.decimal)
    text = pl.col("price").cast(pl.String).str.strip_chars()
    places = text.str.extract(mark + r"(\d+)$").str.strip_chars_end("0").str.len_chars()
    usual = places.fill_null(0).quantile(0.95, "nearest").cast(pl.Int64)
    found = dict(told.group_by("file").agg(usual).iter_rows())
    return [found.get(file, _DECIMALS) for file in range(count)]
