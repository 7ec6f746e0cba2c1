"""Builders of rows that are valid by default, and of real clean series to spoil on purpose."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
import polars as pl

from features.calendars import sessions
from features.schemas import BARS, INSTRUMENTS
from features.validation import CheckContext, ValidationReport, check
from tests.shared_data import SHARED

STOPPED = pl.col("severity").is_in(["quarantine", "block"])


def make_bars(
    *, instruments: int = 3, days: int = 120, seed: int = 1, start: float = 50.0
) -> pl.DataFrame:
    """Return valid daily bars of XNYS sessions that end on 2021-12-31."""
    rng = np.random.default_rng(seed)
    day = sessions("XNYS", datetime(2015, 1, 1, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC))
    times = day.get_column("close").tail(days)
    parts = []
    for number in range(instruments):
        close = start * np.exp(np.cumsum(rng.normal(0, 0.012, days)))
        opened = close * np.exp(rng.normal(0, 0.004, days))
        parts.append(
            pl.DataFrame(
                {
                    "instrument_id": [f"US.T{number}"] * days,
                    "event_time": times,
                    "open": opened,
                    "high": np.maximum(opened, close) * 1.004,
                    "low": np.minimum(opened, close) * 0.996,
                    "close": close,
                    "volume": rng.lognormal(13, 0.3, days).round(),
                }
            )
        )
    return conform_bars(pl.concat(parts))


def conform_bars(rows: pl.DataFrame, *, adjustment: str = "split") -> pl.DataFrame:
    """Fill what every bar carries: interval, knowledge two hours later, source and row number."""
    return BARS.conform(
        rows.with_columns(
            interval=pl.lit("1d"),
            knowledge_time=pl.col("event_time") + pl.duration(hours=2),
            adjustment=pl.lit(adjustment),
            currency=pl.lit("USD"),
            source=pl.lit("test/bars@1"),
            source_row=pl.int_range(pl.len(), dtype=pl.Int64),
        )
    )


def make_instruments(rows: pl.DataFrame, *, calendar: str = "XNYS") -> pl.DataFrame:
    """Return an equity of the calendar for every instrument of the rows."""
    return INSTRUMENTS.conform(
        rows.select(pl.col("instrument_id").unique(maintain_order=True)).with_columns(
            ticker=pl.col("instrument_id"),
            asset_class=pl.lit("equity"),
            currency=pl.lit("USD"),
            calendar=pl.lit(calendar),
        )
    )


def make_context(rows: pl.DataFrame, **changes: object) -> CheckContext:
    """Return a context of three hours after the newest row, with its instruments."""
    values: dict[str, object] = {
        "as_of": rows["event_time"].max() + timedelta(hours=3),
        "instruments": make_instruments(rows),
    }
    return CheckContext(**{**values, **changes})


def check_bars(rows: pl.DataFrame, **changes: object) -> ValidationReport:
    """Check bars in their own context."""
    return check("bars", rows, context=make_context(rows, **changes))


def set_cells(
    rows: pl.DataFrame, at: list[int] | np.ndarray, **values: pl.Expr | float | str | None
) -> pl.DataFrame:
    """Return the rows with some columns changed in some rows."""
    mask = pl.int_range(pl.len()).is_in(pl.Series(at).implode())
    return rows.with_columns(
        pl.when(mask)
        .then(value if isinstance(value, pl.Expr) else pl.lit(value))
        .otherwise(pl.col(name))
        .alias(name)
        for name, value in values.items()
    )


def scale_prices(rows: pl.DataFrame, at: list[int] | np.ndarray, factor: float) -> pl.DataFrame:
    """Return the rows with open, high, low and close multiplied in some rows."""
    prices = ("open", "high", "low", "close")
    return set_cells(rows, at, **{name: pl.col(name) * factor for name in prices})


def stopped_rows(report: ValidationReport, kind: str | None = None) -> set[int]:
    """Return the indices of the rows that do not pass, for one kind or for any."""
    found = report.findings.filter(STOPPED, pl.col("row_index").is_not_null())
    if kind is not None:
        found = found.filter(pl.col("kind") == kind)
    return set(found.get_column("row_index").to_list())


@lru_cache(maxsize=1)
def sp500_bars() -> pl.DataFrame:
    """Return the daily bars of 505 US names, 2013 to 2018, faults included."""
    raw = pl.read_parquet(SHARED / "equities_sp500_5yr" / "vintage_2018-02-09.parquet")
    return conform_bars(new_york_close(raw))


@lru_cache(maxsize=1)
def lean_bars() -> pl.DataFrame:
    """Return unadjusted daily bars of 21 US names, 1998 to 2021."""
    raw = pl.read_parquet(SHARED / "lean" / "equity_usa_daily.parquet")
    return conform_bars(new_york_close(raw.rename({"ts_new_york": "date"})), adjustment="raw")


def new_york_close(raw: pl.DataFrame) -> pl.DataFrame:
    """Name the instrument and stamp a day with 16:00 in New York."""
    close = pl.col("date").cast(pl.Date).cast(pl.Datetime("us")) + pl.duration(hours=16)
    return raw.with_columns(
        instrument_id=pl.lit("US.") + pl.col("symbol"),
        event_time=close.dt.replace_time_zone("America/New_York").dt.convert_time_zone("UTC"),
        volume=pl.col("volume").cast(pl.Float64),
    )


def clean_halves(count: int = 40) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return two halves of real series without any finding above info: to tune, and to report.

    Days that the vendor filled with the day before are taken out: they are of half of the names.
    """
    rows = sp500_bars()
    copied = stopped_rows(check_bars(rows), "stale")
    rows = rows.filter(~pl.int_range(pl.len()).is_in(list(copied)))
    gone = pl.col("kind").is_in(["gap", "sparse"])
    found = check_bars(rows).findings.filter(pl.col("severity") != "info", ~gone)
    dirty = rows[found.get_column("row_index").drop_nulls().unique()]["instrument_id"].unique()
    lengths = rows.group_by("instrument_id").len().filter(pl.col("len") > 1_000)
    names = lengths.filter(~pl.col("instrument_id").is_in(dirty.implode()))
    ordered = names.get_column("instrument_id").sort()
    chosen = ordered.gather_every(max(1, ordered.len() // (2 * count))).head(2 * count)
    return tuple(  # type: ignore[return-value]  # two halves by construction
        rows.filter(pl.col("instrument_id").is_in(half.implode()))
        for half in (chosen.gather_every(2), chosen.gather_every(2, 1))
    )
