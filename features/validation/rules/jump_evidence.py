"""What stands around a price jump: its size against local noise, its gap, its volume."""

from dataclasses import dataclass

import numpy as np

from features.validation.settings import ValidationSettings
from features.validation.view import Floats, Ints, SeriesArrays

# A volume change needs this many bars on each side before it says anything.
_VOLUME_BARS_MIN = 3


@dataclass(frozen=True, slots=True)
class Prices:
    """The arrays that jumps are measured on, in the order of the series."""

    log_close: Floats
    log_open: Floats
    volume: Floats
    log_return: Floats


@dataclass(frozen=True, slots=True)
class Jump:
    """One large move between two neighbouring records of a series; moves are natural logs.

    `previous` is the value before, `sigmas` its size in local standard deviations, `gap` the part before the open (NaN where
    there is no open), `volume_shift` the change of the usual volume from before to after,
    `value_spike` the day's traded value against the usual one before, `market` the median move
    of all series at that moment (NaN where they are few).
    """

    at: int
    begin: int
    end: int
    previous: float
    move: float
    sigma: float
    sigmas: float
    gap: float
    volume_shift: float
    value_spike: float
    noise_shift: float
    market: float


def read_prices(arrays: SeriesArrays) -> Prices:
    """Return logs of close and open (NaN where not positive), volume and returns."""
    with np.errstate(invalid="ignore", divide="ignore"):
        log_close = np.log(arrays.close)
        log_open = np.log(arrays.column("open"))
    log_close[~np.isfinite(log_close)] = np.nan
    log_open[~np.isfinite(log_open)] = np.nan
    return Prices(log_close, log_open, arrays.column("volume"), arrays.log_return)


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


def measure(
    at: int, arrays: SeriesArrays, prices: Prices, market: float, settings: ValidationSettings
) -> Jump:
    """Return the evidence around the move into record `at`."""
    series = arrays.series[at]
    begin, end = int(arrays.start[series]), int(arrays.start[series + 1])
    left = max(begin, at - settings.context_bars)
    right = min(end, at + settings.context_bars + 1)
    move = float(prices.log_return[at])
    before = np.abs(prices.log_return[left + 1 : at])
    after = np.abs(prices.log_return[at + 2 : right])
    sigma = _local_sigma(before, after, float(arrays.sigma[series]))
    spike, shift = _volume_evidence(at, left, right, prices)
    return Jump(
        at=at,
        begin=begin,
        end=end,
        previous=float(arrays.close[at - 1]),
        move=move,
        sigma=sigma,
        sigmas=abs(move) / sigma,
        gap=float(prices.log_open[at] - prices.log_close[at - 1]),
        volume_shift=shift,
        value_spike=spike,
        noise_shift=_noise_shift(before, after),
        market=market,
    )


def _local_sigma(before: Floats, after: Floats, whole: float) -> float:
    """Return the noise around the jump: the larger side's median, never below half the series'."""
    sides = [np.nanmedian(x) for x in (before, after) if np.isfinite(x).sum() >= _VOLUME_BARS_MIN]
    local = 1.4826 * max(sides) if sides else whole
    return float(max(local, 0.5 * whole, 1e-4))


def _noise_shift(before: Floats, after: Floats) -> float:
    """Return the log of noise after over noise before; 0 where either cannot be measured."""
    if min(np.isfinite(before).sum(), np.isfinite(after).sum()) < _VOLUME_BARS_MIN:
        return 0.0
    first, second = float(np.nanmean(before)), float(np.nanmean(after))
    return float(np.log(second / first)) if first > 0 and second > 0 else 0.0


def _volume_evidence(at: int, left: int, right: int, prices: Prices) -> tuple[float, float]:
    """Return the day's traded value over the usual one, and usual volume after over before."""
    before, after = prices.volume[left:at], prices.volume[at + 1 : right]
    before, after = before[before > 0], after[after > 0]
    if before.size < _VOLUME_BARS_MIN or not prices.volume[at] > 0:
        return float("nan"), float("nan")
    values = np.exp(prices.log_close[left:at]) * prices.volume[left:at]
    usual = np.nanmedian(values[values > 0]) if np.any(values > 0) else np.nan
    spike = float(np.log(np.exp(prices.log_close[at]) * prices.volume[at] / usual))
    if after.size < _VOLUME_BARS_MIN:
        return spike, float("nan")
    return spike, float(np.log(np.median(after) / np.median(before)))
