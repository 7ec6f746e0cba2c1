"""Daily bars whose trading is told wrongly: a volume of another scale, a day at a single price."""

import math
from collections.abc import Iterable

import numpy as np
import polars as pl

from features.validation.context import CheckContext
from features.validation.findings import make_hits
from features.validation.rule import TableRule
from features.validation.view import Bools, Floats, Ints, SeriesArrays, TableView

_BARS_BEFORE = 60  # looked at, of which these many must have traded
_BARS_BEFORE_MIN = 20
# Of 1,070,388 days of real shares, quiet in price, three traded between 50 and 64 times as much as
# usual (changes of an index); two less than a fiftieth, and both were written wrongly.
_HIGH_MIN = 70.0
_LOW_MAX = 1 / 50
_EXTREME_MIN = 10.0  # times the largest, or a part of the smallest, of the bars before
_TRADED_SHARE_MIN = 0.9  # of them: a name that often rests has no usual volume
_SPREADS_MIN = 6.0  # robust deviations of the logs of volume before
_STEP_MIN = 15.0  # from one bar to the next: sooner is not looked at
_LOUD_SIGMAS = 4.0
_STAYS_BARS = 3  # a new scale that lasted longer is told, and no more
# Of 588,756 days of 505 liquid shares one had a single price: the vendor had no other.
_FLAT_SHARE_MAX = 0.01
_FLAT_BARS_MIN = 60
_FLAT_VOLUME_MIN = 0.2  # of the usual: less is a name that hardly traded
_LOCKED_MOVE_MIN = 0.03  # a day that is locked at its limit has one price, and moves


def _find_scales(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield quiet bars whose volume is of another scale than that of the bars before."""
    arrays = view.series
    volume = arrays.column("volume")
    for at in _steps(arrays, volume).tolist():
        begin = max(int(arrays.start[arrays.series[at]]), at - _BARS_BEFORE)
        before = volume[begin:at]
        before = before[before > 0]
        if before.size < max(_BARS_BEFORE_MIN, _TRADED_SHARE_MIN * (at - begin)):
            continue
        usual = float(np.median(before))
        factor = float(volume[at]) / usual
        spread = 1.4826 * float(np.median(np.abs(np.log(before / usual))))
        if abs(math.log(factor)) < _SPREADS_MIN * spread:
            continue
        is_high = factor >= _HIGH_MIN and volume[at] >= _EXTREME_MIN * before.max()
        is_low = factor <= _LOW_MAX and volume[at] * _EXTREME_MIN <= before.min()
        if is_high or is_low:
            yield _scale_hits(arrays, volume, at, factor)


def _steps(arrays: SeriesArrays, volume: Floats) -> Ints:
    """Return the daily bars that traded far more, or far less, than the bar before, quietly."""
    with np.errstate(invalid="ignore", divide="ignore"):
        step = np.abs(np.log(volume[1:] / volume[:-1]))
    far = np.flatnonzero((step > math.log(_STEP_MIN)) & np.isfinite(step)) + 1
    far = far[~arrays.first[far] & arrays.daily[arrays.series[far]]]
    loud = np.abs(arrays.log_return[far]) > _LOUD_SIGMAS * arrays.sigma[arrays.series[far]]
    return far[~loud]


def _scale_hits(arrays: SeriesArrays, volume: Floats, at: int, factor: float) -> pl.DataFrame:
    """Return the finding of a bar, and of those right after it that are of its scale."""
    end = int(arrays.start[arrays.series[at] + 1])
    usual = volume[at] / factor
    lasting = at + 1
    while lasting < end and abs(math.log(max(volume[lasting], 1e-9) / usual)) > 0.5 * abs(
        math.log(factor)
    ):
        lasting += 1
        if lasting - at > _STAYS_BARS:
            break
    rows = arrays.row[at : min(lasting, at + _STAYS_BARS)]
    stays = lasting - at > _STAYS_BARS
    label = arrays.label(int(arrays.series[at]))
    told = f"{label}: a volume of {volume[at]:g} is {factor:.3g} times the usual one"
    if stays:
        return make_hits(
            "volume_scale", "unit_error", "warn", 0.5, rows[:1], f"{told}, from here on: its unit?"
        )
    reason = f"{told}, and the price was quiet: of another unit, or another day"
    return make_hits("volume_scale", "unit_error", "quarantine", 0.8, rows, reason)


def _find_flat(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield daily bars at a single price on a usual volume, where the series has no others."""
    arrays = view.series
    flat = np.ones(arrays.close.size, dtype=np.bool_)
    for column in ("open", "high", "low"):
        flat &= arrays.column(column) == arrays.close
    count = np.diff(arrays.start)
    flats = np.bincount(arrays.series, weights=flat, minlength=count.size)
    share = flats / np.maximum(count, 1)
    few = flats <= np.maximum(1, _FLAT_SHARE_MAX * count)
    rare = few & (count >= _FLAT_BARS_MIN) & arrays.daily
    at = np.flatnonzero(flat & rare[arrays.series] & ~arrays.first)
    at = at[np.abs(arrays.log_return[at]) < _LOCKED_MOVE_MIN]
    at = at[_traded_as_usual(arrays, at)]
    if at.size:
        reasons = [
            f"{arrays.label(int(arrays.series[i]))} must have more than one price on a day of "
            f"usual volume, stood at {arrays.close[i]:g} (such days are "
            f"{share[arrays.series[i]]:.1%} of its own): filled, not traded"
            for i in at
        ]
        yield make_hits("single_price", "stale", "quarantine", 0.75, arrays.row[at], reasons)


def _traded_as_usual(arrays: SeriesArrays, at: Ints) -> Bools:
    """Return where a bar has a good part of its usual volume, or its series publishes none."""
    volume = arrays.column("volume")
    usual = np.zeros(at.size, dtype=np.bool_)
    for place, i in enumerate(at.tolist()):
        before = volume[max(int(arrays.start[arrays.series[i]]), i - _BARS_BEFORE) : i]
        known = before[before > 0]
        if known.size < _BARS_BEFORE_MIN:
            usual[place] = known.size == 0 and not volume[i] > 0
        else:
            usual[place] = volume[i] >= _FLAT_VOLUME_MIN * np.median(known)
    return usual


VOLUME_RULES = (
    TableRule(
        name="volume_scale",
        kinds=("unit_error",),
        severity="quarantine",
        tables=("bars",),
        find=_find_scales,
        text=(
            "a daily bar whose price is quiet has not 70 times the usual volume of its series, nor "
            "a fiftieth of it; a new scale that lasts more than three bars only warns"
        ),
    ),
    TableRule(
        name="single_price",
        kinds=("stale",),
        severity="quarantine",
        tables=("bars",),
        find=_find_flat,
        text=(
            "a daily bar on a usual volume has more than one price, where all but one in a hundred "
            "of its series do, unless it is locked at a limit (3 % away or more)"
        ),
    ),
)
