"""The default data sets as rows of the house's tables: one function a table."""

from collections.abc import Callable, Mapping
from datetime import time, timedelta

import polars as pl

from adapters.sources.adjustments import implied_actions
from adapters.sources.default_files import CHICAGO, LONDON, NEW_YORK, ReadFile, read_csv, to_utc
from adapters.sources.default_macro import macro
from features.calendars import with_session_close
from features.schemas import BARS, CORPORATE_ACTIONS, MACRO, NEWS, TABLES, TRADES

# Publication lags: how long after event_time a value could first be known, and why.
CLOSING_PRICE_LAG = timedelta(minutes=15)  # the consolidated closing print and its corrections
FIXING_LAG = timedelta(minutes=5)  # the ECB puts the rates of 16:00 on its site at once
TICK_LAG = timedelta(0)  # the stamp is the exchange's own feed time


def parse(table: str, read: ReadFile, sources: Mapping[str, str]) -> pl.DataFrame:
    """Return all rows of one table, conforming, sorted by its key and knowledge_time.

    `sources` gives each data set's source name. Raises KeyError where the table is not served.
    """
    schema = TABLES[table]
    rows = pl.concat([schema.conform(part) for part in _PARSERS[table](read, sources)])
    return rows.sort([*schema.key, "knowledge_time"])


def parsed_tables() -> tuple[str, ...]:
    """Return the names of the tables that the default data fill."""
    return tuple(_PARSERS)


def _bars(read: ReadFile, sources: Mapping[str, str]) -> list[pl.DataFrame]:
    return [
        _closes(_wide(read("us_equities_20"), "Date"), sources["us_equities_20"], "US."),
        _closes(_wide(read("factor_etfs"), "Date"), sources["factor_etfs"], "US."),
        _closes(_wide(read("sp500_index"), "Date"), sources["sp500_index"], "IDX.", "raw"),
        _fred_index(read("fred_daily"), sources["fred_daily"]),
        _daily_bars(_tech(read("us_tech_ohlcv")), sources["us_tech_ohlcv"], "split"),
        _daily_bars(_wiki(read("wiki_ohlcv")), sources["wiki_ohlcv"], "raw"),
        _currencies(read("ecb_fx"), sources["ecb_fx"]),
        _minute_bars(_ticks(read("es_ticks")), sources["es_ticks"]),
    ]


def _corporate_actions(read: ReadFile, sources: Mapping[str, str]) -> list[pl.DataFrame]:
    wiki = implied_actions(_wiki(read("wiki_ohlcv")), dividend_base="on_close")
    tech = implied_actions(_tech(read("us_tech_ohlcv")), dividend_base="on_previous_close")
    return [_actions(wiki, sources["wiki_ohlcv"]), _actions(tech, sources["us_tech_ohlcv"])]


def _news(read: ReadFile, sources: Mapping[str, str]) -> list[pl.DataFrame]:
    rows = read_csv(read("guardian_headlines"))
    day = pl.col("Date").str.to_date()
    source = sources["guardian_headlines"]
    headline = pl.col("Text").str.strip_chars()
    return [
        rows.select(
            news_id=news_id(source, pl.col("Date"), headline),
            # Day precision: the stamp is the day's start, knowable only when the day is over.
            event_time=day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            knowledge_time=to_utc(day.dt.offset_by("1d"), time(0, 0), LONDON),
            headline=headline,
            language=pl.lit("en"),
            precision=pl.lit("day"),
            source=pl.lit(source),
            source_row=pl.col("source_row"),
        ).unique("news_id", keep="first", maintain_order=True)
    ]


def _trades(read: ReadFile, sources: Mapping[str, str]) -> list[pl.DataFrame]:
    return [
        _ticks(read("es_ticks")).with_columns(
            knowledge_time=pl.col("event_time") + TICK_LAG,
            sequence=pl.int_range(pl.len(), dtype=pl.Int64).over("event_time"),
            source=pl.lit(sources["es_ticks"]),
        )
    ]


def news_id(source: str, *parts: pl.Expr) -> pl.Expr:
    """Return the id of a news item: a hash of its source's name (not its version) and its text."""
    text = pl.concat_str([pl.lit(source.partition("@")[0]), *parts], separator="\n")
    return text.map_batches(_sha256_of_texts, return_dtype=pl.String)


def _sha256_of_texts(texts: pl.Series) -> pl.Series:
    import hashlib

    digests = [hashlib.sha256((text or "").encode()).hexdigest()[:32] for text in texts]
    return pl.Series(texts.name, digests, dtype=pl.String)


def _wide(content: bytes, day_column: str) -> pl.DataFrame:
    """One column a symbol -> rows of symbol, date, close, source_row; empty cells do not exist."""
    rows = read_csv(content)
    long = rows.unpivot(
        index=[day_column, "source_row"], variable_name="symbol", value_name="close"
    )
    return long.filter(pl.col("close").is_not_null() & (pl.col("close") != "")).select(
        pl.col(day_column).str.to_date().alias("date"),
        "symbol",
        pl.col("close").cast(pl.Float64),
        "source_row",
    )


def _closes(
    rows: pl.DataFrame, source: str, prefix: str, adjustment: str = "total_return"
) -> pl.DataFrame:
    named = rows.with_columns(instrument_id=pl.lit(prefix) + pl.col("symbol"))
    return _daily_bars(named, source, adjustment)


