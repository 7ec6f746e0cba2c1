"""The records of a JSON file: a list of objects, or one in the envelopes that vendors send."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import permutations
from typing import Any, TypeGuard

from adapters.sources.column_names import NAMES, plain_name

MAX_JSON_BYTES = 256 << 20  # it is held whole, at many times its size; beyond this: JSON lines
_WENT = ("ok", "no_data")  # how candles of Finnhub and of TradingView's protocol say how it went
_ABOUT_ALL = ("symbol", "exchange", "currency")  # what an envelope says of all of its records
_NUMBERED = re.compile(r"^\d+[a-z]?\. ")  # "1. open", as Alpha Vantage names its fields
_DATED = re.compile(r"\d{4}-?\d\d-?\d\d.*|\d{9,19}")


_EPOCH = re.compile(r"1\d{9}(?:\d{3}){0,2}")
# How many cells a candle has, and the place of its volume: Coinbase, ccxt and Bitfinex; Bybit and
# OKX; Kraken, with a mean price before it; OKX; Binance.
_CANDLE_WIDTHS = {6: 5, 7: 5, 8: 6, 9: 5, 12: 5}


class NoRecordsError(ValueError):
    """A JSON document holds no records."""


def parse_object(line: str) -> dict[str, object] | None:
    """Return the JSON object on the line, or None where there is none."""
    try:
        record = _loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def flattened(record: Mapping[str, object]) -> dict[str, object]:
    """Return a record with the fields of its objects as its own: mid.o of {"mid": {"o": ...}}."""
    flat: dict[str, object] = {}
    for key, value in record.items():
        if isinstance(value, dict) and value and not _holds_more(value):
            flat |= {f"{key}.{name}": cell for name, cell in value.items()}
        else:
            flat[str(key)] = value
    return flat


def _holds_more(value: Mapping[str, object]) -> bool:
    return any(isinstance(cell, (dict, list)) for cell in value.values())


def as_text(value: object) -> str | None:
    """Return a JSON value as text: objects and lists as JSON, true and false in lower case."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def records_of(text: str) -> list[object]:
    """Return the records of a JSON document, in order; what is no object among them stays as it is.

    Read are a list of objects; an object with one such list under a key, at any depth of objects;
    objects under their dates or numbers; columns as lists of one length or as objects by one
    index; and columns beside rows (what pandas writes, in each of its ways). What the envelope
    says of symbol, exchange and currency becomes a field of each record that has none of its own.
    Raises NoRecordsError where it has none, ValueError where it is no JSON or has several lists.
    """
    try:
        document = _loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if isinstance(document, list):
        return _candles(document) or document
    found = list(_tables(document, ()))
    if not found:
        raise NoRecordsError("it holds no list of records")
    if len(found) > 1:
        keys = ", ".join(".".join(path) or "the whole" for path, _ in found[:5])
        raise ValueError(f"it must hold one list of records, held {len(found)}: {keys}")
    about = _about(document)
    return [
        {**{k: v for k, v in about.items() if k not in record}, **record}
        if isinstance(record, dict)
        else record
        for record in found[0][1]
    ]


def _loads(text: str) -> Any:
    # Numbers stay as written: a price of 0.1 and a 19-digit id survive.
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)


