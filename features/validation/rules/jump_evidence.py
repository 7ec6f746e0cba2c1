"""What stands around a price jump: its size against local noise, its gap, its volume."""

from dataclasses import dataclass

import numpy as np

from features.validation.settings import ValidationSettings
from features.validation.view import Floats, Ints, SeriesArrays

# A volume change needs this many bars on each side before it says anything.
_VOLUME_BARS_MIN = 3
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """The arrays that jumps are measured on, in the order of the series."""

    log_close: Floats
    log_open: Floats
    volume: Floats
    log_return: Floats
    log_range: Floats


@dataclass(frozen=True, slots=True)
class Jump:
    """One large move between two neighbouring records of a series; moves are natural logs.

    `previous` is the value before, `after` how many records follow, `sigmas` the size in local
    standard deviations, `gap` the part before the open (NaN where there is no open), `volume_shift`
    the change of the usual volume from before to after, `volume_step` the same with the record
    itself among those after (two at least), `value_spike` the day's traded value against the usual
    one before, `noise_shift` the noise after against the noise before, `width`
    the day's range over the usual one before, `ticks` the jump in the smallest steps of the price,
    `pause_days` the time since the record before, `market` the median move of all series at that
    moment (NaN where they are few).
    """

    at: int
    begin: int
    end: int
    previous: float
    after: int
    move: float
    sigma: float
    sigmas: float
    gap: float
    volume_shift: float
    volume_step: float
    value_spike: float
    noise_shift: float
    width: float
    ticks: float
    pause_days: float
    market: float


def read_prices(arrays: SeriesArrays) -> Prices:
    """Return logs of close and open (NaN where not positive), volume and returns."""
    with np.errstate(invalid="ignore", divide="ignore"):
        log_close = np.log(arrays.close)
        log_open = np.log(arrays.column("open"))
        log_range = np.log(arrays.column("high") / arrays.column("low"))
    log_close[~np.isfinite(log_close)] = np.nan
    log_open[~np.isfinite(log_open)] = np.nan
    return Prices(log_close, log_open, arrays.column("volume"), arrays.log_return, log_range)


def find_candidates(arrays: SeriesArrays, minimum: Floats, settings: ValidationSettings) -> Ints:
    """Return where a move exceeds the series' own noise and `minimum` (s); largest first capped."""
    floor = np.maximum(settings.jump_sigmas * arrays.sigma, minimum)
    sizes = np.abs(arrays.log_return)
    with np.errstate(invalid="ignore"):
        found = np.flatnonzero(sizes > floor[arrays.series])
    if found.size > settings.candidates_max:
        largest = np.argsort(-sizes[found], kind="stable")[: settings.candidates_max]
        found = np.sort(found[largest])
    return found


def local_sigmas(arrays: SeriesArrays, candidates: Ints, settings: ValidationSettings) -> Floats:
    """Return each candidate's noise: the larger side's median, never below half its series'.

    All at once: the sides are gathered into matrices (candidates x context_bars) of absolute
    returns, NaN outside the series and where there is none.
    """
    whole = arrays.sigma[arrays.series[candidates]]
    begin = arrays.start[arrays.series[candidates]]
    end = arrays.start[arrays.series[candidates] + 1]
    sizes = np.abs(arrays.log_return)
    steps = np.arange(1, settings.context_bars + 1)
    medians = [
        _row_medians(sizes, candidates[:, None] + side * steps - offset, begin, end)
        for side, offset in ((-1, 0), (1, -1))
    ]
    local = 1.4826 * np.fmax(medians[0], medians[1])
    local = np.where(np.isfinite(local), local, whole)
    return np.maximum(np.maximum(local, 0.5 * whole), 1e-4)


