"""The panel: clean bars of all instruments, one after another in time, ready for expressions."""

import polars as pl

from features.calendars import day_of_close
from features.kernels.expressions import MOMENT, SEGMENT, mean_of_moment

CLOSE, OPEN, HIGH, LOW, VOLUME = (pl.col(c) for c in ("close", "open", "high", "low", "volume"))
LOG_RETURN = pl.col("log_return")  # ln(C[t] / C[t-1])
MARKET_RETURN = pl.col("market_return")  # its mean over the instruments of the same close
SESSION = pl.col("session")  # the date of the session that the bar closes

_KEYS = ("instrument_id", "event_time", "knowledge_time")


def shifted(column: pl.Expr, sessions: int) -> pl.Expr:
    """Return the column's value so many sessions earlier in the same instrument."""
    same = pl.col(SEGMENT) == pl.col(SEGMENT).shift(sessions)
    return pl.when(same).then(column.shift(sessions))


def squared(value: pl.Expr) -> pl.Expr:
    """Return the value times itself; a power goes another way in the last bit."""
    return value * value


def _price(name: str) -> pl.Expr:
    value = pl.col(name).cast(pl.Float64)
    # A price of zero or below is real at times, but no ratio or logarithm of it means anything.
    return pl.when(value.is_finite() & (value > 0.0)).then(value).alias(name)


def _volume() -> pl.Expr:
    value = pl.col("volume").cast(pl.Float64)
    return pl.when(value.is_finite() & (value >= 0.0)).then(value).alias("volume")


def with_all_columns(bars: pl.LazyFrame) -> pl.LazyFrame:
    """Return the bars with the columns that the panel reads, nulls where the table has none."""
    names = bars.collect_schema().names()
    missing = [c for c in (*_KEYS, "close") if c not in names]
    if missing:
        raise ValueError(f"bars must have the columns {missing}, had {names}")
    optional = ("open", "high", "low", "volume")
    return bars.select(
        *_KEYS,
        "close",
        *(pl.col(c) if c in names else pl.lit(None, pl.Float64).alias(c) for c in optional),
    )


def build_panel(view: pl.DataFrame) -> pl.LazyFrame:
    """Return the panel of rows of bars that lie by history (`segment`) and event_time.

    Adds position, session and log_return, and market_return where the view has the `moment` of
    each row: there it must hold every instrument of that moment. Impossible prices are null.
    """
    panel = (
        view.lazy()
        .with_columns(
            *(_price(c) for c in ("open", "high", "low", "close")),
            _volume(),
            pl.int_range(pl.len(), dtype=pl.Int64).alias("position"),
            day_of_close().alias("session"),
        )
        .with_columns(log_return=(CLOSE / shifted(CLOSE, 1)).log())
    )
    if MOMENT not in view.columns:
        return panel
    return panel.with_columns(market_return=mean_of_moment(LOG_RETURN))
