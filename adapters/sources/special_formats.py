"""Files whose lines only make sense together: LEAN files, stamped JSON, headers of two levels."""

import csv
import io
import json
import re
from datetime import date, datetime, timedelta
from itertools import pairwise

import polars as pl

from adapters.sources.column_names import plain_name
from adapters.sources.json_records import as_text, parse_object
from adapters.sources.mapping import Csv
from adapters.sources.reading import (
    RAGGED,
    RawRows,
    UnreadableFileError,
    decode,
    read_rows,
    sniff_separator,
)

_NO_END = date(2050, 12, 31)  # how LEAN writes "still in use"
_VENUES = {"N": "XNYS", "Q": "XNAS", "P": "ARCX", "Z": "BATS", "A": "XASE"}
_HEADER_CHARACTERS = 1 << 20
_GROUPED_FIELDS = frozenset(
    {"open", "high", "low", "close", "adj_close", "volume", "dividends", "stock_splits",
     "capital_gains"}
)  # fmt: skip
_FIELD = r"(?P<field>(?i:open|high|low|close|adj[ _]?close|volume|dividends|stock[ _]splits))"
_FLAT = (
    re.compile(rf"(?P<ticker>\S+?)[_ .|:\-]{_FIELD}"),
    re.compile(rf"{_FIELD}[_ .|:\-](?P<ticker>\S+)"),
)
_TUPLE = re.compile(r"\('([^']+)', '([^']+)'\)")
PARQUET = (".parquet", ".pq")
_RAGGED_SCHEMA = {"source_row": pl.Int64(), RAGGED: pl.String()}


def lean_map_file(name: str, content: bytes) -> RawRows:
    """Return the spells of one security: ticker, valid_from, valid_to (exclusive), venue.

    A line gives the last day of a ticker (the first line: the first day of all); 20501231 means
    that it is in use. A first day and a last line with another ticker make two spells.
    """
    lines, ragged = _lines(name, content, width=2)
    if not lines:
        raise UnreadableFileError(f"{name} must hold the first day of its security, was empty")
    first, spells = lines[0][1][0], []
    begin = _day(name, first)
    for number, cells in lines[1:]:
        last = _day(name, cells[0])
        if last < begin:
            continue  # the first line repeated: no day lies in between
        end = None if last >= _NO_END else last + timedelta(days=1)
        venue = _VENUES.get(cells[2].strip()) if len(cells) > 2 else None
        spells.append((number, cells[1].upper(), begin, end, venue))
        begin = last + timedelta(days=1)
    schema: dict[str, pl.DataType] = {
        "source_row": pl.Int64(),
        "ticker": pl.String(),
        "valid_from": pl.Date(),
        "valid_to": pl.Date(),
        "venue": pl.String(),
    }
    return RawRows(pl.DataFrame(spells, schema=schema, orient="row"), ragged)


def lean_factor_file(name: str, content: bytes) -> RawRows:
    """Return the actions behind a factor file: day, kind, ratio, amount.

    A line (day, price factor, split factor, close of the day) holds up to and including its day;
    the step to the next line is an action on the day after. Splits: ratio = next split factor /
    this one. Dividends: amount = close * (1 - price factor / next price factor), before the split.
    """
    lines, ragged = _lines(name, content, width=3)
    actions: list[tuple[int, date, str, float | None, float | None]] = []
    for (number, now), (_, later) in pairwise(lines):
        try:
            price, split = float(now[1]), float(now[2])
            next_price, next_split = float(later[1]), float(later[2])
            close = float(now[3]) if len(now) > 3 else 0.0
        except ValueError as error:
            raise UnreadableFileError(f"{name} must hold numbers as factors, {error}") from error
        ex_day = _day(name, now[0]) + timedelta(days=1)
        if split != next_split:
            actions.append((number, ex_day, "split", next_split / split, None))
        if price != next_price and close > 1:  # a close of 0 or 1 fills the first and last line
            actions.append((number, ex_day, "dividend", None, close * (1 - price / next_price)))
    schema: dict[str, pl.DataType] = {
        "source_row": pl.Int64(),
        "day": pl.Date(),
        "kind": pl.String(),
        "ratio": pl.Float64(),
        "amount": pl.Float64(),
    }
    return RawRows(pl.DataFrame(actions, schema=schema, orient="row"), ragged)


