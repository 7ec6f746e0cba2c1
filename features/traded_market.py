"""Which market a desk trades where nobody said: the one that most of its bars are of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

TRADABLE_CLASSES = ("equity", "etf", "fx", "future", "crypto")
_MARKET = ["calendar", "currency"]
_MOST, _NEARLY_ALL = 0.5, 0.9  # shares of the bars


@dataclass(frozen=True, slots=True)
class MarketChoice:
    """Calendar, currency and classes; `left_out` says in a line each what else the data hold."""

    calendar: str
    currency: str
    asset_classes: tuple[str, ...]
    left_out: tuple[str, ...]


def choose_market(
    bars: pl.DataFrame,
    instruments: pl.DataFrame,
    *,
    calendar: str | None = None,
    currency: str | None = None,
    asset_classes: Sequence[str] = (),
) -> MarketChoice:
    """Return the calendar and currency with most days of bars of tradable instruments.

    What is given is kept to. One book has one currency and one set of sessions: instruments of
    other markets are ingested and validated, and not traded. Raises ValueError where no bar is of
    an instrument that fits.
    """
    wanted = list(asset_classes or TRADABLE_CLASSES)
    fitting = instruments.filter(pl.col("asset_class").is_in(wanted)).unique(
        "instrument_id", keep="last", maintain_order=True
    )
    days = (
        bars.lazy()
        .select("instrument_id", day=pl.col("event_time").dt.date())
        .unique()
        .group_by("instrument_id")
        .len("days")
        .collect()
    )
    counted = fitting.select("instrument_id", "asset_class", *_MARKET).join(
        days, on="instrument_id"
    )
    markets = (
        counted.group_by(_MARKET)
        .agg(pl.col("days").sum(), names=pl.len())
        .sort("days", *_MARKET, descending=[True, False, False])
    )
    for column, given in zip(_MARKET, (calendar, currency), strict=True):
        if given is not None:
            markets = markets.filter(pl.col(column) == given)
    if markets.is_empty():
        asked = ", ".join(filter(None, (calendar, currency, *wanted)))
        held = instruments.filter(pl.col("instrument_id").is_in(days["instrument_id"].implode()))
        classes = ", ".join(sorted(held["asset_class"].unique())) or "nothing"
        raise ValueError(f"there must be bars of {asked} to trade, were of {classes}")
    chosen, first = markets.row(0, named=True), counted
    for column in _MARKET:
        first = first.filter(pl.col(column) == chosen[column])
    classes = tuple(sorted(first["asset_class"].unique()))
    others = tuple(
        f"{row['names']} instruments in {row['currency']} by {row['calendar']} are looked at, "
        "not traded"
        for row in markets.slice(1).iter_rows(named=True)
    )
    return MarketChoice(chosen["calendar"], chosen["currency"], classes, others)


def find_later_lag(bars: pl.DataFrame, lag: timedelta) -> timedelta | None:
    """Return how long after the close nearly all session bars are known, where `lag` is too short.

    None where most bars are known by then. What a vendor publishes the next morning cannot be
    decided on in the evening.
    """
    first = bars.group_by("instrument_id", "event_time").agg(pl.col("knowledge_time").min())
    lags = first.select(pl.col("knowledge_time") - pl.col("event_time")).to_series()
    if lags.is_empty() or lags.quantile(_MOST, "nearest") <= lag:  # type: ignore[operator]  # of durations
        return None
    return lags.quantile(_NEARLY_ALL, "nearest")  # type: ignore[return-value]  # the same
