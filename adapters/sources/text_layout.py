"""How a text file is laid out: lines before its header, separator, decimal mark, thousands."""

import re
from collections.abc import Sequence
from dataclasses import replace

from adapters.sources.column_names import NAMES, plain_name
from adapters.sources.header_units import TEN_THOUSANDTHS
from adapters.sources.mapping import Csv
from adapters.sources.reading import SEPARATORS, sniff_separator

_LOOKED_AT = 1 << 16  # characters
# 1 234,50 as Sweden and France write it, most often with a space that does not break.
_SPACED = re.compile(
    r"(?:^|[;\t|\"])-?\d{1,3}(?:([ \u00a0\u202f])\d{3})+(?:[.,]\d+)?(?:$|[;\t|\"\r])",
    re.MULTILINE,
)
_TITLES_MAX, _TITLE_CELLS_MAX = 20, 2
# A remark, or the line by which a spreadsheet is told the separator.
_BEFORE_HEADER = re.compile(r"#|sep=.$", re.IGNORECASE)
# Bars of vendors who write no header: 01/02/2024,09:30,1,2,0.5,1.5,100.
_DAY = re.compile(
    r"\d{4}[-/.]?\d{2}[-/.]?\d{2}([ T]\d{2}:?\d{2}(:?\d{2})?)?|\d{2}[-/.]\d{2}[-/.]\d{4}"
)
_CLOCK = re.compile(r"(?:[01]?\d|2[0-3]):?[0-5]\d(:?[0-5]\d)?")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_CANDLES_MIN, _CANDLES_MAX = 5, 200
_CANDLES = (
    ("open", "high", "low", "close"),
    ("open", "high", "low", "close", "volume"),
    ("open", "high", "low", "close", "volume", "trade_count"),  # Kraken
    # IQFeed: of days, and of a shorter interval with the volume of the day so far before its own.
    ("high", "low", "open", "close", "volume", "open_interest"),
    ("high", "low", "open", "close", "volume_so_far", "volume", "trade_count"),
)
_LEAN_STAMP = re.compile(r"\d{8} \d\d:\d\d")
_LEAN_PRICE_MIN = 1_000  # a tenth of a dollar, which few shares have never been worth
_MARKED_HEADER = re.compile(r"#\w")

# The columns of a candle as Binance publishes it, in files that have no header.
KLINES = ("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume",
          "trade_count", "taker_base_volume", "taker_quote_volume", "unused")  # fmt: skip
_SECONDS = re.compile(r"1\d{9}")  # since 1970
_EPOCH = re.compile(r"1\d{12}(?:\d{3})?")  # milliseconds, or microseconds since 2025


def layout_of(text: str) -> Csv:
    """Recognise the layout; a comma is decimal where ; or tab separates 1,5."""
    head = text[:_LOOKED_AT].splitlines()
    skipped = next((n for n, line in enumerate(head) if _is_header(line, head[n + 1 : n + 2])), 0)
    skipped += _title_lines(head[skipped:])
    shown = "\n".join(head[skipped:])
    separator = sniff_separator(shown)
    lines = [line.split(separator) for line in head[skipped : skipped + 3]]
    if len(lines) == 3 and (lines[1][0], lines[2][0]) == ("Ticker", "Date"):
        # Three lines of header, as yfinance writes them: what, of which ticker, and the index.
        header = ("Date", *lines[0][1:])
        return Csv(separator=separator, skip_lines=skipped + 3, header=header)
    if lines and len(lines[0]) == len(KLINES) and _is_kline(lines[0]):
        return Csv(separator=separator, skip_lines=skipped, header=KLINES)
    if candle := _bare_candles([line.split(separator) for line in head[skipped:]]):
        return Csv(separator=separator, skip_lines=skipped, header=candle)
    thousands, decimal = _marks(shown, separator)
    return Csv(separator=separator, decimal=decimal, thousands=thousands, skip_lines=skipped)


def _marks(shown: str, separator: str) -> tuple[str, str]:
    """Return the mark between thousands, if any, and the decimal mark, as most numbers have them.

    1,234.5 and 1.234,5 each say what their marks are, and so do 1.5 and 1,5; 1,234 alone does not.
    Between commas only what stands in quotes is one number.
    """
    edge = '"' if separator == "," else rf'"{re.escape(separator)}\r\n'
    grouped = _count(edge, r"-?\d{1,3}(?:,\d\d)*(?:(?:,\d{3})+\.\d+|,\d{2,3},\d{3})", shown)
    with_comma = _count(
        edge, r"-?(?:\d{1,3}(?:[. \u00a0\u202f]\d{3})+,\d+|\d+,(?:\d{1,2}|\d{4,}))", shown
    )
    with_point = _count('"' + r",;|\t\r\n", r"-?\d+\.(?:\d{1,2}|\d{4,})", shown)
    is_either = _count(edge, r"-?\d{1,3},\d{3}", shown) > 0
    if grouped > with_comma or (is_either and not with_comma and (with_point or separator == ",")):
        return ",", "."
    if quoted := re.search(r"(?<!\d)\d{1,3}(['’])\d{3}(?:\1\d{3})*(?:\.\d+)?(?!\d)", shown):
        return quoted[1], "."  # 1'234.50, as Switzerland writes it
    spaced = _SPACED.search(shown) if separator != "," else None
    return "" if spaced is None else spaced[1], "," if with_comma or is_either else "."