def grouped_header(name: str, content: bytes) -> RawRows:
    """Return a table of many tickers, a column for each field of each, as rows of one ticker.

    Its header is two lines, fields and tickers in either order, and a third that names the index:
    what pandas writes of a frame with two levels of columns; or one line of both (AAPL_Open). The
    result has that index, `symbol`
    and the fields, all as text; a ticker without any cell on a line has no row for it.
    """
    if name.lower().endswith(PARQUET):
        return _grouped_parquet(name, content)
    text = decode(name, content)
    header = grouped_columns(text)
    if header is None:
        raise UnreadableFileError(f"{name} must begin with a line of fields and one of tickers")
    index, pairs, lines = header
    layout = Csv(
        separator=sniff_separator(text), skip_lines=lines,
        header=(index, *(f"{ticker}\n{field}" for ticker, field in pairs)),
    )  # fmt: skip
    return _by_ticker(read_rows(name, content, layout, "csv"), index, pairs)


def _by_ticker(raw: RawRows, index: str, pairs: list[tuple[str, str]]) -> RawRows:
    """Return the rows of each (ticker, field), whose columns are so named, under one another."""
    fields = dict.fromkeys(field for _, field in pairs)
    parts: list[pl.DataFrame] = []
    for ticker in dict.fromkeys(ticker for ticker, _ in pairs):
        cells = [
            pl.col(f"{ticker}\n{field}").alias(field)
            if (ticker, field) in pairs
            else pl.lit(None).alias(field)
            for field in fields
        ]
        rows = raw.rows.select("source_row", index, pl.lit(ticker).alias("symbol"), *cells)
        parts.append(rows.filter(~pl.all_horizontal(pl.col(*fields).is_null())))
    return RawRows(pl.concat(parts, how="vertical_relaxed"), raw.ragged)


def _grouped_parquet(name: str, content: bytes) -> RawRows:
    raw = read_rows(name, content, Csv(), "parquet")
    found = grouped_names([c for c in raw.rows.columns if c != "source_row"])
    if found is None:
        raise UnreadableFileError(f"{name} must have columns of a field and a ticker each")
    index, pairs = found
    named = {column: f"{ticker}\n{field}" for column, (ticker, field) in pairs.items()}
    return _by_ticker(RawRows(raw.rows.rename(named), raw.ragged), index, [*pairs.values()])


def is_grouped_parquet(content: bytes) -> bool:
    """Return whether the columns of a Parquet file are a field and a ticker each."""
    try:
        columns = list(pl.read_parquet_schema(io.BytesIO(content)))
    except pl.exceptions.PolarsError:
        return False  # reading it says why it cannot be read
    return grouped_names(columns) is not None


def grouped_names(columns: list[str]) -> tuple[str, dict[str, tuple[str, str]]] | None:
    """Return the index, and the (ticker, field) of each other column of a Parquet file.

    pandas writes two levels of columns as ('Open', 'AAPL'), and the index behind them. None for
    other columns.
    """
    tuples = {column: match for column in columns if (match := _TUPLE.fullmatch(column))}
    others = [column for column in columns if column not in tuples]
    if tuples and len(others) == 1:
        written = [f"{match[1]}|{match[2]}" for match in tuples.values()]
        pairs = _flat_pairs(written, tickers_min=1)
        return None if pairs is None else (others[0], dict(zip(tuples, pairs, strict=True)))
    for index in (columns[0], columns[-1]) if len(columns) > 2 else ():
        flat = [column for column in columns if column != index]
        if not tuples and (pairs := _flat_pairs(flat)) is not None:
            return index, dict(zip(flat, pairs, strict=True))
    return None