def _tables(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    """Yield each list of records below a value, with the keys that lead to it."""
    if isinstance(value, list):
        if value and isinstance(value[0], dict):
            yield path, value
        elif candles := _candles(value):
            yield path, candles
        return
    if not isinstance(value, dict):
        return
    for read in (_by_symbol, _split, _by_time, _by_index, _columns):  # what is named by its keys
        if (found := read(value)) is not None:
            yield path, found
            return
    for key, item in value.items():
        yield from _tables(item, (*path, str(key)))


def _by_symbol(value: Mapping[str, Any]) -> list[Any] | None:
    """Return the candles that stand in a list for each symbol, each with its symbol.

    So Alpaca and others answer about several shares at once. Lists of anything else, as the bids
    and asks of a book, are no such thing; nor is one list alone, whose key may be a mere word.
    """
    parts: list[Any] = []
    for symbol, rows in value.items():
        listed = (_candles(rows) or rows) if isinstance(rows, list) else None
        if not listed or not all(isinstance(row, dict) for row in listed):
            return None
        told = {plain_name(name) for name in listed[0]}
        if told.isdisjoint(NAMES["close"]) or told.isdisjoint((*NAMES["time"], "t")):
            return None
        parts += [{"symbol": symbol, **row} for row in listed]
    return parts if len(value) > 1 else None


def _is_row(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and bool(value) and not any(isinstance(v, dict) for v in value)


def _split(value: Mapping[str, Any]) -> list[Any] | None:
    """Return pandas' columns beside rows; a row of another length is no record and stays a list."""
    names, rows, index = value.get("columns"), value.get("data"), value.get("index")
    if not _is_row(names) or not isinstance(rows, list):
        return None
    if not all(isinstance(row, list) for row in rows):
        return None
    at = index if isinstance(index, list) and len(index) == len(rows) and _dated(index) else None
    return [
        {**dict(zip(map(str, names), row, strict=True)), **({"index": at[n]} if at else {})}
        if len(row) == len(names)
        else row
        for n, row in enumerate(rows)
    ]


def _by_time(value: Mapping[str, Any]) -> list[Any] | None:
    """Return the objects that stand under dates, each with its date."""
    if not value or not _dated(value) or not all(isinstance(v, dict) for v in value.values()):
        return None
    return [
        {"date": key, **{_NUMBERED.sub("", name): cell for name, cell in item.items()}}
        for key, item in value.items()
    ]


def _by_index(value: Mapping[str, Any]) -> list[Any] | None:
    """Return the records of objects under numbers, or of columns that are objects by one index."""
    inner = list(value.values())
    if len(inner) < 2 or not all(isinstance(item, dict) and item for item in inner):
        return None
    if len({tuple(item) for item in inner}) != 1 or any(
        isinstance(cell, (dict, list)) for item in inner for cell in item.values()
    ):
        return None
    if all(key.isdigit() for key in value):
        return inner
    dated = _dated(inner[0])
    return [
        {**({"index": at} if dated else {}), **{name: value[name][at] for name in value}}
        for at in inner[0]
    ]


def _dated(index: Iterable[object]) -> bool:
    """Return whether an index tells times, and not the numbers of its rows."""
    return all(_DATED.fullmatch(str(at)) for at in index)


def _columns(value: Mapping[str, Any]) -> list[Any] | None:
    """Return the records of lists of one length, which are a column each."""
    lists = {name: item for name, item in value.items() if _is_row(item)}
    if len(lists) < 2 or len({len(column) for column in lists.values()}) != 1:
        return None
    return [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]


def _candles(value: list[Any]) -> list[Any] | None:
    """Return lists of an epoch, four prices and a volume as records, as exchanges send candles.

    Which price is the highest and which the lowest their content says; of the other two the open is
    first, as on every exchange that we know. A list that is no candle stays as it is.
    """
    widths = {len(row) if isinstance(row, list) else 0 for row in value}
    width = max(widths, default=0)
    rows = [row for row in value if isinstance(row, list) and len(row) == width]
    if (
        width not in _CANDLE_WIDTHS
        or not rows
        or not all(_EPOCH.fullmatch(str(r[0])) for r in rows)
    ):
        return None
    try:
        prices = [[float(cell) for cell in row[1:5]] for row in rows]
    except (TypeError, ValueError):
        return None
    places = [
        (high, low)
        for high, low in permutations(range(4), 2)
        if all(p[high] == max(p) and p[low] == min(p) for p in prices)
    ]
    if len(places) != 1:
        return None
    high, low = places[0]
    opens, closes = (n for n in range(4) if n not in places[0])
    names = dict.fromkeys(range(width), "")
    names |= {0: "open_time", opens + 1: "open", closes + 1: "close"}
    names |= {high + 1: "high", low + 1: "low", _CANDLE_WIDTHS[width]: "volume"}
    told = [names[n] or f"field_{n}" for n in range(width)]
    return [
        dict(zip(told, row, strict=True)) if isinstance(row, list) and len(row) == width else row
        for row in value
    ]


def _about(document: Mapping[str, object]) -> dict[str, str]:
    """Return what an envelope, or an object in it, says of all records."""
    levels = [document, *(item for item in document.values() if isinstance(item, dict))]
    found: dict[str, str] = {}
    for level in levels:
        is_answer = not {"msg", "message"}.isdisjoint(level)  # whose code is how it went
        for key, value in level.items():
            if (is_answer and key == "code") or (key == "s" and value in _WENT):
                continue
            name = plain_name(_NUMBERED.sub("", str(key)))
            meaning = next((m for m in _ABOUT_ALL if name in NAMES[m]), None)
            if meaning is not None and isinstance(value, str):
                found.setdefault(meaning, value)
    return found
