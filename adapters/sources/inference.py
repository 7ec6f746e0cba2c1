"""A first mapping for an undescribed folder: what is certain is written, the rest is asked."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import polars as pl
import yaml

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
from adapters.sources.reading import contents, decode, read_rows, sniff_separator
from adapters.sources.stamps import Stamps, recognise

_READABLE = (".csv", ".txt", ".tsv", ".jsonl", ".ndjson", ".parquet", ".pq", ".gz", ".zip")
_NAMES: dict[str, tuple[str, ...]] = {
    "time": ("datetime", "timestamp", "date", "time", "ts", "day", "trade_date", "tradedate",
             "trading_day", "datum", "fecha", "data", "handelstag", "period",
             "month", "dt", "published", "published_at", "created_at"),
    "symbol": ("symbol", "ticker", "sym", "instrument", "isin", "ric", "security", "code",
               "kurzel", "simbolo", "symbole"),
    "open": ("open", "o", "open_price", "px_open", "opening_price",
             "eroffnung", "eroffnungskurs", "erster", "apertura", "ouverture", "abertura"),
    "high": ("high", "h", "high_price", "px_high",
             "hoch", "tageshoch", "maximo", "max", "plus_haut", "massimo", "alto"),
    "low": ("low", "l", "low_price", "px_low",
            "tief", "tagestief", "minimo", "min", "plus_bas", "basso", "bajo", "baixo"),
    "close": ("close", "c", "close_price", "px_last", "closing_price", "close_last", "last",
              "schluss", "schlusskurs", "schlussstand", "cierre", "cloture", "chiusura",
              "fechamento"),
    "volume": ("volume", "v", "vol", "qty_traded", "shares",
               "volumen", "stuck", "umsatz", "volumes"),
    "bid": ("bid", "bid_price", "bid_close"),
    "ask": ("ask", "ask_price", "offer", "ask_close"),
    "bid_size": ("bid_size", "bidsize", "bid_qty"),
    "ask_size": ("ask_size", "asksize", "ask_qty"),
    "headline": ("headline", "title", "text", "news"),
    "body": ("body", "description", "summary", "content"),
    "series_id": ("series_id", "series", "indicator", "variable"),
    "value": ("value", "rate", "yield", "level", "index"),
    "price": ("price", "trade_price", "px"),
    "size": ("size", "quantity", "qty", "amount"),
    "currency": ("currency", "ccy"),
}  # fmt: skip
_MEASURES = {
    "quotes": ("bid", "ask", "bid_size", "ask_size"),
    "bars": ("open", "high", "low", "close", "volume", "currency"),
    "news": ("headline", "body"),
    "trades": ("price", "size", "currency"),
    "macro": ("series_id", "value"),
}
# A file, or a member of an archive, that is named for its instrument.
_FILE_NAME = (
    r"(?i)(?:^|/)(?P<symbol>[^/_ ]+?)(?:\.us)?(?:[_ ][^/]*)?"
    r"(?:\.(?:csv|txt|tsv|jsonl|ndjson|parquet|pq|gz|zip))+$"
)
_WIDE_MIN = 2  # fewer number columns than this are one series, not a wide file


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """Answers to what no file says of itself; None where the user does not know either."""

    day_first: bool | None = None
    zone: str | None = None
    currency: str = "USD"
    calendar: str = "XNYS"
    id_prefix: str = "US."
    asset_class: str = "equity"


def infer_mapping(folder: Path, hints: Hints | None = None) -> Mapping:
    """Return a mapping of every file that can be recognised.

    Raises MappingError with all open questions in one line: dates that read both as month/day and
    day/month, times of day without a zone, files whose columns name no table. A wrong guess would
    be a wrong trade, so there is none.
    """
    given = hints or Hints()
    tables: list[TableMapping] = []
    questions: list[str] = []
    ignore: dict[str, str] = {}
    for path in _files(folder):
        relative = path.relative_to(folder).as_posix()
        try:
            tables.append(_table(relative, path, given))
        except _EmptyFileError:
            ignore[relative] = "holds no rows"
        except MappingError as error:
            questions.append(f"{relative}: {error}")
    if questions:
        raise MappingError(
            f"{folder} must be described in a mapping (docs/how-to/add-a-source.md), because no "
            f"file says: {'; '.join(questions)}"
        )
    if not tables:
        raise MappingError(f"{folder} must hold files of {_READABLE} with rows, held none")
    return Mapping(name=re.sub(r"\W+", "_", folder.name), tables=tuple(tables), ignore=ignore)


def to_yaml(mapping: Mapping) -> str:
    """Return the mapping as the YAML that `load_mapping` reads, defaults left out."""
    tables = [_plain(table) for table in mapping.tables]
    content = {"name": mapping.name, "tables": tables, "ignore": dict(mapping.ignore)}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


class _EmptyFileError(Exception):
    """The file has a header at most."""


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() in _READABLE:
            yield path


def _table(relative: str, path: Path, hints: Hints) -> TableMapping:
    name, content = next(contents(path))
    is_text = not name.endswith((".parquet", ".pq", ".jsonl", ".ndjson"))
    layout = _layout(name, content) if is_text else Csv()
    raw = read_rows(name, content, layout)
    rows = raw.rows.drop("source_row", strict=False)
    if rows.is_empty():
        raise _EmptyFileError
    columns = _known_columns(rows)
    if "time" not in columns:
        raise MappingError(f"which of the columns {rows.columns} is the time?")
    stamps = recognise(rows[columns["time"]], columns["time"], hints.day_first, hints.zone)
    table, unpivot = _kind(rows, columns)
    spec = _columns(table, columns, stamps, unpivot, relative, hints)
    return TableMapping(table=table, files=_escaped(relative), csv=layout, **spec)  # type: ignore[arg-type]  # the keys are its fields


def _layout(name: str, content: bytes) -> Csv:
    """Recognise separator and decimal mark; a comma is decimal where ; or tab separates 1,5."""
    text = decode(name, content)
    separator = sniff_separator(text)
    decimal = ","
    if separator == "," or not re.search(r"(?:^|[;\t|\"])-?\d+(?:\.\d{3})*,\d+(?:$|[;\t|\"\r])",
                                         text[: 1 << 16], re.MULTILINE):  # fmt: skip
        decimal = "."
    return Csv(separator=separator, decimal=decimal)


def _known_columns(rows: pl.DataFrame) -> dict[str, str]:
    """Return which column bears which meaning, by its name."""
    plain = {_plain_name(c): c for c in rows.columns}
    found = {
        meaning: next(plain[name] for name in names if name in plain)
        for meaning, names in _NAMES.items()
        if any(name in plain for name in names)
    }
    if "time" not in found:  # one column whose type says it, or a nameless index column
        dated = [c for c, dtype in rows.schema.items() if dtype.is_temporal()]
        unnamed = [c for c in rows.columns if c in {"unnamed_0", "Unnamed: 0", "index"}]
        if len(dated or unnamed) == 1:
            return {"time": (dated or unnamed)[0], **found}
    return found


def _plain_name(column: str) -> str:
    """Return a column's name in small letters without accents: Eröffnung is eroffnung."""
    letters = unicodedata.normalize("NFKD", column.strip().lower())
    bare = "".join(c for c in letters if not unicodedata.combining(c))
    return re.sub(r"\W+", "_", bare).strip("_")


