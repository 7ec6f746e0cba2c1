"""A small market in CSV files: seeded, on the exchange's sessions, for chains run in tests."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from features.calendars import sessions

NAMES = ("ANT", "BEE", "CAT", "DOE", "ELK", "FOX", "GNU", "HEN")


def _daily(files: str, dataset: str, place: str, calendar: str, currency: str) -> str:
    """Return the mapping of a file of daily OHLCV bars of one exchange."""
    return f"""
  - table: bars
    files: "{files}"
    dataset: {dataset}
    time: {{column: date, format: "%Y-%m-%d", stands_for: session}}
    knowledge: {{lag: 15m}}
    symbol: symbol
    instrument:
      {{id: "{place}.{{symbol}}", calendar: {calendar}, price_increment: "0.01",
       size_increment: "1"}}
    columns:
      interval: {{constant: 1d}}
      open: open
      high: high
      low: low
      close: close
      volume: volume
      adjustment: {{constant: split}}
      currency: {{constant: {currency}}}
"""


MAPPING = "\ntables:" + _daily("bars.csv", "daily", "US", "XNYS", "USD")
LONDON = (
    _daily("london.csv", "london", "XLON", "XLON", "GBP")
    + """\
  - table: bars
    files: "pairs.csv"
    dataset: pairs
    time: {column: date, format: "%Y-%m-%d", stands_for: session}
    knowledge: {lag: 15m}
    symbol: symbol
    instrument:
      {id: "FX.{symbol}", calendar: XNYS, asset_class: fx, price_increment: "0.0001",
       size_increment: "1"}
    columns:
      interval: {constant: 1d}
      close: close
      adjustment: {constant: split}
      currency: {constant: USD}
"""
)


def market_rows(
    seed: int = 1, start: date = date(2016, 1, 4), count: int = 520, calendar: str = "XNYS"
) -> pl.DataFrame:
    """Return daily OHLCV rows: correlated walks with a slowly changing drift, two decimals."""
    days = sessions(calendar, start, date(2020, 1, 1))["session"].head(count)
    generator = np.random.default_rng(seed)
    common = 0.006 * generator.standard_normal(len(days))
    frames = []
    for position, name in enumerate(NAMES):
        drift = 0.0006 * np.sin(np.arange(len(days)) / 40.0 + position)
        change = common + drift + 0.009 * generator.standard_normal(len(days))
        close = np.round((30.0 + 11.0 * position) * np.exp(np.cumsum(change)), 2)
        opened = np.round(np.concatenate(([close[0]], close[:-1])) * (1 + 0.001 * common), 2)
        wick = 0.004 * np.abs(generator.standard_normal((2, len(days))))
        frames.append(
            pl.DataFrame(
                {
                    "date": days,
                    "symbol": name,
                    "open": opened,
                    "high": np.round(np.maximum(opened, close) * (1 + wick[0]) + 0.01, 2),
                    "low": np.round(np.minimum(opened, close) * (1 - wick[1]) - 0.01, 2),
                    "close": close,
                    "volume": generator.integers(1_000_000, 5_000_000, len(days)),
                }
            )
        )
    return pl.concat(frames).sort("date", "symbol")


def write_market(folder: Path, rows: pl.DataFrame) -> Path:
    """Write the rows and their mapping into the folder and return the mapping's path."""
    folder.mkdir(parents=True, exist_ok=True)
    rows.write_csv(folder / "bars.csv")
    mapping = folder.parent / "market.yaml"
    mapping.write_text(MAPPING)
    return mapping


def write_two_markets(folder: Path, rows: pl.DataFrame) -> Path:
    """Write the rows, three names of London in pounds and the pound's rate beside them."""
    mapping = write_market(folder, rows)
    london = market_rows(seed=2, calendar="XLON").filter(pl.col("symbol").is_in(NAMES[:3]))
    london.write_csv(folder / "london.csv")
    days = rows["date"].unique().sort()
    walk = np.cumsum(0.004 * np.random.default_rng(3).standard_normal(len(days)))
    pound = pl.DataFrame({"date": days, "symbol": "GBPUSD", "close": np.round(1.4 + walk, 4)})
    pound.write_csv(folder / "pairs.csv")
    mapping.write_text(MAPPING + LONDON)
    return mapping
