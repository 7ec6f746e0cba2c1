"""The versions of every bar, and which of them was there at the bar's own as_of."""

from datetime import datetime, timedelta

import polars as pl

from features.catalog.panel import with_all_columns
from features.schemas import UTC_TIME

KEY = ("instrument_id", "event_time")


def read_versions(bars: pl.LazyFrame, end: datetime, as_of_offset: timedelta) -> pl.DataFrame:
    """Return the versions of every bar before end, and whether each was there at its own as_of.

    They lie by instrument and event_time, those of one bar as they became known.
    Raises ValueError where bars are of several intervals.
    """
    intervals = bars.select(pl.col("interval").unique()).collect() if _has(bars) else None
    if intervals is not None and intervals.height > 1:
        found = sorted(str(v) for v in intervals["interval"])
        raise ValueError(f"bars must be of one interval, were of {found}")
    prompt = pl.col("knowledge_time") <= pl.col("as_of")
    same_next = pl.col("event_time").eq(pl.col("event_time").shift(-1)) & pl.col(
        "instrument_id"
    ).eq(pl.col("instrument_id").shift(-1))
    # No row reads a bar before that bar's own as_of: of the versions by then the last counts.
    replaced = same_next & prompt.shift(-1, fill_value=False)
    return (
        with_all_columns(bars)
        .filter(pl.col("event_time") < end)
        .with_columns(pl.col("event_time", "knowledge_time").cast(UTC_TIME))
        .sort(*KEY, "knowledge_time", maintain_order=True)
        .with_columns(as_of=pl.col("event_time") + as_of_offset)
        .with_columns(prompt=prompt)
        .filter(~replaced.fill_null(value=False))
        .filter(~_repeats())
        .collect()
    )


def _repeats() -> pl.Expr:
    """Return where a late version says what the version before it said: nothing was revised."""
    columns = (*KEY, "open", "high", "low", "close", "volume")
    same = pl.all_horizontal(pl.col(c).eq_missing(pl.col(c).shift(1)) for c in columns)
    return same & ~pl.col("prompt")


def _has(bars: pl.LazyFrame) -> bool:
    return "interval" in bars.collect_schema().names()