def _ticker_of(file_name: str) -> str:
    """Return the ticker that a file is named for: BRK.B of BRK.B.csv.gz, AAPL of aapl.us_daily.txt.

    Raises MappingError where the name is none.
    """
    match = re.search(_FILE_NAME, file_name)
    if match is None:
        raise MappingError(f"which instrument is {file_name!r}?")
    return match["symbol"].upper()


def _kind(rows: pl.DataFrame, columns: dict[str, str]) -> tuple[str, Unpivot | None]:
    """Return the table that the columns name, and how a wide file becomes long."""
    if {"bid", "ask"} <= set(columns):
        return "quotes", None
    if "close" in columns:
        return "bars", None
    if "headline" in columns:
        return "news", None
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


def _columns(
    table: str, columns: dict[str, str], stamps: Stamps, unpivot: Unpivot | None, relative: str,
    hints: Hints,
) -> dict[str, object]:  # fmt: skip
    """Return the entries of the table mapping that depend on its table."""
    stem = _stem(relative)
    fields_ = {m: Field(column=(columns[m],)) for m in _MEASURES[table] if m in columns}
    spec: dict[str, object] = {"unpivot": unpivot, "columns": fields_}
    if table == "macro":
        if unpivot is not None:
            fields_["series_id"] = Field(template=f"{stem}.{{series}}")
            fields_["value"] = Field(column=("value",))
        elif "series_id" not in columns:
            fields_["series_id"] = Field(constant=stem)
        day = TimeField(column=(columns["time"],), format=stamps.format, stands_for="day",
                        zone=stamps.zone)  # fmt: skip
        exact = TimeField(column=(columns["time"],), format=stamps.format, zone=stamps.zone)
        return spec | {"time": day if stamps.days_only else exact, "dataset": stem}
    if table == "news":
        fields_["precision"] = Field(constant="day" if stamps.days_only else "second")
    if table in {"bars", "quotes"}:
        fields_["interval"] = Field(constant=stamps.interval)
    if table == "bars":
        fields_["adjustment"] = Field(constant="raw")
        if unpivot is not None:
            fields_["close"] = Field(column=("close",))
    if "currency" not in columns and table in {"bars", "quotes", "trades"}:
        fields_["currency"] = Field(constant=hints.currency)
    spec |= _symbol(table, columns, unpivot, relative, hints)
    spec["time"] = _time(table, columns, stamps)
    spec["knowledge"] = Knowledge(lag="15m" if stamps.days_only else "0s")
    return spec