def _count(edge: str, number: str, text: str) -> int:
    """Return how many cells are such numbers as a whole, beside the sign of a currency at most."""
    signed = rf"(?:[$€£¥] ?)?(?:{number})(?: ?[$€£¥])?"
    return len(re.findall(rf"(?<![^{edge}]){signed}(?![^{edge}])", text))


def _is_header(line: str, following: Sequence[str]) -> bool:
    """Return whether a line is no remark: #RIC,Open,Close above as many cells is none."""
    if not _BEFORE_HEADER.match(line):
        return True
    counts = {(line.count(s), text.count(s)) for text in following for s in SEPARATORS}
    return bool(_MARKED_HEADER.match(line)) and any(a == b > 1 for a, b in counts)


def _title_lines(lines: Sequence[str]) -> int:
    """Return how many lines stand before a header that names a time: titles, remarks, blanks.

    A title fills two cells at most, a header three at least.
    """
    separator = max(SEPARATORS, key=lambda s: sum(line.count(s) for line in lines[:_TITLES_MAX]))
    for number, line in enumerate(lines[:_TITLES_MAX]):
        cells = [cell for cell in (plain_name(c) for c in line.split(separator)) if cell]
        if len(cells) > _TITLE_CELLS_MAX:
            return number if any(cell in NAMES["time"] for cell in cells) else 0
    return 0


def _is_kline(cells: list[str]) -> bool:
    """Return whether the cells open and close a candle by two epochs of one unit."""
    opened, closed = cells[0], cells[6]
    return bool(_EPOCH.fullmatch(opened) and _EPOCH.fullmatch(closed)) and opened < closed


def _bare_candles(lines: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the columns of bars without a header: a day (and a time), four prices, a volume.

    The day may be seconds since 1970. They are known by their content: in every line the second
    price is the highest of the four, the third the lowest, and both are, in some line, apart from
    the others; or the first the highest and the second the lowest, as IQFeed writes them. Empty
    where they are none.
    """
    shown = [[cell.strip(' "\r') for cell in line] for line in lines[:_CANDLES_MAX] if any(line)]
    if len(shown) < _CANDLES_MIN:
        return ()
    stamp = shown[0][0]
    day = _DAY.fullmatch(stamp)
    if day is None and not _SECONDS.fullmatch(stamp):
        return ()
    width = len(shown[0])
    is_timed = day is None or day[1] is not None
    has_clock = not is_timed and width > 1 and _CLOCK.fullmatch(shown[0][1])
    for clock in ((), ("time",)) if has_clock else ((),):
        for names in _CANDLES:
            columns = ("date", *clock, *names)
            if len(columns) == width and _are_candles(shown, len(clock) + 1, names):
                return columns
    return ()


def with_lean_units(layout: Csv, text: str, relative: str) -> Csv:
    """Return the layout with prices in ten thousandths where the file is one of LEAN's shares.

    Those lie in an archive each, named for the share, and begin 20210331 00:00,1219000,...; the
    folders of a LEAN installation call them equity. LEAN's other prices are written as they are.
    """
    path = relative.lower()
    is_equity = "equity" in path
    cells = [line.split(",") for line in text[:_LOOKED_AT].splitlines()[:_CANDLES_MAX]]
    is_lean = (
        layout.header == ("date", *_CANDLES[1])
        and (is_equity or path.endswith(".zip"))
        and all(len(line) == 6 and _LEAN_STAMP.fullmatch(line[0]) for line in cells)
        and all(cell.isdigit() for line in cells for cell in line[1:5])
        and (is_equity or any(int(line[2]) >= _LEAN_PRICE_MIN for line in cells))
    )
    if not is_lean:
        return layout
    prices = (f"{name} ({TEN_THOUSANDTHS})" for name in _CANDLES[0])
    return replace(layout, header=("date", *prices, "volume"))


def _are_candles(lines: Sequence[Sequence[str]], first: int, names: Sequence[str]) -> bool:
    """Return whether the cells from `first` on are prices of which two are the range of all."""
    high, low = names.index("high"), names.index("low")
    apart = False
    for cells in lines:
        if len(cells) != first + len(names) or not all(map(_NUMBER.fullmatch, cells[first:])):
            return False
        prices = [float(cell) for cell in cells[first : first + 4]]
        if prices[high] != max(prices) or prices[low] != min(prices):
            return False
        others = [price for n, price in enumerate(prices) if n not in (high, low)]
        apart |= prices[high] > max(others) > prices[low]
    return apart


def begins_with_data(text: str, layout: Csv) -> bool:
    """Return whether the first line holds numbers where a header holds names."""
    lines = text[:_LOOKED_AT].splitlines()[layout.skip_lines :]
    if layout.header or not lines:
        return False
    cells = lines[0].strip().split(layout.separator or ",")
    numbers = [bool(re.fullmatch(r"-?[\d.,:/\- ]*\d", cell.strip(' "'))) for cell in cells]
    return numbers[0] or 2 * sum(numbers) > len(cells)
