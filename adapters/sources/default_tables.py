"""The default data sets as rows of the house's tables: one function a table, one rule a data set."""

import io
from collections.abc import Callable, Mapping
from datetime import date, time, timedelta

import polars as pl

from adapters.sources.adjustments import implied_actions
from features.calendars import with_session_close
from features.schemas import BARS, CORPORATE_ACTIONS, MACRO, NEWS, TABLES, TRADES

ReadFile = Callable[[str], bytes]
"""Returns a data set's verified content by its name in the manifest."""

# Publication lags: how long after event_time a value could first be known, and why.
CLOSING_PRICE_LAG = timedelta(minutes=15)  # the consolidated closing print and its corrections
FIXING_LAG = timedelta(minutes=5)  # the ECB puts the rates of 16:00 on its site at once
VIX_LAG = timedelta(minutes=15)  # Cboe's closing value of 16:15
OIL_LAG = timedelta(days=8)  # EIA publishes on Wednesdays, up to the Monday before
NOON_RATE_LAG = timedelta(days=8)  # H.10 comes out weekly, on Monday or, after a holiday, Tuesday
H15_LAG_BUSINESS_DAYS = 1  # H.15 (yields, breakevens) is posted on the next business day
TICK_LAG = timedelta(0)  # the stamp is the exchange's own feed time

_NEW_YORK, _CHICAGO, _LONDON = "America/New_York", "America/Chicago", "Europe/London"
_TENORS = {
    "1month": "DGS1MO", "3month": "DGS3MO", "6month": "DGS6MO", "1year": "DGS1", "2year": "DGS2",
    "3year": "DGS3", "5year": "DGS5", "7year": "DGS7", "10year": "DGS10", "20year": "DGS20",
    "30year": "DGS30",
}  # fmt: skip
_VINTAGES = {
    "nyfed_vintage_20160629": date(2016, 6, 29),
    "nyfed_vintage_20160729": date(2016, 7, 29),
}
_VINTAGE_UNITS = {
    "PAYEMS": "thousand_persons", "JTSJOL": "thousands", "CPIAUCSL": "index", "DGORDER": "usd_million",
    "HSN1F": "thousands", "RSAFS": "usd_million", "UNRATE": "percent", "HOUST": "thousands",
    "INDPRO": "index", "PPIFIS": "index", "DSPIC96": "chained_usd_billion", "BOPTEXP": "usd_million",
    "BOPTIMP": "usd_million", "WHLSLRIMSA": "usd_million", "TTLCONS": "usd_million", "IR": "index",
    "CPILFESL": "index", "PCEPILFE": "index", "PCEPI": "index", "PERMIT": "thousands",
    "TCU": "percent", "BUSINV": "usd_million", "IQ": "index", "GACDISA066MSFRBNY": "index",
    "PCEC96": "chained_usd_billion", "GACDFSA066MSFRBPHI": "index", "GDPC1": "chained_usd_billion",
    "ULCNFB": "index", "A261RX1Q020SBEA": "chained_usd_billion",
}  # fmt: skip


def read_csv(content: bytes) -> pl.DataFrame:
    """Return the file with every column as text and its row number (from 0) in source_row."""
    return pl.read_csv(
        io.BytesIO(content), infer_schema=False, row_index_name="source_row"
    ).with_columns(pl.col("source_row").cast(pl.Int64))


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


def _macro(read: ReadFile, sources: Mapping[str, str]) -> list[pl.DataFrame]:
    fred, covid = read_csv(read("fred_daily")), read_csv(read("covid_daily"))
    wti, vix = read_csv(read("wti_daily")), read_csv(read("vix_daily"))
    oil_lag, noon_lag = pl.col("event_time") + OIL_LAG, pl.col("event_time") + NOON_RATE_LAG
    h15 = _next_business_day()
    oil = ("DCOILWTICO", "usd_per_barrel", time(16, 0), oil_lag)
    vix_close = ("VIXCLS", "index_points", time(16, 15), pl.col("event_time") + VIX_LAG)
    at_four = time(16, 0)
    return [
        _series(fred, "datetime", "DGS10", sources["fred_daily"], "DGS10", "percent", at_four, h15),
        _series(fred, "datetime", "T5YIE", sources["fred_daily"], "T5YIE", "percent", at_four, h15),
        _series(
            fred, "datetime", "DEXUSEU", sources["fred_daily"], "DEXUSEU", "usd_per_eur",
            time(12, 0), noon_lag,
        ),
        _series(
            covid, "datetime", "T10YIE", sources["covid_daily"], "T10YIE", "percent", at_four, h15
        ),
        _series(covid, "datetime", "DCOILWTICO", sources["covid_daily"], *oil),
        _series(wti, "Date", "DCOILWTICO", sources["wti_daily"], *oil),
        _series(vix, "Date", "vix", sources["vix_daily"], *vix_close),
        _treasury_curve(read("treasury_curve"), sources["treasury_curve"]),
        _vintages(read, sources),
    ]  # fmt: skip


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
            knowledge_time=_local(day.dt.offset_by("1d"), time(0, 0), _LONDON),
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
        event_time=local.dt.replace_time_zone(_CHICAGO).dt.convert_time_zone("UTC"),
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
        event_time=pl.col("date").dt.combine(time(9, 30)).dt.replace_time_zone(_NEW_YORK)
        .dt.convert_time_zone("UTC"),
        knowledge_time=pl.col("event_time") + CLOSING_PRICE_LAG,
        currency=pl.lit("USD"),
        source=pl.lit(source),
    )  # fmt: skip


