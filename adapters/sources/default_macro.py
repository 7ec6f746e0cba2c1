"""The default macro series: rates, oil, volatility and the vintages of US releases."""

from collections.abc import Mapping
from datetime import date, time, timedelta

import polars as pl

from adapters.sources.default_files import NEW_YORK, ReadFile, read_csv, to_utc
from adapters.sources.versions import changes_only

# Publication lags: how long after event_time a value could first be known, and why.
VIX_LAG = timedelta(minutes=15)  # Cboe's closing value of 16:15
OIL_LAG = timedelta(days=8)  # EIA publishes on Wednesdays, up to the Monday before
NOON_RATE_LAG = timedelta(days=8)  # H.10 comes out weekly, on Monday or, after a holiday, Tuesday
H15_LAG_BUSINESS_DAYS = 1  # H.15 (yields, breakevens) is posted on the next business day

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
    "PAYEMS": "thousand_persons", "JTSJOL": "thousands", "CPIAUCSL": "index",
    "DGORDER": "usd_million",
    "HSN1F": "thousands", "RSAFS": "usd_million", "UNRATE": "percent", "HOUST": "thousands",
    "INDPRO": "index", "PPIFIS": "index", "DSPIC96": "chained_usd_billion", "BOPTEXP":
    "usd_million", "BOPTIMP": "usd_million", "WHLSLRIMSA": "usd_million",
    "TTLCONS": "usd_million", "IR": "index",
    "CPILFESL": "index", "PCEPILFE": "index", "PCEPI": "index", "PERMIT": "thousands",
    "TCU": "percent", "BUSINV": "usd_million", "IQ": "index", "GACDISA066MSFRBNY": "index",
    "PCEC96": "chained_usd_billion", "GACDFSA066MSFRBPHI": "index", "GDPC1": "chained_usd_billion",
    "ULCNFB": "index", "A261RX1Q020SBEA": "chained_usd_billion",
}  # fmt: skip


def macro(read: ReadFile, sources: Mapping[str, str]) -> list[pl.DataFrame]:
    """Return the MACRO rows of every default file that has some."""
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
            event_time=to_utc(day, at, NEW_YORK),
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
        event_time=to_utc(pl.col("Time Period").str.head(10).str.to_date(), time(16, 0), NEW_YORK),
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
        to_utc(pl.col("vintage").dt.offset_by("1d"), time(0, 0), NEW_YORK).alias("knowledge_time"),
        pl.col("value").cast(pl.Float64),
        pl.col("series_id").replace_strict(_VINTAGE_UNITS, default="").alias("unit"),
        pl.lit(sources["nyfed_vintage_20160629"]).alias("source"),
        "source_row",
    )
    return changes_only(versions, ["series_id", "event_time"], ["value"])


def _us_or_iso_day(column: pl.Expr) -> pl.Expr:
    """These files write 2017-01-31 or, in the US order, 1/31/2017."""
    return pl.coalesce(
        column.str.to_date("%Y-%m-%d", strict=False), column.str.to_date("%m/%d/%Y", strict=False)
    )


def _next_business_day() -> pl.Expr:
    """16:15 in New York on the business day after event_time."""
    day = pl.col("event_time").dt.convert_time_zone(NEW_YORK).dt.date()
    later = day.dt.add_business_days(H15_LAG_BUSINESS_DAYS, roll="forward")
    return to_utc(later, time(16, 15), NEW_YORK)