def _daily_bars(rows: pl.DataFrame, source: str, adjustment: str) -> pl.DataFrame:
    return with_session_close(rows, "date", "XNYS").with_columns(
        knowledge_time=pl.col("event_time") + CLOSING_PRICE_LAG,
        interval=pl.lit("1d"),
        adjustment=pl.lit(adjustment),
        currency=pl.lit("USD"),
        source=pl.lit(source),
    )


def _fred_index(content: bytes, source: str) -> pl.DataFrame:
    rows = read_csv(content).select("datetime", "SP500", "source_row").drop_nulls("SP500")
    named = rows.select(
        pl.col("datetime").str.to_date().alias("date"),
        pl.col("SP500").cast(pl.Float64).alias("close"),
        pl.lit("IDX.SP500").alias("instrument_id"),
        "source_row",
    )
    return _daily_bars(named, source, "raw")


def _tech(content: bytes) -> pl.DataFrame:
    """Yahoo's prices: open to close adjusted for splits, `adjusted` for dividends too."""
    return _prices(read_csv(content).rename({"adjusted": "adj_close"}))


def _wiki(content: bytes) -> pl.DataFrame:
    rows = read_csv(content)
    names = {c: c.lower().replace(" ", "_") for c in rows.columns}
    # In this set FB and GOOG are today's META and GOOGL: it ends before either was renamed.
    successors = {"FB": "META", "GOOG": "GOOGL"}
    renamed = rows.rename(names).rename({"ticker": "symbol"})
    return _prices(renamed.with_columns(pl.col("symbol").replace(successors)))


def _prices(rows: pl.DataFrame) -> pl.DataFrame:
    numbers = ("open", "high", "low", "close", "volume", "adj_close")
    return rows.select(
        (pl.lit("US.") + pl.col("symbol")).alias("instrument_id"),
        pl.col("date").str.to_date(),
        *[pl.col(c).cast(pl.Float64) for c in numbers],
        "source_row",
    )


def _currencies(content: bytes, source: str) -> pl.DataFrame:
    rows = read_csv(content)
    rows = rows.select(c for c in rows.columns if c.strip())  # each line ends in a comma
    long = rows.unpivot(
        index=["Date", "source_row"], variable_name="currency", value_name="close"
    ).filter(pl.col("close") != "N/A")
    return with_session_close(
        long.select(
            pl.col("Date").str.to_date().alias("date"),
            (pl.lit("FX.EUR") + pl.col("currency")).alias("instrument_id"),
            "currency",
            pl.col("close").cast(pl.Float64),
            "source_row",
            pl.lit("1d").alias("interval"),
            pl.lit("raw").alias("adjustment"),
            pl.lit(source).alias("source"),
        ),
        "date",
        "TARGET",
    ).with_columns(knowledge_time=pl.col("event_time") + FIXING_LAG)


def _ticks(content: bytes) -> pl.DataFrame:
    rows = read_csv(content)
    local = pl.col("DateTime").str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us")
    return rows.select(
        instrument_id=pl.lit("FUT.ES"),
        event_time=local.dt.replace_time_zone(CHICAGO).dt.convert_time_zone("UTC"),
        price=pl.col("Price").cast(pl.Float64),
        size=pl.col("Volume").cast(pl.Float64),
        currency=pl.lit("USD"),
        source_row=pl.col("source_row"),
    )


def _minute_bars(ticks: pl.DataFrame, source: str) -> pl.DataFrame:
    """Trades of each minute; the bar is stamped with, and known at, the minute's end."""
    # The last minute of the file is cut off in its middle: a bar of it would be wrong.
    whole = ticks.filter(pl.col("event_time") < pl.col("event_time").last().dt.truncate("1m"))
    grouped = whole.group_by_dynamic(
        "event_time", every="1m", closed="left", label="right", group_by="instrument_id"
    ).agg(
        open=pl.col("price").first(),
        high=pl.col("price").max(),
        low=pl.col("price").min(),
        close=pl.col("price").last(),
        volume=pl.col("size").sum(),
        currency=pl.col("currency").first(),
        source_row=pl.col("source_row").first(),
    )
    return grouped.with_columns(
        knowledge_time=pl.col("event_time") + TICK_LAG,
        interval=pl.lit("1m"),
        adjustment=pl.lit("raw"),
        source=pl.lit(source),
    )


def _actions(rows: pl.DataFrame, source: str) -> pl.DataFrame:
    """An action is true from the ex-date's close and known with that day's closing price."""
    return with_session_close(rows, "date", "XNYS").with_columns(
        event_time=pl.col("date").dt.combine(time(9, 30)).dt.replace_time_zone(NEW_YORK)
        .dt.convert_time_zone("UTC"),
        knowledge_time=pl.col("event_time") + CLOSING_PRICE_LAG,
        currency=pl.lit("USD"),
        source=pl.lit(source),
    )  # fmt: skip


_PARSERS: dict[str, Callable[[ReadFile, Mapping[str, str]], list[pl.DataFrame]]] = {
    BARS.name: _bars,
    CORPORATE_ACTIONS.name: _corporate_actions,
    MACRO.name: macro,
    NEWS.name: _news,
    TRADES.name: _trades,
}
