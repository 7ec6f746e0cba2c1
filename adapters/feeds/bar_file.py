"""Bars of a CSV or Parquet file, or of the bars table, on their instruments' integer grids."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from adapters.feeds.table_file import read_rows
from swarm_core.instruments import Instrument
from swarm_core.market import Bar

_NEEDED = ("instrument_id", "time", "close")
_ZONE = r"(Z|[+-]\d\d:?\d\d)$"
_PRICES = ("open", "high", "low", "close", "volume")


def read_bar_file(path: Path, instruments: Mapping[str, Instrument]) -> tuple[Bar, ...]:
    """Return the bars of a file in the order of their closes.

    Columns: instrument_id, time (the bar's close, ISO 8601 with its zone), close and, where
    known, open, high, low, volume and open_time. Raises ValueError with one line on what cannot
    be read, on an instrument that is not known, and on a bar that comes twice.
    """
    rows = read_rows(path, _NEEDED, "bars")
    try:
        return bars_of_rows(rows.with_columns(_as_time(rows, "time")), instruments)
    except (ValueError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())[:300]}") from error


def bars_of_rows(rows: pl.DataFrame, instruments: Mapping[str, Instrument]) -> tuple[Bar, ...]:
    """Return bars of rows whose `time` is a moment in UTC; see `read_bar_file`."""
    absent = [pl.lit(None, pl.Float64).alias(n) for n in _PRICES if n not in rows.columns]
    rows = rows.with_columns(absent)
    if "open_time" in rows.columns:
        rows = rows.with_columns(_as_time(rows, "open_time"))
    else:
        rows = rows.with_columns(pl.lit(None, pl.Datetime("us", "UTC")).alias("open_time"))
    unknown = sorted(set(rows["instrument_id"]) - set(instruments))
    if unknown:
        raise ValueError(f"instrument_id must be a known instrument, were {unknown[:5]}")
    if rows.select("instrument_id", "time").is_duplicated().any():
        raise ValueError("a bar must come once per instrument and time, one came twice")
    rows = rows.sort("time", "instrument_id").with_columns(
        pl.col("time", "open_time").dt.epoch("us") * 1_000,
        pl.col(*_PRICES).cast(pl.Float64),
    )
    if rows["time"].null_count() or rows["close"].null_count():
        raise ValueError("every bar must have a time and a close, one had none")
    return tuple(_bar(instruments[r["instrument_id"]], r) for r in rows.iter_rows(named=True))


def _as_time(rows: pl.DataFrame, name: str) -> pl.Expr:
    """Return the column as moments in UTC; text must name its zone."""
    if rows.schema[name] == pl.String:
        named = rows[name].drop_nulls().str.contains(_ZONE)
        if not named.all():
            first = rows[name].drop_nulls().filter(~named)[0]
            raise ValueError(f"{name} must carry its zone, was {first}")
        return pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC")
    if isinstance(rows.schema[name], pl.Datetime) and rows.schema[name].time_zone is None:  # type: ignore[union-attr]  # narrowed in this line
        raise ValueError(f"{name} must carry its zone, was without one")
    return pl.col(name).dt.convert_time_zone("UTC").dt.cast_time_unit("us")


def _bar(instrument: Instrument, row: dict[str, object]) -> Bar:
    prices: dict[str, float | None] = {n: row[n] for n in _PRICES}  # type: ignore[misc]  # cast to float above
    close = prices["close"]
    assert close is not None
    time_ns, open_time_ns = row["time"], row["open_time"]
    assert isinstance(time_ns, int)
    assert open_time_ns is None or isinstance(open_time_ns, int)
    return Bar.from_prices(
        instrument,
        time_ns,
        close,
        open_=prices["open"],
        high=prices["high"],
        low=prices["low"],
        volume=prices["volume"],
        open_time_ns=open_time_ns,
    )