def _series(
    rows: pl.DataFrame, day_column: str, column: str, source: str, series_id: str, unit: str,
    at: time, known: pl.Expr,
) -> pl.DataFrame:  # fmt: skip
    """One column of a daily file as a macro series; "" and "." mean that no value exists."""
    day = _us_or_iso_day(pl.col(day_column))
    return (
        rows.filter(pl.col(column).is_not_null() & ~pl.col(column).is_in(["", "."]))
        .select(
            series_id=pl.lit(series_id),
            event_time=_local(day, at, _NEW_YORK),
            value=pl.col(column).cast(pl.Float64),
            unit=pl.lit(unit),
            source=pl.lit(source),
            source_row=pl.col("source_row"),
        )
        .with_columns(knowledge_time=known)
    )


def _treasury_curve(content: bytes, source: str) -> pl.DataFrame:
    """Par yields, given as fractions, in percent like the H.15 series of the same tenor."""
    rows = read_csv(content)
    long = rows.unpivot(
        index=["Time Period", "source_row"], variable_name="tenor", value_name="value"
    ).filter(pl.col("value").is_not_null())
    return long.select(
        series_id=pl.col("tenor").replace_strict(_TENORS),
        event_time=_local(pl.col("Time Period").str.head(10).str.to_date(), time(16, 0), _NEW_YORK),
        # Rounded to the two digits of percent that are published: 0.0783 * 100 is not 7.83.
        value=(pl.col("value").cast(pl.Float64) * 100).round(2),
        unit=pl.lit("percent"),
        source=pl.lit(source),
        source_row=pl.col("source_row"),
    ).with_columns(knowledge_time=_next_business_day())


def _vintages(read: ReadFile, sources: Mapping[str, str]) -> pl.DataFrame:
    """Both vintages under one source; of the later one, what it added or revised.

    source_row counts on from the first file into the second.
    """
    parts: list[pl.DataFrame] = []
    first_row = 0
    for name, vintage in _VINTAGES.items():
        rows = read_csv(read(name)).with_columns(pl.col("source_row") + first_row)
        first_row += rows.height
        long = rows.unpivot(
            index=["Date", "source_row"], variable_name="series_id", value_name="value"
        ).filter(pl.col("value").is_not_null() & (pl.col("value") != ""))
        parts.append(long.with_columns(vintage=pl.lit(vintage)))
    event_time = pl.col("Date").str.to_date("%m/%d/%y").cast(pl.Datetime("us"))
    versions = pl.concat(parts).select(
        "series_id",
        event_time.dt.replace_time_zone("UTC").alias("event_time"),
        _local(pl.col("vintage").dt.offset_by("1d"), time(0, 0), _NEW_YORK).alias("knowledge_time"),
        pl.col("value").cast(pl.Float64),
        pl.col("series_id").replace_strict(_VINTAGE_UNITS, default="").alias("unit"),
        pl.lit(sources["nyfed_vintage_20160629"]).alias("source"),
        "source_row",
    )
    return changes_only(versions, ["series_id", "event_time"], ["value"])


def changes_only(versions: pl.DataFrame, key: list[str], values: list[str]) -> pl.DataFrame:
    """Return the versions that differ from the one known before under the same key."""
    same = pl.all_horizontal(
        pl.col(c).eq_missing(pl.col(c).shift(1).over(key, order_by="knowledge_time"))
        for c in values
    )
    is_first = pl.col("knowledge_time") == pl.col("knowledge_time").min().over(key)
    return versions.filter(is_first | ~same)


def _us_or_iso_day(column: pl.Expr) -> pl.Expr:
    """These files write 2017-01-31 or, in the US order, 1/31/2017."""
    return pl.coalesce(
        column.str.to_date("%Y-%m-%d", strict=False), column.str.to_date("%m/%d/%Y", strict=False)
    )


def _local(day: pl.Expr, at: time, zone: str) -> pl.Expr:
    """Return the UTC moment of a local time on a day."""
    return day.dt.combine(at).dt.replace_time_zone(zone).dt.convert_time_zone("UTC")


def _next_business_day() -> pl.Expr:
    """16:15 in New York on the business day after event_time."""
    day = pl.col("event_time").dt.convert_time_zone(_NEW_YORK).dt.date()
    later = day.dt.add_business_days(H15_LAG_BUSINESS_DAYS, roll="forward")
    return _local(later, time(16, 15), _NEW_YORK)


_PARSERS: dict[str, Callable[[ReadFile, Mapping[str, str]], list[pl.DataFrame]]] = {
    BARS.name: _bars,
    CORPORATE_ACTIONS.name: _corporate_actions,
    MACRO.name: _macro,
    NEWS.name: _news,
    TRADES.name: _trades,
}
