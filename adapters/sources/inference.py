"""A first mapping for an undescribed folder: what is certain is written, the rest is asked."""

import fnmatch
import logging
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal

import polars as pl
import yaml

from adapters.sources.action_drafts import MEASURE_OF, with_actions
from adapters.sources.column_names import known_columns, zone_in_name
from adapters.sources.draft_adjustments import with_adjustments
from adapters.sources.draft_names import UNNAMED, named_by_path, with_shared_intervals
from adapters.sources.draft_patterns import with_patterns
from adapters.sources.drafts import (
    Draft,
    pieces_of_one,
    shared_calendar,
    tables_of,
)
from adapters.sources.file_names import file_stem, ticker_of
from adapters.sources.json_records import NoRecordsError
from adapters.sources.mapping import (
    DEFAULT_NULLS,
    Condition,
    Csv,
    Field,
    Instrument,
    Knowledge,
    Mapping,
    MappingError,
    TableMapping,
    TimeField,
    Unpivot,
)
from adapters.sources.reading import (
    UnreadableFileError,
    contents,
    decode,
    members,
    read_rows,
)
from adapters.sources.special_formats import grouped_columns, grouped_header
from adapters.sources.stamps import recognise
from adapters.sources.text_layout import begins_with_data, layout_of
from adapters.sources.wheels import Progress

_READABLE = (".csv", ".txt", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".gz", ".zip")
_SAMPLED = 2_000  # prices looked at for their decimals
_log = logging.getLogger(__name__)
_TOLD_EVERY = 100  # files
_TOLD_MAX = 8  # questions in one line
_THESE = "{files}"  # the file, or a pattern of the files, that a question is about
_LEAVE_OUT = f"leave it out with --ignore {_THESE}"
_WIDE_MIN = 2  # fewer number columns than this are one series, not a wide file


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """Answers to what no file says of itself; None where the user does not know either.

    `currency` may be a hundredth (GBX), `encoding` is of text that is not UTF-8, `ignore` are
    patterns of files to leave out.
    """

    day_first: bool | None = None
    zone: str | None = None
    encoding: str | None = None
    adjustment: Literal["raw", "split", "total_return"] | None = None
    currency: str | None = None
    calendar: str | None = None
    id_prefix: str | None = None
    asset_class: str | None = None
    ignore: tuple[str, ...] = ()


def infer_mapping(
    folder: Path, hints: Hints | None = None, progress: Progress = _log.info
) -> Mapping:
    """Return a mapping of every file that can be recognised.

    Calendar, currency and class follow from the symbols, from a column that names the exchange or
    the currency, or from the days that the files have. Raises MappingError with all open
    questions in one line: dates that read both as month/day and day/month, times of day without a
    zone, prices in an unknown unit, files whose columns name no table. A wrong guess would be a
    wrong trade, so there is none.
    """
    given = hints or Hints()
    questions: dict[str, list[str]] = {}
    drafts, ignore = _drafts(folder, given, questions, progress)
    drafts, unnamed = named_by_path(with_shared_intervals(drafts))
    if unnamed:
        questions.setdefault(UNNAMED, []).extend(draft.relative for draft in unnamed)
    days = shared_calendar(drafts, given)
    pieces = pieces_of_one(drafts)
    made: list[tuple[Draft, list[TableMapping]]] = []
    for draft in drafts:
        try:
            made.append((draft, tables_of(draft, given, days, whole=draft.relative not in pieces)))
        except MappingError as error:
            questions.setdefault(str(error), []).append(draft.relative)
    tables: list[TableMapping] = []
    if not questions:
        tables, questions = with_adjustments(folder, made, given.adjustment)
    if questions:
        raise MappingError(
            f"{folder} must be described in a mapping (docs/how-to/add-a-source.md) or by options, "
            f"because no file says: {_listed(questions)}"
        )
    if not tables:
        raise MappingError(f"{folder} must hold files of {_READABLE} with rows, held none")
    name = re.sub(r"\W+", "_", folder.name)
    return Mapping(name=name, tables=with_patterns(folder, tables), ignore=ignore)