def _row_medians(sizes: Floats, at: Ints, begin: Ints, end: Ints) -> Floats:
    """Return the median of each row's valid values, NaN where they are fewer than three."""
    inside = (at >= begin[:, None]) & (at < end[:, None])
    values = np.where(inside, sizes[np.clip(at, 0, sizes.size - 1)], np.nan)
    values[values == 0] = np.nan  # a price that rests says nothing of how far it moves
    ordered = np.sort(values, axis=1)  # NaN sorts last
    count = np.isfinite(ordered).sum(axis=1)
    rows = np.arange(count.size)
    low, high = np.maximum((count - 1) // 2, 0), np.minimum(count // 2, values.shape[1] - 1)
    middle = 0.5 * (ordered[rows, low] + ordered[rows, high])
    return np.where(count >= _VOLUME_BARS_MIN, middle, np.nan)


def measure(
    at: int,
    arrays: SeriesArrays,
    prices: Prices,
    sigma: float,
    market: float,
    settings: ValidationSettings,
) -> Jump:
    """Return the evidence around the move into record `at`."""
    series = arrays.series[at]
    begin, end = int(arrays.start[series]), int(arrays.start[series + 1])
    left = max(begin, at - settings.context_bars)
    right = min(end, at + settings.context_bars + 1)
    move = float(prices.log_return[at])
    before = np.abs(prices.log_return[left + 1 : at])
    after = np.abs(prices.log_return[at + 2 : right])
    spike, shift, step = _volume_evidence(at, left, right, prices)
    return Jump(
        at=at,
        begin=begin,
        end=end,
        previous=float(arrays.close[at - 1]),
        after=end - at - 1,
        move=move,
        sigma=sigma,
        sigmas=abs(move) / sigma,
        gap=float(prices.log_open[at] - prices.log_close[at - 1]),
        volume_shift=shift,
        volume_step=step,
        value_spike=spike,
        noise_shift=_noise_shift(before, after),
        width=_width(prices.log_range[at], prices.log_range[left:at]),
        ticks=_ticks(at, left, right, arrays.close),
        pause_days=float(arrays.time[at] - arrays.time[at - 1]) / _DAY_US,
        market=market,
    )


def _ticks(at: int, left: int, right: int, close: Floats) -> float:
    """Return the jump in steps of the smallest other move around it; infinite where unknown."""
    steps = np.abs(np.diff(close[left:right]))
    steps = np.delete(steps, at - left - 1)
    steps = steps[steps > 0]
    if steps.size < _VOLUME_BARS_MIN:
        return float("inf")
    return float(abs(close[at] - close[at - 1]) / steps.min())


def _noise_shift(before: Floats, after: Floats) -> float:
    """Return the log of noise after over noise before; 0 where either cannot be measured."""
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if min(before.size, after.size) < _VOLUME_BARS_MIN:
        return 0.0
    first, second = float(before.mean()), float(after.mean())
    return float(np.log(second / first)) if first > 0 and second > 0 else 0.0


def _width(today: float, before: Floats) -> float:
    """Return the day's range (a log) over the usual one; NaN where either is not known."""
    before = before[before > 0]
    if before.size < _VOLUME_BARS_MIN:
        return float("nan")
    return float(today / np.median(before))


def _volume_evidence(at: int, left: int, right: int, prices: Prices) -> tuple[float, float, float]:
    """Return the day's traded value over the usual one, and usual volume after over before.

    The third is the same with the day among those after it. All are logs, NaN where unknown.
    """
    before, after = prices.volume[left:at], prices.volume[at + 1 : right]
    before, after = before[before > 0], after[after > 0]
    unknown = float("nan")
    if before.size < _VOLUME_BARS_MIN or not prices.volume[at] > 0:
        return unknown, unknown, unknown
    values = np.exp(prices.log_close[left:at]) * prices.volume[left:at]
    values = values[values > 0]
    usual = np.median(values) if values.size else np.nan
    spike = float(np.log(np.exp(prices.log_close[at]) * prices.volume[at] / usual))
    if after.size == 0:
        return spike, unknown, unknown
    usual_before = np.median(before)
    step = float(np.log(np.median(np.append(after, prices.volume[at])) / usual_before))
    if after.size < _VOLUME_BARS_MIN:
        return spike, unknown, step
    return spike, float(np.log(np.median(after) / usual_before)), step
