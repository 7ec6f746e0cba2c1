"""Which table the columns of a file are."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from adapters.sources.action_drafts import are_actions
from adapters.sources.cells import number_of
from adapters.sources.column_names import OBSERVED, plain_name
from adapters.sources.draft import TRADED
from adapters.sources.file_names import is_of_data
from adapters.sources.listed_names import is_bloomberg
from adapters.sources.mapping import DEFAULT_NULLS, Csv, MappingError, Unpivot
from adapters.sources.market_clues import clue_of
from adapters.sources.stamps import Stamps

_TICKER = re.compile(r"[A-Z][A-Z0-9.\-]{0,9}")
_SAO_PAULO = re.compile(r"[A-Z]{4}\d{1,2}(\.SA)?")
_OF_SERIES = "observation_date"  # as FRED heads its days
# A column a vintage, as ALFRED writes them: GDPC1_20240125.
VINTAGES = r"(?P<series>.+)_(?P<vintage>(?:19|20)\d{6})"
_CHANGE = re.compile(r"%|\bch(?:an)?ge?\b", re.IGNORECASE)
_NO_CLOSES = frozenset(
    {"open", "opens", "high", "highs", "low", "lows", "volume", "volumes", "vol"}
)
_FIELDS_MAX = 30  # different texts, among which the names of prices are looked for
# Bars of longer than a day, by the days between them; a week with a holiday on its edge has others.
_LONGER = (("week", 6, 8), ("month", 27, 33), ("quarter", 88, 95))
_STEPS_MIN, _REGULAR = 8, 0.9
_STRIKES = frozenset({"strike", "strike_price", "strikeprice", "exercise_price"})
_EXPIRIES = frozenset(
    {"expiration", "expiry", "expiration_date", "expiry_date", "expirationdate", "expirydate",
     "expire_date", "exdate", "maturity"}
)  # fmt: skip
_WIDE_MIN = 2  # fewer number columns than this are one series, not a wide file


def kind_of(
    rows: pl.DataFrame, columns: dict[str, str], relative: str
) -> tuple[str, Unpivot | None]:
    """Return the table that the columns and the file's path name, and how a wide one becomes long.

    A close beside bid and ask makes bars, which carry quotes: without them nothing is traded.
    """
    _must_be_no_chain(rows.columns)
    if {"bid", "ask"} <= set(columns) and "close" not in columns:
        return "quotes", None
    if "close" in columns:
        return "bars", None
    _must_have_close(rows, columns)
    if "headline" in columns:
        return "news", None
    if are_actions(columns, relative):
        return "corporate_actions", None
    if {"price", "size"} <= set(columns):
        return "trades", None
    if {"series_id", "value"} <= set(columns) or plain_name(columns.get("value", "")) == OBSERVED:
        return "macro", None
    return _of_numbers(rows, columns, relative)


def _must_be_no_chain(names: Sequence[str]) -> None:
    """Raise MappingError on a chain of options: as quotes they would be of one instrument."""
    plain = {plain_name(name) for name in names}
    if plain & _STRIKES and plain & _EXPIRIES:
        raise MappingError("its rows are options: table: options reads them;")


def _must_have_close(rows: pl.DataFrame, columns: dict[str, str]) -> None:
    """Raise MappingError on bars without one: as series of values they would be lost.

    Either the only close is an adjusted one, or a row is one price of a bar, which a text names.
    """
    if "adj_close" in columns:
        raise MappingError(
            f"are its bars to be read by {columns['adj_close']!r}? it is adjusted for payments, "
            "and there is no close: say so as close: and adjustment: total_return;"
        )
    for name in rows.columns:
        if rows.schema[name] == pl.String and rows[name].n_unique() <= _FIELDS_MAX:
            words = {plain_name(value) for value in rows[name].unique().drop_nulls()}
            if {"open", "high", "low", "close"} <= words:
                raise MappingError(
                    f"a row must be a whole bar, {name!r} says which of its prices a row is: make "
                    "columns of them;"
                )


def _must_be_closes(relative: str) -> None:
    """Raise MappingError on a wide file that is called by another value of bars: volume.csv."""
    stem = plain_name(Path(relative).name.split(".")[0])
    said = [word for word in stem.split("_") if not is_of_data(word) or word in _NO_CLOSES]
    if len(said) == 1 and said[0] in _NO_CLOSES:
        raise MappingError(
            f"its columns are instruments, and its values no closes by its name ({stem}): make one "
            "table of all that bars are of;"
        )


def _of_numbers(
    rows: pl.DataFrame, columns: dict[str, str], relative: str
) -> tuple[str, Unpivot | None]:
    """Return the table of columns of numbers: instruments, series, vintages of them, or one."""
    time = columns["time"]
    numeric = [c for c in rows.columns if c != time and is_numeric(rows[c])]
    if numeric and all(re.fullmatch(VINTAGES, c) for c in numeric):
        return "macro", Unpivot(index=(time,), name="column", value="value", pattern=VINTAGES)
    plain = [c for c in numeric if not _CHANGE.search(c)]
    if len(plain) == 1:  # "Change %" beside it is what it tells itself
        columns["value"] = plain[0]
        return "macro", None
    if len(numeric) == rows.width - 1 >= _WIDE_MIN:
        tickers = all(_is_ticker(c) or is_bloomberg(c) for c in numeric)
        if (
            tickers
            and plain_name(time) != _OF_SERIES
            and "value" not in columns
            and "price" not in columns
        ):
            _must_be_closes(relative)
            return "bars", Unpivot(index=(time,), name="symbol", value="close")
        return "macro", Unpivot(index=(time,), name="series", value="value")
    raise MappingError(f"which table are the columns {rows.columns}?")


def _is_ticker(name: str) -> bool:
    """Return whether a column is named as an instrument: DGS10 and T10Y2Y are none of a market.

    Of shares only those of São Paulo bear digits behind their letters.
    """
    if not _TICKER.fullmatch(name):
        return False
    has_digits = re.search(r"\d", name.partition(".")[0]) is not None
    return not has_digits or bool(_SAO_PAULO.fullmatch(name)) or clue_of(name).calendar is not None


def is_numeric(column: pl.Series) -> bool:
    """Return whether most cells are numbers."""
    if column.dtype.is_numeric():
        return True
    if column.dtype != pl.String:
        return False
    text = column.str.strip_chars()
    written = text.filter(text.is_not_null() & ~text.is_in(list(DEFAULT_NULLS)))
    bare = written.str.strip_suffix("%").str.strip_chars_end()
    pointed = bare.str.replace(",", ".", literal=True).to_frame("text")
    number = pointed.select(number_of(pl.col("text"), Csv())).to_series()
    return len(written) > 0 and number.is_not_null().mean() > 0.5  # type: ignore[operator]  # of a filled column


def settled(
    table: str, unpivot: Unpivot | None, columns: dict[str, str], stamps: Stamps
) -> tuple[str, Unpivot | None]:
    """Return the table where only the stamps say which: columns are renamed to fit it."""
    if table == "bars":
        _must_be_daily(stamps)
    if is_snapshot(columns) and stamps.interval != "1d":
        return "quotes", None  # their volumes are of the day so far: no bars to be drawn together
    if {"price", "volume"} <= columns.keys() and table not in TRADED:
        return _of_price(columns, stamps), None
    return table, unpivot


def _must_be_daily(stamps: Stamps) -> None:
    """Raise MappingError on bars of weeks or months: dated by their first day, they look ahead."""
    if (what := longer_period(stamps)) is not None:
        raise MappingError(
            f"when are its bars over? they are of {what}s, and whether their day is the first or "
            f"the last of a {what} no column says;"
        )


def longer_period(stamps: Stamps) -> str | None:
    """Return whether days are a week, a month or a quarter apart; None for others, and for few.

    A name that trades seldom has no step of its own.
    """
    steps = stamps.moments.drop_nulls().unique().sort().diff().drop_nulls().dt.total_days()
    if steps.len() < _STEPS_MIN:
        return None
    shares = ((what, steps.is_between(low, high).mean()) for what, low, high in _LONGER)
    return next((what for what, share in shares if float(share or 0) >= _REGULAR), None)  # type: ignore[arg-type]  # of a column of numbers


def is_snapshot(columns: Mapping[str, str]) -> bool:
    """Return whether rows are a bid, an ask and a last price, without the range of a bar."""
    return {"bid", "ask", "close"} <= columns.keys() and columns.keys().isdisjoint({"high", "low"})


def _of_price(columns: dict[str, str], stamps: Stamps) -> str:
    """Return the table of a price and a volume, renamed: the close of a day, or a trade."""
    if stamps.days_only:
        columns["close"] = columns.pop("price")
        return "bars"
    columns["size"] = columns.pop("volume")
    return "trades"
