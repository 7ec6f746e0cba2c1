"""Which instrument a file is named for, where no column of it says so."""

import re
from collections.abc import Sequence
from pathlib import Path

from adapters.sources.listed_names import BLOOMBERG_CODES, EXCHANGE_NAMES
from adapters.sources.mapping import MappingError
from adapters.sources.market_clues import PAIR_NAMES
from adapters.sources.name_days import undated
from adapters.sources.partitions import DAY, partition_value

_ENDING = r"(?:\.(?:csv|txt|tsv|json|jsonl|ndjson|parquet|pq|gz|bz2|xz|zst|lz4|zip))+$"
_BARS_OF = r"(?:-\d{1,2}(?:mo|[smhdw])(?:-[\d\-]+)?)?"  # BTCUSDT-1d-2024-03, as exchanges name them
# A file, or a member of an archive, that is named for its instrument.
# As Bloomberg names what it is of, with a space: VOD LN Equity, CLH0 Comdty.
_YELLOW_KEYS = "(?i:Equity|Comdty|Index|Curncy)"
_BLOOMBERG = (
    rf"[^/_ ,]{{1,12}}(?-i: (?:{'|'.join(sorted(BLOOMBERG_CODES))}))(?: {_YELLOW_KEYS})?"
    rf"|[^/_ ,]{{1,12}}(?: \d)? {_YELLOW_KEYS}"
)
_SYMBOL = rf"(?P<symbol>{PAIR_NAMES}(?=[_ .,\-])|(?:{_BLOOMBERG})(?=[._])|[^/_ ,]+?)"
# Before it may stand where it is listed, as TradingView writes it (NASDAQ_AAPL, 1D.csv), or which
# of Quandl's tables it is of (EOD-AAPL.csv).
_LISTED = rf"(?:{'|'.join(sorted(EXCHANGE_NAMES, key=len, reverse=True))})_"
_BEFORE = rf"(?:{_LISTED}|EOD-|WIKI-)?"
FILE_NAME = rf"(?i)(?:^|/){_BEFORE}{_SYMBOL}(?:\.us|\.last)?{_BARS_OF}(?:[_ ,][^/]*)?{_ENDING}"
DAY_IN_NAME = rf"(?<!\d){DAY}(?!\d)[^/]*$"
# Words of file names that speak of the data and not of whom they are.
_OF_DATA = frozenset({
    "actions", "adj", "adjusted", "all", "bar", "bars", "candle", "candles", "chart", "close",
    "closes", "corporate", "csv", "daily", "data", "day", "distributions", "dividend", "dividends",
    "divs", "download", "eod", "equities", "equity", "etf", "etfs", "export", "file", "fredgraph",
    "full", "hist", "historical", "historicaldata", "historicalprices", "historicalquotes",
    "history", "hour", "hourly", "index", "intraday", "kline", "klines", "market", "min", "minute",
    "monthly", "observations", "ohlc", "ohlcv", "output", "part", "price", "prices", "query",
    "quote", "quotes", "raw", "result", "series", "split", "splits", "stock", "stocks", "symbol",
    "table", "tick", "ticker", "ticks", "time", "timeseries", "trade", "trades", "unadjusted",
    "us", "weekly", "year", "yearly",
})  # fmt: skip
# A contract as NinjaTrader names the files of its exports.
_NINJA = re.compile(
    r"(?:^|/)(?P<root>[A-Z0-9]{1,4}) (?P<month>0[1-9]|1[0-2])-(?P<year>\d\d)(?:\.\w+)?\.txt$"
)
_MONTHS = "FGHJKMNQUVXZ"
_NUMBERED = re.compile(r"\d+|v\d+|\d+(?:mo|min|[smhdw])|(?:19|20)\d\d(?:-\d\d)*", re.IGNORECASE)
_TICKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-^=]{0,14}")


def ticker_of(relative: str) -> str:
    """Return the ticker that a file is named for: BRK.B of BRK.B.csv.gz, AAPL of aapl.us_daily.txt.

    A day beside it (AAPL-2024-01-05.csv) is no part of it. Raises MappingError where the name is
    none.
    """
    if named := partition_value(relative):  # symbol=AAPL/part-00000-5f1b.snappy.parquet
        return named.upper()
    if contract := _NINJA.search(relative):  # ES 09-23.Last.txt
        return f"{contract['root']}{_MONTHS[int(contract['month']) - 1]}{contract['year']}"
    match = re.search(FILE_NAME, undated(relative))
    if match is None:
        raise MappingError(f"which instrument is {relative!r}?")
    return match["symbol"].upper()


def exchange_of(relative: str) -> str | None:
    """Return where the instrument that a file is named for is listed, where its name says so."""
    match = re.match(rf"(?i){_LISTED}", relative.rpartition("/")[2])
    return None if match is None else match[0].removesuffix("_")


def find_day_in(name: str) -> str | None:
    """Return the one day that a file's name speaks of, as it is written there; None without one."""
    found = re.findall(DAY_IN_NAME.removesuffix("[^/]*$"), name.rpartition("/")[2])
    return found[0] if len(found) == 1 else None


def is_of_data(name: str) -> bool:
    """Return whether a word speaks of the data (daily, prices, part-0) and names no instrument."""
    whole = re.sub(r" ?\(\d+\)$", "", name.lower())  # the second of two downloads
    words = [word for word in re.split(r"[\-_ ]+", whole) if word]
    return all(word in _OF_DATA or _NUMBERED.fullmatch(word) for word in words)


def symbols_in_paths(relatives: Sequence[str]) -> list[list[str]]:
    """Return what the symbols of some files of one layout may be, read off their paths.

    Each answer gives a symbol a file, in order. `symbol=AAPL/part-0.parquet` settles it; else
    each place in the paths (folders, and the words of the name, counted from the end) that holds
    a word which may be a ticker in every file is an answer. Places that differ in how they are
    written (daily_AAPL_yahoo) leave those in capitals alone.
    """
    keyed = [partition_value(relative) for relative in relatives]
    if all(keyed):
        return [[str(symbol).upper() for symbol in keyed]]
    paths = [_words(relative)[::-1] for relative in relatives]
    shortest = min((len(words) for words in paths), default=0)
    columns = [[words[place] for words in paths] for place in range(shortest)]
    found = [column for column in columns if all(map(_may_be_ticker, column))]
    capitals = [column for column in found if all(word == word.upper() for word in column)]
    return [[word.upper() for word in column] for column in capitals or found]


def file_stem(relative: str) -> str:
    """Return a file's name as a word."""
    return re.sub(r"\W+", "_", Path(relative).name.split(".")[0])


def _words(relative: str) -> list[str]:
    """Return the folders and the words of the name, without what only speaks of the data.

    A word keeps its place: what speaks of the data is empty there.
    """
    *folders, name = Path(relative).parts
    stem = re.sub(rf"(?i){_BARS_OF}{_ENDING}", "", name)
    words = [folder for folder in folders if "=" not in folder] + re.split(r"[_ ]+", stem)
    return [_bare(word) for word in words]


def _bare(word: str) -> str:
    """Return AAPL of AAPL-daily and of daily-AAPL; BRK-B stays."""
    pieces = word.split("-")
    while pieces and is_of_data(pieces[0]):
        pieces.pop(0)
    while pieces and is_of_data(pieces[-1]):
        pieces.pop()
    return re.sub(r"(?i)\.us$", "", "-".join(pieces))


def _may_be_ticker(word: str) -> bool:
    return bool(_TICKER.fullmatch(word)) and not is_of_data(word)
