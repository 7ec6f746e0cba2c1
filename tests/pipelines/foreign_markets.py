"""Made-up markets of other exchanges, zones, units and layouts, each with its own defects.

Every generator writes a folder of files as a vendor might, seeded, and returns nothing: what the
chain makes of the folder is what the tests look at.
"""

import io
import zipfile
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl

from features import calendars

START = date(2021, 1, 4)


def sessions_of(calendar: str, count: int, start: date = START) -> pl.DataFrame:
    """Return the first `count` sessions of a calendar from a day on."""
    return calendars.sessions(calendar, start, date(2030, 1, 1)).head(count)


def walks(
    names: Sequence[str],
    count: int,
    seed: int,
    *,
    level: float = 100.0,
    step: float = 0.01,
    places: int = 2,
) -> dict[str, pl.DataFrame]:
    """Return seeded OHLCV walks by name: a common factor, slow drifts, and noise."""
    generator = np.random.default_rng(seed)
    common = 0.6 * step * generator.standard_normal(count)
    frames: dict[str, pl.DataFrame] = {}
    for position, name in enumerate(names):
        drift = 0.06 * step * np.sin(np.arange(count) / 40.0 + position)
        change = common + drift + step * generator.standard_normal(count)
        close = level * (1.0 + 0.4 * position) * np.exp(np.cumsum(change))
        opened = np.concatenate(([close[0]], close[:-1])) * (1.0 + 0.1 * common)
        wick = 0.4 * step * np.abs(generator.standard_normal((2, count)))
        frames[name] = pl.DataFrame(
            {
                "open": np.round(opened, places),
                "high": np.round(np.maximum(opened, close) * (1.0 + wick[0]), places),
                "low": np.round(np.minimum(opened, close) * (1.0 - wick[1]), places),
                "close": np.round(close, places),
                "volume": generator.integers(1_000_000, 5_000_000, count),
            }
        ).with_columns(
            high=pl.max_horizontal("open", "high", "close"),
            low=pl.min_horizontal("open", "low", "close"),
        )
    return frames


def scaled(frame: pl.DataFrame, rows: slice, factor: float) -> pl.DataFrame:
    """Return the frame with the prices of a stretch multiplied."""
    inside = pl.int_range(pl.len()).is_between(rows.start, rows.stop - 1)
    prices = ("open", "high", "low", "close")
    return frame.with_columns(
        pl.when(inside).then(pl.col(c) * factor).otherwise(pl.col(c)).alias(c) for c in prices
    )


def london_in_pence(folder: Path, count: int = 150) -> None:
    """One file a ticker, in pence; one series is quoted in pounds for a stretch."""
    days = sessions_of("XLON", count)["session"]
    made = walks(["VOD.L", "BARC.L", "TSCO.L", "BP.L", "RIO.L", "SHEL.L"], count, 11, level=250.0)
    made["BP.L"] = scaled(made["BP.L"], slice(60, 72), 0.01)
    for name, frame in made.items():
        rows = frame.select(Date=days, Open="open", High="high", Low="low", Close="close",
                            Volume="volume", Currency=pl.lit("GBX"))  # fmt: skip
        rows.write_csv(folder / f"{name}.csv")


def tokyo(folder: Path, count: int = 150) -> None:
    """One Parquet file of all names; rows stand twice, and one series is stale for a while."""
    days = sessions_of("XTKS", count)["session"]
    made = walks(["7203", "6758", "9984", "8306", "4502", "6861"], count, 12, level=2_000, places=0)
    stale = pl.int_range(pl.len()).is_between(80, 95)
    made["4502"] = made["4502"].with_columns(
        pl.when(stale).then(pl.col(c).get(80)).otherwise(pl.col(c)).alias(c)
        for c in ("open", "high", "low", "close", "volume")
    )
    frames = [f.with_columns(date=days, symbol=pl.lit(n)) for n, f in made.items()]
    rows = pl.concat(frames).sort("date", "symbol")
    pl.concat([rows, rows.filter(pl.col("symbol") == "6758").slice(20, 3)]).write_parquet(
        folder / "prices.parquet"
    )


def hong_kong_twice(folder: Path, count: int = 150) -> None:
    """One of the names is another one's series once more."""
    days = sessions_of("XHKG", count)["session"]
    made = walks(["0700.HK", "0005.HK", "0939.HK", "1299.HK", "0388.HK"], count, 19, level=50.0)
    made["9999.HK"] = made["0005.HK"]
    frames = [f.with_columns(date=days, symbol=pl.lit(n)) for n, f in made.items()]
    pl.concat(frames).write_csv(folder / "hk.csv")


def frankfurt(folder: Path, count: int = 150) -> None:
    """A zip of German files (semicolon, decimal comma): an unadjusted split and a bad print."""
    days = sessions_of("XETR", count)["session"]
    made = walks(["SAP.DE", "SIE.DE", "ALV.DE", "BAS.DE", "BMW.DE", "DTE.DE"], count, 13)
    made["SIE.DE"] = scaled(made["SIE.DE"], slice(0, 70), 4.0)
    made["BAS.DE"] = scaled(made["BAS.DE"], slice(90, 91), 6.0)
    with zipfile.ZipFile(folder / "kurse.zip", "w") as archive:
        for name, frame in made.items():
            rows = frame.select(
                Datum=days.dt.strftime("%d.%m.%Y"), Eröffnung="open", Hoch="high", Tief="low",
                Schlusskurs="close", Volumen=pl.col("volume").cast(pl.Float64),
            )  # fmt: skip
            buffer = io.BytesIO()
            rows.write_csv(buffer, separator=";", decimal_comma=True)
            archive.writestr(f"{name}.csv", buffer.getvalue())