def _drafts(
    folder: Path, hints: Hints, questions: dict[str, list[str]], progress: Progress
) -> tuple[list[Draft], dict[str, str]]:
    """Return what each file says of itself, and the files left out; questions are added."""
    drafts: list[Draft] = []
    ignore: dict[str, str] = {}
    paths = list(_files(folder))
    for count, path in enumerate(paths, start=1):
        if count % _TOLD_EVERY == 0:
            progress(f"looked at {count:,} of {len(paths):,} files")
        relative = path.relative_to(folder).as_posix()
        if any(fnmatch.fnmatch(relative, pattern) for pattern in hints.ignore):
            ignore[relative] = "left out as asked"
            continue
        try:
            drafts.append(_draft(relative, path, hints))
        except _NoTableError as error:
            ignore[relative] = str(error)
        except UnreadableFileError as error:
            questions.setdefault(f"{error}; {_LEAVE_OUT}", []).append(relative)
        except MappingError as error:
            questions.setdefault(str(error), []).append(relative)
    return drafts, ignore


def _asked(question: str, files: list[str]) -> str:
    """Return a question with the files that it is about, each question once."""
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    of_them = "PATTERN" if more else repr(files[0])
    return f"{files[0]}{more}: {question.replace(_THESE, of_them)}"


def _listed(questions: dict[str, list[str]]) -> str:
    """Return the questions in one line that can still be read."""
    told = [_asked(*item) for item in questions.items()]
    left = [f"and {len(told) - _TOLD_MAX} more questions"] if len(told) > _TOLD_MAX else []
    return "; ".join([*told[:_TOLD_MAX], *left])


def to_yaml(mapping: Mapping) -> str:
    """Return the mapping as the YAML that `load_mapping` reads, defaults left out."""
    tables = [_plain(table) for table in mapping.tables]
    content = {"name": mapping.name, "tables": tables, "ignore": dict(mapping.ignore)}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


class _NoTableError(Exception):
    """The file holds no rows, or is a text about the data."""


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() in _READABLE:
            yield path


def _draft(relative: str, path: Path, hints: Hints) -> Draft:
    """Return what one file says of itself."""
    name, content = next(contents(path))
    is_text = not name.lower().endswith((".parquet", ".pq", ".json", ".jsonl", ".ndjson"))
    if is_text and _is_prose(path):
        raise _NoTableError("about the data")
    text = _text(name, content, hints.encoding) if is_text else ""
    layout = replace(layout_of(text), encoding=hints.encoding) if is_text else Csv()
    is_grouped = is_text and grouped_columns(text) is not None
    if is_text and not is_grouped and begins_with_data(text, layout):
        raise MappingError(
            "the first line must be a header, is data: write csv: {header: [...]} in a mapping, or "
            "leave such files out with --ignore PATTERN"
        )
    try:
        raw = grouped_header(name, content) if is_grouped else read_rows(name, content, layout)
    except UnreadableFileError as error:
        if isinstance(error.__cause__, NoRecordsError):
            raise _NoTableError("JSON without records") from None
        raise
    rows = raw.rows.drop("source_row", strict=False)
    if rows.is_empty() and not raw.ragged.is_empty():
        raise MappingError(
            "its lines must fit its header, none does: write csv: {skip_lines: ...} in a mapping, "
            f"or {_LEAVE_OUT}"
        )
    if rows.is_empty():
        raise _NoTableError("holds no rows")
    columns = known_columns(rows)
    leave_out = f"or {_LEAVE_OUT}"
    if "time" not in columns:
        raise MappingError(
            f"which of the columns {rows.columns} is the time? write a mapping, {leave_out}"
        )
    try:
        table, unpivot = _kind(rows, with_actions(columns, rows.columns, relative))
    except MappingError as error:
        raise MappingError(f"{error} write a mapping, {leave_out}") from None
    time, parts = columns["time"], (columns["time"],)
    stamped = rows[time]
    if "clock" in columns and not _is_midnight(rows[columns["clock"]]):
        parts = (time, columns["clock"])
        stamped = rows.select(
            pl.concat_str(
                [pl.col(c).cast(pl.String).str.strip_chars() for c in parts], separator=" "
            )
        ).to_series()
    zone = hints.zone or zone_in_name(time)
    stamps = recognise(stamped, time, hints.day_first, zone)
    symbols = _symbols_of(rows, columns, unpivot, relative, path)
    prices = rows[columns["close"]] if "close" in columns else None
    return Draft(
        relative=relative, table=table, layout=layout, columns=columns, stamps=stamps, parts=parts,
        unpivot=unpivot, symbols=symbols, decimals=_decimals(prices, layout),
        format="grouped_header" if is_grouped else "auto",
    )  # fmt: skip


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


def _is_midnight(clock: pl.Series) -> bool:
    """Return whether no time of day is told: 000000 beside every day."""
    return bool(clock.cast(pl.String).str.strip_chars().str.contains(r"^[0:.]*$").all())


def _is_prose(path: Path) -> bool:
    name = path.name.lower()
    return name.startswith(("readme", "license", "licence", "requirements", "changelog"))


