"""What the colony remembers of prices, and what it measures of the market by itself."""

import math

import numpy as np

from swarm_core.colony.compiled import kernel
from swarm_core.colony.state import Memory

# Rows of Memory.market_moment: running means over bars of cross-sectional means.
SQUARE, MEAN_SQUARED, SIGN, LAG_PRODUCT, SEEN, COUNT = 0, 1, 2, 3, 4, 5
_STANDARD_CLIP = 5.0
_VALUE_MAX = 1e12
_SEEN_MIN = 0.2  # a third of a half-life: one bar says nothing of how prices move together


@kernel
def remember(
    memory: Memory,
    step: int,
    log_price: np.ndarray,
    sigma_given: np.ndarray,
    outcome_clip: float,
    sigma_min: float,
    sigma_max: float,
    keep: float,
) -> int:
    """Take in one bar of N log prices (NaN where not known); return how many outcomes there are.

    The outcome is the return since the last bar in units of the sigma known then, clipped; it is
    missing unless the price was known on both bars. A missing price is carried forward.
    """
    bars, n = memory.log_price.shape
    row = step % bars
    before = (step - 1) % bars
    count, lagged = 0, 0
    square = total = sign = lag_product = 0.0
    for i in range(n):
        now, last = log_price[i], memory.last_log_price[i]
        # The ring holds NaN on the bar before where the price was missing then.
        known_before = step > 0 and memory.log_price[before, i] == memory.log_price[before, i]
        previous = memory.outcome[i]
        x = math.nan
        if now == now and known_before and last == last:
            change = now - last
            x = min(max(change / memory.sigma[i], -outcome_clip), outcome_clip)
            count += 1
            square += x * x
            total += x
            sign += (x > 0.0) - (x < 0.0)
            if previous == previous:
                lag_product += x * previous
                lagged += 1
            bound = 20.0 * memory.sigma[i]
            change = min(max(change, -bound), bound)
            variance = memory.variance[i]
            memory.variance[i] = (
                change * change
                if variance != variance
                else keep * variance + (1.0 - keep) * change**2
            )
        memory.outcome[i] = x
        memory.log_price[row, i] = now
        if now == now:
            memory.last_log_price[i] = now
        memory.sigma[i] = _usable_sigma(sigma_given[i], memory.variance[i], sigma_min, sigma_max)
    if count > 0:
        _add_moments(memory.market_moment, count, lagged, square, total, sign, lag_product, keep)
    return count


@kernel
def _usable_sigma(given: float, variance: float, low: float, high: float) -> float:
    """Return the volatility given, or the colony's own where it is not a positive number."""
    sigma = given
    if not (sigma > 0.0 and sigma < math.inf):
        sigma = math.sqrt(variance) if variance == variance else 0.02
    return min(max(sigma, low), high)


@kernel
def _add_moments(
    moment: np.ndarray,
    count: int,
    lagged: int,
    square: float,
    total: float,
    sign: float,
    lag_product: float,
    keep: float,
) -> None:
    fresh = 1.0 - keep
    mean = total / count
    moment[SQUARE] = keep * moment[SQUARE] + fresh * square / count
    moment[MEAN_SQUARED] = keep * moment[MEAN_SQUARED] + fresh * mean * mean
    moment[SIGN] = keep * moment[SIGN] + fresh * sign / count
    product = lag_product / lagged if lagged > 0 else 0.0
    moment[LAG_PRODUCT] = keep * moment[LAG_PRODUCT] + fresh * product
    moment[SEEN] = keep * moment[SEEN] + fresh
    moment[COUNT] = keep * moment[COUNT] + fresh * count


@kernel
def measure_market(memory: Memory, given: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` with the market values [M] given; the four that prices tell are computed if NaN.

    Places 4 to 7 follow state.MARKET_KEYS: breadth is the mean sign of outcomes; the average
    correlation follows from the variance of their mean, (N var(mean) / var - 1) / (N - 1);
    volatility is their root mean square (1: as expected); trend strength is their pooled
    autocorrelation at lag one.
    """
    moment = memory.market_moment
    for m in range(given.shape[0]):
        # What is larger than any market value can be is a broken one (and its square overflows).
        out[m] = given[m] if abs(given[m]) < _VALUE_MAX else math.nan
    if moment[SEEN] <= 0.0 or moment[SQUARE] <= 0.0:
        return
    n = moment[COUNT] / moment[SEEN]
    if out[4] != out[4]:
        out[4] = moment[SIGN] / moment[SEEN]
    if out[5] != out[5] and n > 1.5 and moment[SEEN] > _SEEN_MIN:
        out[5] = (n * moment[MEAN_SQUARED] / moment[SQUARE] - 1.0) / (n - 1.0)
    if out[6] != out[6]:
        out[6] = math.sqrt(moment[SQUARE] / moment[SEEN])
    if out[7] != out[7]:
        out[7] = moment[LAG_PRODUCT] / moment[SQUARE]


@kernel
def standardise(memory: Memory, values: np.ndarray, keep: float) -> None:
    """Write the z-scores of M market values to memory.market, then learn from the values.

    A value is measured against the mean and spread of those before it, so that its own surprise
    does not shrink it. Unknown values give NaN and teach nothing.
    """
    for m in range(values.shape[0]):
        value = values[m]
        memory.market[m] = math.nan
        if value != value:
            continue
        weight = memory.standard_weight[m]
        if weight > 0.0:
            mean = memory.standard_mean[m]
            spread = math.sqrt(memory.standard_variance[m])
            if spread > 1e-12:
                z = (value - mean) / spread
                memory.market[m] = min(max(z, -_STANDARD_CLIP), _STANDARD_CLIP)
            rate = max(1.0 - keep, (1.0 - keep) / (weight + 1.0 - keep))
            delta = value - mean
            memory.standard_mean[m] = mean + rate * delta
            grown = memory.standard_variance[m] + rate * delta * delta
            memory.standard_variance[m] = (1.0 - rate) * grown
        else:
            memory.standard_mean[m] = value
        memory.standard_weight[m] = keep * weight + 1.0 - keep


@kernel
def memory_returns(memory: Memory, step: int, lookback: int, out: np.ndarray) -> None:
    """Fill out[N] with the return over `lookback` bars in units of sigma sqrt(lookback).

    NaN where either end is missing or the memory does not reach back so far.
    """
    bars, n = memory.log_price.shape
    row, start = step % bars, (step - lookback) % bars
    reachable = lookback < bars and step >= lookback
    root = math.sqrt(lookback)
    for i in range(n):
        out[i] = math.nan
        if reachable:
            change = memory.log_price[row, i] - memory.log_price[start, i]
            out[i] = change / (memory.sigma[i] * root)