def coins_by_the_hour(folder: Path, count: int = 140) -> None:
    """Hourly candles around the clock in epoch milliseconds; hours are missing, one is wild."""
    hours = 24 * count
    start = int(datetime(2021, 1, 4, tzinfo=UTC).timestamp()) * 1_000
    stamps = pl.Series("open_time", [start + 3_600_000 * n for n in range(hours)])
    made = walks(
        ["BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT", "XRPUSDT"], hours, 14, level=300.0, step=0.004
    )
    made["SOLUSDT"] = scaled(made["SOLUSDT"], slice(1_500, 1_501), 12.0)
    for name, frame in made.items():
        rows = frame.with_columns(stamps, pl.col("volume") / 1_000.0, symbol=pl.lit(name))
        missing = pl.int_range(pl.len()).is_in([700, 701, 2_000])
        rows.filter(~missing).write_csv(folder / f"{name}_1h.csv")


def currencies(folder: Path, count: int = 150) -> None:
    """Daily currency pairs, and their quotes, of which some are crossed."""
    days = sessions_of("24/5", count)["session"]
    names = ["EURUSD", "GBPUSD", "AUDUSD", "NZDUSD", "USDJPY"]
    made = walks(names, count, 15, level=0.8, step=0.005, places=5)
    bars = [f.drop("volume").with_columns(date=days, symbol=pl.lit(n)) for n, f in made.items()]
    pl.concat(bars).write_csv(folder / "daily.csv")
    quotes = [
        f.select(
            date=days,
            symbol=pl.lit(name),
            bid=pl.col("close") - 0.0001,
            ask=pl.when(pl.int_range(pl.len()) % 50 == 7)
            .then(pl.col("close") - 0.0005)
            .otherwise(pl.col("close") + 0.0001),
        )
        for name, f in made.items()
    ]
    pl.concat(quotes).write_csv(folder / "quotes.csv")


def futures(folder: Path, count: int = 150) -> None:
    """Continuous futures, of which oil closes below zero once, and truly."""
    days = sessions_of("CMES", count)["session"]
    made = walks(["ES=F", "NQ=F", "CL=F", "GC=F", "ZN=F"], count, 16, level=40.0)
    below = pl.int_range(pl.len()) == 75
    made["CL=F"] = made["CL=F"].with_columns(
        close=pl.when(below).then(-3.7).otherwise("close"),
        low=pl.when(below).then(-4.1).otherwise("low"),
    )
    frames = [f.with_columns(date=days, symbol=pl.lit(n)) for n, f in made.items()]
    pl.concat(frames).write_csv(folder / "futures.csv")


def new_york_by_the_quarter_hour(folder: Path, count: int = 140) -> None:
    """Quarter hours in the exchange's own time, without a zone, before and after hours too."""
    names = ["AAA", "BBB", "CCC", "DDD", "EEE"]
    hours = sessions_of("XNYS", count)
    moments = [
        opened + pl.duration(minutes=15 * n) for n in range(26) for opened in [pl.col("open")]
    ]
    stamps = (
        hours.select("close", at=pl.concat_list(moments))
        .explode("at")
        .filter(pl.col("at") < pl.col("close"))["at"]
        .dt.convert_time_zone("America/New_York")
        .dt.replace_time_zone(None)
    )
    for name, frame in walks(names, len(stamps), 17, step=0.002).items():
        rows = frame.with_columns(datetime=stamps.dt.strftime("%Y-%m-%d %H:%M:%S"))
        rows.write_csv(folder / f"{name}.csv")


def sydney_with_a_wrong_zone(folder: Path, count: int = 150) -> None:
    """One file of all names; one series' days are a day early, another has days to come."""
    days = sessions_of("XASX", count)["session"]
    names = ["BHP.AX", "CBA.AX", "CSL.AX", "NAB.AX", "WES.AX", "ANZ.AX"]
    made = walks(names, count, 18, level=40.0)
    frames = [f.with_columns(date=days, symbol=pl.lit(n)) for n, f in made.items()]
    rows = pl.concat(frames).with_columns(
        date=pl.when(pl.col("symbol") == "CSL.AX")
        .then(pl.col("date").dt.offset_by("-1d"))
        .otherwise("date")
    )
    ahead = (
        rows.filter(pl.col("symbol") == "ANZ.AX")
        .tail(1)
        .with_columns(date=date(2029, 6, 1), volume=pl.col("volume") + 1)  # no copy of the last bar
    )
    pl.concat([rows, ahead]).write_csv(folder / "asx.csv")


MARKETS = {
    "london": london_in_pence,
    "tokyo": tokyo,
    "hong_kong": hong_kong_twice,
    "frankfurt": frankfurt,
    "coins": coins_by_the_hour,
    "currencies": currencies,
    "futures": futures,
    "new_york": new_york_by_the_quarter_hour,
    "sydney": sydney_with_a_wrong_zone,
}