def _symbols_of(
    rows: pl.DataFrame,
    columns: dict[str, str],
    unpivot: Unpivot | None,
    relative: str,
    path: Path,
) -> list[tuple[str, str | None]]:
    """Return the (symbol, exchange) pairs of a file; its name where it has no column of symbols.

    The members of an archive are files of their own.
    """
    exchange = columns.get("exchange")
    if unpivot is not None:
        return [(c, None) for c in rows.columns if c not in unpivot.index]
    if "symbol" in columns:
        named = [pl.col(columns["symbol"]).cast(pl.String).str.strip_chars().alias("symbol")]
        venue = pl.lit(None, pl.String) if exchange is None else pl.col(exchange).cast(pl.String)
        pairs = rows.select(*named, exchange=venue).drop_nulls("symbol").unique(maintain_order=True)
        return list(pairs.iter_rows())
    venue = None if exchange is None else rows[exchange].cast(pl.String).drop_nulls()
    named_by = [relative] if not relative.lower().endswith(".zip") else members(path)
    place = None if venue is None or venue.is_empty() else venue[0]
    return [(_ticker_or_stem(name), place) for name in named_by]


def _ticker_or_stem(relative: str) -> str:
    try:
        return ticker_of(relative)
    except MappingError:
        return file_stem(relative)


def _decimals(prices: pl.Series | None, layout: Csv) -> int:
    """Return how many decimals most prices are written with."""
    if prices is None:
        return 2
    text = prices.drop_nulls().head(_SAMPLED).cast(pl.String).str.strip_chars()
    mark = re.escape(layout.decimal)
    if prices.dtype == pl.Float32() or prices.dtype == pl.Float64():
        mark = r"\."
    count = text.str.extract(mark + r"(\d+)$").str.strip_chars_end("0").str.len_chars().fill_null(0)
    found = count.quantile(0.95, "nearest")
    return 2 if found is None else int(found)


def _kind(rows: pl.DataFrame, columns: dict[str, str]) -> tuple[str, Unpivot | None]:
    """Return the table that the columns name, and how a wide file becomes long."""
    if {"bid", "ask"} <= set(columns):
        return "quotes", None
    if "close" in columns:
        return "bars", None
    if "headline" in columns:
        return "news", None
    if "symbol" in columns and not columns.keys().isdisjoint(MEASURE_OF):
        return "corporate_actions", None
    if {"price", "size"} <= set(columns):
        return "trades", None
    if {"series_id", "value"} <= set(columns):
        return "macro", None
    time = columns["time"]
    numeric = [c for c in rows.columns if c != time and _is_numeric(rows[c])]
    if len(numeric) == rows.width - 1 >= _WIDE_MIN:
        tickers = all(re.fullmatch(r"[A-Z][A-Z0-9.\-]{0,9}", c) for c in numeric)
        if tickers and "value" not in columns and "price" not in columns:
            return "bars", Unpivot(index=(time,), name="symbol", value="close")
        return "macro", Unpivot(index=(time,), name="series", value="value")
    if len(numeric) == 1:
        columns["value"] = numeric[0]
        return "macro", None
    raise MappingError(f"which table are the columns {rows.columns}?")


def _is_numeric(column: pl.Series) -> bool:
    if column.dtype.is_numeric():
        return True
    if column.dtype != pl.String:
        return False
    text = column.str.strip_chars()
    written = text.filter(text.is_not_null() & ~text.is_in(list(DEFAULT_NULLS)))
    number = written.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    return len(written) > 0 and number.is_not_null().mean() > 0.5  # type: ignore[operator]  # of a filled column


def _plain(spec: object) -> dict[str, object]:
    """Return a dataclass as plain entries, those that say nothing left out."""
    made: dict[str, object] = {}
    for f in fields(spec):  # type: ignore[arg-type]  # always one of the mapping's dataclasses
        value = getattr(spec, f.name)
        if value in (None, "", (), {}) or (f.name != "column" and value == f.default):
            continue
        if f.name == "nulls":
            value = [marker for marker in value if marker not in DEFAULT_NULLS]
        elif f.name == "columns" and isinstance(value, dict):
            value = {name: _plain(field) for name, field in value.items()}
        elif isinstance(value, tuple) and value and isinstance(value[0], Condition):
            value = [asdict(item) for item in value]
        elif isinstance(value, (Field, TimeField, Csv, Instrument, Unpivot, Knowledge)):
            value = _plain(value)
        elif isinstance(value, tuple):
            value = value[0] if len(value) == 1 else list(value)
        if value not in ([], {}):
            made[f.name] = value
    return made
