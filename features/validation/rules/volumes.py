"""Daily bars whose trading is told wrongly: a volume of another scale, a day at a single price."""

import math
from collections.abc import Iterable
from itertools import chain

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
# Nothing follows a newest bar, so that less is enough to wait for the next one. Of 1,097,639 days
# of real shares 485 were quiet in price at such a volume.
_NEWEST_FACTOR, _NEWEST_SPREADS, _NEWEST_EXTREME = 7.0, 5.0, 1.5
# The median share of a market of 500 traded from 0.3 (half a day) to 2.4 times as much as usual.
_MARKET_STEP, _MARKET_HIGH, _MARKET_LOW = math.log(3.0), math.log(5.0), math.log(1 / 8)
_MARKET_SERIES_MIN, _MARKET_CLIP = 10, 1.5
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
    found: set[int] = set()
    for at, factor in chain(_of_markets(arrays, volume), _of_newest(arrays, volume)):
        found.add(at)
        yield _scale_hits(arrays, volume, at, factor)
    for at in _steps(arrays, volume).tolist():
        if at in found:
            continue
        usual, spread, low, high = _usual(arrays, volume, at)
        factor = float(volume[at]) / usual
        if not abs(math.log(factor)) >= _SPREADS_MIN * spread:
            continue
        is_high = factor >= _HIGH_MIN and volume[at] >= _EXTREME_MIN * high
        is_low = factor <= _LOW_MAX and volume[at] * _EXTREME_MIN <= low
        if is_high or is_low:
            yield _scale_hits(arrays, volume, at, factor)


def _of_markets(arrays: SeriesArrays, volume: Floats) -> Iterable[tuple[int, float]]:
    """Yield the bars of days on which a source tells a whole market's volume in another unit."""
    with np.errstate(invalid="ignore", divide="ignore"):
        step = np.diff(np.log(volume), prepend=np.nan)
    told = np.isfinite(step) & ~arrays.first & arrays.daily[arrays.series]
    sources = arrays.names.get_column("source").rank("dense").fill_null(0).to_numpy()
    frame = pl.DataFrame(
        {"at": np.flatnonzero(told), "source": sources[arrays.series[told]],
         "time": arrays.time[told], "step": step[told]}
    )  # fmt: skip
    days = frame.group_by("source", "time").agg(pl.len(), pl.col("step").mean())
    far = days.filter(
        pl.col("len") >= _MARKET_SERIES_MIN, pl.col("step").abs() > _MARKET_STEP
    ).select("source", "time")
    if far.is_empty():
        return
    for _key, day in frame.join(far, on=["source", "time"]).sort("at").group_by("source", "time"):
        places = day["at"].to_numpy()
        usual = np.array([_usual(arrays, volume, int(at))[0] for at in places])
        with np.errstate(invalid="ignore"):
            logs = np.log(volume[places] / usual)
        middle = float(np.nanmedian(logs)) if np.isfinite(logs).any() else 0.0
        if _MARKET_LOW <= middle <= _MARKET_HIGH:
            continue
        for at, size in zip(places.tolist(), logs.tolist(), strict=True):
            if size / middle > 0.5:  # a name with a day of its own may be on neither scale
                yield at, math.exp(size)


def _of_newest(arrays: SeriesArrays, volume: Floats) -> Iterable[tuple[int, float]]:
    """Yield the newest daily bars whose volume is a seventh or seven times the usual, quietly."""
    newest = (arrays.start[1:] - 1)[arrays.daily & (np.diff(arrays.start) > _BARS_BEFORE_MIN)]
    newest = newest[volume[newest] > 0]
    usual = [_usual(arrays, volume, at) for at in newest.tolist()]
    logs = np.array(
        [math.log(volume[at] / middle) for at, (middle, *_) in zip(newest, usual, strict=True)]
    )
    times = arrays.time[newest]
    for at, size, (_, spread, low, high) in zip(newest.tolist(), logs.tolist(), usual, strict=True):
        if abs(size) < math.log(_NEWEST_FACTOR) or _is_loud(arrays, at):
            continue
        beside = logs[times == arrays.time[at]]
        beside = beside[np.isfinite(beside)]
        market = float(np.median(beside)) if beside.size >= _MARKET_SERIES_MIN else 0.0
        away = abs(size - min(max(market, -_MARKET_CLIP), _MARKET_CLIP))
        is_extreme = volume[at] > _NEWEST_EXTREME * high or volume[at] * _NEWEST_EXTREME < low
        if is_extreme and away > max(math.log(_NEWEST_FACTOR), _NEWEST_SPREADS * spread):
            yield at, math.exp(size)


def _usual(arrays: SeriesArrays, volume: Floats, at: int) -> tuple[float, float, float, float]:
    """Return the median of the volumes before a bar, the spread of their logs, and their ends.

    NaN where too few are known.
    """
    before = volume[max(int(arrays.start[arrays.series[at]]), at - _BARS_BEFORE) : at]
    known = before[before > 0]
    if known.size < max(_BARS_BEFORE_MIN, _TRADED_SHARE_MIN * before.size):
        return math.nan, math.nan, math.nan, math.nan
    usual = float(np.median(known))
    spread = 1.4826 * float(np.median(np.abs(np.log(known / usual))))
    return usual, spread, float(known.min()), float(known.max())


def _is_loud(arrays: SeriesArrays, at: int) -> bool:
    return bool(abs(arrays.log_return[at]) > _LOUD_SIGMAS * arrays.sigma[arrays.series[at]])


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


def _find_lost(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield the newest daily bars without a volume where each of the 60 before had one."""
    arrays = view.series
    volume = arrays.column("volume")
    newest = (arrays.start[1:] - 1)[arrays.daily & (np.diff(arrays.start) > _BARS_BEFORE)]
    lost = [
        at
        for at in newest[~(volume[newest] > 0)].tolist()
        if (volume[at - _BARS_BEFORE : at] > 0).all()
    ]
    if lost:
        reasons = [
            f"{arrays.label(int(arrays.series[at]))} must have a volume, as each of the "
            f"{_BARS_BEFORE} bars before, had {'none' if np.isnan(volume[at]) else '0'}"
            for at in lost
        ]
        rows = arrays.row[np.array(lost)]
        yield make_hits("lost_volume", "zero_volume", "quarantine", 0.7, rows, reasons)


VOLUME_RULES = (
    TableRule(
        name="volume_scale",
        kinds=("unit_error",),
        severity="quarantine",
        tables=("bars",),
        find=_find_scales,
        text=(
            "a daily bar whose price is quiet has not 70 times the usual volume of its series, nor "
            "a fiftieth of it (the newest bar seven times, or a seventh; a whole market on a day "
            "five times, or an eighth); a new scale that lasts more than three bars only warns"
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
    TableRule(
        name="lost_volume",
        kinds=("zero_volume",),
        severity="quarantine",
        tables=("bars",),
        find=_find_lost,
        text="the newest daily bar has a volume where each of the 60 bars before had one",
    ),
)