def _stem(relative: str) -> str:
    """Return a file's name as a word."""
    return re.sub(r"\W+", "_", Path(relative).name.split(".")[0])


def _symbol(
    table: str, columns: dict[str, str], unpivot: Unpivot | None, relative: str, hints: Hints
) -> dict[str, object]:
    stem = _stem(relative)
    if table == "news" and "symbol" not in columns:
        return {"dataset": stem}
    instrument = Instrument(
        id=hints.id_prefix + "{symbol}",
        asset_class=hints.asset_class,
        currency=hints.currency,
        calendar=hints.calendar,
    )
    if unpivot is not None:
        return {"symbol": Field(column=("symbol",)), "instrument": instrument, "dataset": stem}
    if "symbol" in columns:
        symbol = Field(column=(columns["symbol"],), upper=True)
        return {"symbol": symbol, "instrument": instrument, "dataset": stem}
    named: dict[str, object] = {"instrument": instrument, "dataset": table, "source_per_file": True}
    if relative.lower().endswith(".zip"):  # its members may be many, each named for its own
        symbol = Field(template="{symbol}", upper=True)
        return named | {"symbol": symbol, "file_name": _FILE_NAME}
    return named | {"symbol": Field(constant=_ticker_of(relative))}


def _time(table: str, columns: dict[str, str], stamps: Stamps) -> TimeField:
    column, form = (columns["time"],), stamps.format
    if table == "news" and stamps.days_only:
        return TimeField(column=column, format=form, zone=stamps.zone, stands_for="day")
    if stamps.days_only:
        return TimeField(column=column, format=form, stands_for="session")
    # Vendors stamp bars with their start; if one stamps the end, this is late, never early.
    kind = "bar_start" if table == "bars" else "instant"
    return TimeField(column=column, format=form, zone=stamps.zone, stands_for=kind)


def _is_numeric(column: pl.Series) -> bool:
    if column.dtype.is_numeric():
        return True
    if column.dtype != pl.String:
        return False
    text = column.str.strip_chars()
    written = text.filter(text.is_not_null() & ~text.is_in(list(DEFAULT_NULLS)))
    number = written.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    return len(written) > 0 and number.is_not_null().mean() > 0.5  # type: ignore[operator]  # of a filled column


def _escaped(relative: str) -> str:
    """Return the path as a glob that matches itself alone."""
    return re.sub(r"([\[\]*?])", r"[\1]", relative)


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
            value = list(value)
        if value not in ([], {}):
            made[f.name] = value
    return made
