"""A bar that a series has on another day too: the same four prices, and all but the same volume.

Of 52 such pairs of real shares that another source tells, one of the two was wrong in each.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl

from features.validation.context import CheckContext
from features.validation.findings import make_hits
from features.validation.rule import TableRule
from features.validation.rules.prints import telling_volume
from features.validation.view import Bools, Ints, SeriesArrays, TableView

_PRICES = ("open", "high", "low", "close")
# Odd constants spread the bits of numbers and values (Steele, Lea and Flood, 2014: splitmix).
_MIX_SERIES = np.uint64(0x9E3779B97F4A7C15)
_MIX_VALUE = np.uint64(0xBF58476D1CE4E5B9)
# Of 1,206,213 days of real shares 1,058 recur with a volume this near, all but three of them in one
# source that filled days so; equal prices beside another volume are chance, mostly.
_VOLUME_MISFIT = 0.02
_NEAR_SHARE = 0.5  # of the bars of a series whose prices recur
_FARTHER = 3.0  # than the other from its neighbours: so much sooner a bar is the copy


def _find(view: TableView, context: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield daily bars that are there twice: both, or that which fits its neighbours less."""
    arrays = view.series
    # What is dated in the future is put aside for that, whatever it is a copy of.
    at = _recurring(arrays, int(context.as_of.timestamp() * 1e6))
    if at.size == 0:
        return
    frame = pl.DataFrame(
        {"at": at, "series": arrays.series[at], "volume": arrays.column("volume")[at]}
        | {column: arrays.column(column)[at] for column in _PRICES}
    ).sort("at")
    key = ["series", *_PRICES]
    pairs = frame.with_columns(
        earlier=pl.col("at").shift(1).over(key), before=pl.col("volume").shift(1).over(key)
    ).drop_nulls("earlier")
    misfit = (pl.col("volume") / pl.col("before")).log().abs()
    is_near = misfit <= _VOLUME_MISFIT
    pairs = pairs.filter(
        # Of prices in few steps four recur by chance, and with any volume.
        ((misfit == 0) | (is_near & (is_near.mean().over("series") >= _NEAR_SHARE)))
        # The copy of the bar before is told as a repeat.
        & ((pl.col("at") > pl.col("earlier") + 1) | (misfit > 0))
    )
    if pairs.is_empty():
        return
    found, other = _in_doubt(arrays, pairs["at"].to_numpy(), pairs["earlier"].to_numpy())
    days = arrays.time[other].astype("datetime64[us]").astype("datetime64[D]")
    reasons = [
        f"{arrays.label(series)} must have a bar of its own, has the prices and the volume of {day}"
        for series, day in zip(arrays.series[found].tolist(), days, strict=True)
    ]
    yield make_hits("recurring_bars", "stale", "quarantine", 0.85, arrays.row[found], reasons)


def _in_doubt(arrays: SeriesArrays, first: Ints, second: Ints) -> tuple[Ints, Ints]:
    """Return the bars of pairs that may be the copy, and the other bar of each.

    Both may, but where one lies so much further from its neighbours.
    """
    away = _away(arrays, first, second), _away(arrays, second, first)
    is_first, is_second = (_FARTHER * away[n] >= away[1 - n] for n in (0, 1))
    found = np.concatenate([first[is_first], second[is_second]])
    return found, np.concatenate([second[is_first], first[is_second]])


def _recurring(arrays: SeriesArrays, until_us: int) -> Ints:
    """Return the daily bars with a range and a telling volume whose prices recur in a series."""
    told = telling_volume(arrays.column("volume")) & arrays.daily[arrays.series]
    told &= (arrays.column("high") > arrays.column("low")) & (arrays.time <= until_us)
    at = np.flatnonzero(told)
    with np.errstate(over="ignore"):
        mixed = arrays.series[at].astype(np.uint64) * _MIX_SERIES
        for column in _PRICES:
            mixed = (mixed ^ arrays.column(column)[at].view(np.uint64)) * _MIX_VALUE
            mixed ^= mixed >> np.uint64(29)
    ordered = np.sort(mixed)  # faster than a hash table of all
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if twice.size == 0:
        return at[:0]
    return at[pl.Series(mixed).is_in(pl.Series(twice).implode()).to_numpy()]


def _away(arrays: SeriesArrays, at: Ints, other: Ints) -> np.ndarray:
    """Return how far prices move in the nights around the bars, at the mean (as logs).

    From the close before to the open and from the close to the open after; the other bar of the
    pair is no neighbour. Zero where a bar has none.
    """
    opens, last = arrays.column("open"), arrays.close.size - 1
    nights: list[np.ndarray] = []
    for step in (-1, 1):
        near = np.clip(at + step, 0, last)
        is_own: Bools = (arrays.series[near] == arrays.series[at]) & (near != other) & (near != at)
        first, then = (near, at) if step < 0 else (at, near)
        with np.errstate(invalid="ignore", divide="ignore"):
            size = np.abs(np.log(opens[then] / arrays.close[first]))
        nights.append(np.where(is_own, size, np.nan))
    known = np.isfinite(nights).sum(axis=0)
    return np.nansum(nights, axis=0) / np.maximum(known, 1)


RECURRING_RULES = (
    TableRule(
        name="recurring_bars",
        kinds=("stale",),
        severity="quarantine",
        tables=("bars",),
        find=_find,
        text="a daily bar has not the four prices and the volume (to 2 %) of another day",
    ),
)