def grouped_columns(text: str) -> tuple[str, list[tuple[str, str]], int] | None:
    """Return the index's name, the (ticker, field) of each column and how many lines say so.

    None for other headers.
    """
    lines = text[:_HEADER_CHARACTERS].splitlines()[:3]
    separator = sniff_separator(lines[0]) if lines else ","
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
    if len(rows) < 3:  # a quoted cell may go over several lines
        return None
    first, second, third = rows
    if len(first) < 3:
        return None
    if (flat := _flat_pairs(first[1:])) is not None:
        return first[0] or "Date", flat, 1
    if len(first) != len(second) or any(third[1:]) or not third:
        return None
    pairs = [(second, first), (first, second)]
    for tickers, fields in pairs:
        if {plain_name(field) for field in fields[1:]} <= _GROUPED_FIELDS and all(tickers[1:]):
            found = list(zip(tickers[1:], fields[1:], strict=True))
            return (third[0] or "Date", found, 3) if len(set(found)) == len(found) else None
    return None


def _flat_pairs(columns: list[str], tickers_min: int = 2) -> list[tuple[str, str]] | None:
    """Return the ticker and the field of columns such as AAPL_Open, all in one order.

    None where one is no such column, they are of fewer tickers or of fewer prices than bars have,
    or a ticker has no close, as the units of Open (USD) and Volume (shares).
    """
    for pattern in _FLAT:
        matches = [pattern.fullmatch(column) for column in columns]
        found = [(match["ticker"], match["field"]) for match in matches if match is not None]
        fields = {plain_name(field) for _, field in found}
        tickers = {ticker for ticker, _ in found}
        closed = {ticker for ticker, field in found if plain_name(field) == "close"}
        is_whole = len(set(found)) == len(columns) and fields >= {"open", "high", "low", "close"}
        if is_whole and len(tickers) >= tickers_min and closed == tickers:
            return found
    return None


def stamped_json(name: str, content: bytes) -> RawRows:
    """Return the messages of a captured feed, one a line: receive time in ns, then a JSON object.

    The keys of the object's `data` (or of the object itself) become text columns, beside
    received_ns and stream. Keys differ between messages: what a message lacks is null.
    """
    rows: list[dict[str, str | int | None]] = []
    ragged: list[tuple[int, str]] = []
    for number, line in enumerate(decode(name, content).splitlines()):
        stamp, _, text = line.partition(" ")
        message = parse_object(text)
        if message is None or not stamp.isdigit():
            ragged.append((number, line))
            continue
        data = message.get("data", message)
        if not isinstance(data, dict):
            ragged.append((number, line))
            continue
        rows.append(
            {f"data_{key}": as_text(value) for key, value in data.items()}
            | {"source_row": number, "received_ns": stamp, "stream": as_text(message.get("stream"))}
        )
    keys = dict.fromkeys(key for row in rows for key in row)
    schema = {key: pl.Int64() if key == "source_row" else pl.String() for key in keys}
    frame = pl.DataFrame(rows, schema=schema)
    return RawRows(frame, pl.DataFrame(ragged, schema=_RAGGED_SCHEMA, orient="row"))


def _lines(
    name: str, content: bytes, width: int
) -> tuple[list[tuple[int, list[str]]], pl.DataFrame]:
    """Return the numbered lines with enough cells, and the others."""
    good: list[tuple[int, list[str]]] = []
    ragged: list[tuple[int, str]] = []
    for number, cells in enumerate(csv.reader(io.StringIO(decode(name, content)))):
        if len(cells) >= width:
            good.append((number, cells))
        elif cells:
            ragged.append((number, json.dumps(cells)))
    return good, pl.DataFrame(ragged, schema=_RAGGED_SCHEMA, orient="row")


def _day(name: str, text: str) -> date:
    try:
        return datetime.strptime(text.strip(), "%Y%m%d").date()  # noqa: DTZ007 - a day, no moment
    except ValueError:
        raise UnreadableFileError(f"{name} must hold days as YYYYMMDD, was {text!r}") from None
