"""Compiled rolling statistics over a panel whose instruments lie one after another.

Every value is a function of the rows of its own window alone, computed from them afresh: a panel
computed in pieces holds the same bits as one computed at once. NaN marks what is missing; a
window speaks when it lies wholly inside its instrument's rows and has `min_samples` values.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Starts = NDArray[np.int64]

MEAN, STD, SKEW, DOWNSIDE = 0, 1, 2, 3
MAX, MIN = 0, 1
BETA, RESIDUAL_STD, T_STATISTIC = 0, 1, 2

# Reordering lets the compiler use vector registers; NaN and infinity must keep their meaning.
_REORDER = {"reassoc", "contract", "nsz"}


@njit(cache=True, nogil=True, fastmath=_REORDER)
def _count_and_sum(x: Floats, lo: int, hi: int) -> tuple[int, float]:
    count = 0
    total = 0.0
    for j in range(lo, hi):
        known = x[j] == x[j]
        count += known
        total += x[j] if known else 0.0
    return count, total


@njit(cache=True, nogil=True, fastmath=_REORDER)
def _central_power(x: Floats, lo: int, hi: int, centre: float, power: int) -> float:
    total = 0.0
    for j in range(lo, hi):
        d = x[j] - centre if x[j] == x[j] else 0.0
        total += d * d * d if power == 3 else d * d
    return total


@njit(cache=True, nogil=True)
def _moment(x: Floats, lo: int, hi: int, min_samples: int, kind: int) -> float:
    count, total = _count_and_sum(x, lo, hi)
    if count < min_samples or count < 1:
        return math.nan
    mean = total / count
    if kind == MEAN:
        return mean
    if count < 2 or (kind == SKEW and count < 3):
        return math.nan
    if kind == DOWNSIDE:  # root mean square of the losses around zero
        losses = 0.0
        for j in range(lo, hi):
            losses += x[j] * x[j] if x[j] < 0.0 else 0.0
        return math.sqrt(losses / count)
    squares = _central_power(x, lo, hi, mean, 2)
    if kind == STD:
        return math.sqrt(squares / (count - 1))
    spread = math.sqrt(squares / count)
    if spread <= 1e-14 * abs(mean) or spread == 0.0:
        return math.nan
    return _central_power(x, lo, hi, mean, 3) / count / spread**3


@njit(cache=True, nogil=True)
def rolling_moment(starts: Starts, x: Floats, window: int, min_samples: int, kind: int) -> Floats:
    """Return the mean, sample standard deviation, skewness or downside deviation of each window.

    `starts` holds the first row of each instrument and, last, the number of rows.
    """
    out = np.full(x.size, math.nan)
    for s in range(starts.size - 1):
        for i in range(starts[s] + window - 1, starts[s + 1]):
            out[i] = _moment(x, i - window + 1, i + 1, min_samples, kind)
    return out


@njit(cache=True, nogil=True)
def rolling_extreme(starts: Starts, x: Floats, window: int, min_samples: int, kind: int) -> Floats:
    """Return the greatest (or least) known value of each window, by a monotonic queue."""
    out = np.full(x.size, math.nan)
    queue = np.empty(window + 1, np.int64)
    sign = 1.0 if kind == MAX else -1.0
    for s in range(starts.size - 1):
        head, size, known = 0, 0, 0
        for i in range(starts[s], starts[s + 1]):
            if size > 0 and queue[head] <= i - window:
                head, size = (head + 1) % (window + 1), size - 1
            gone = i - window
            if gone >= starts[s] and x[gone] == x[gone]:
                known -= 1
            if x[i] == x[i]:
                known += 1
                while size > 0 and sign * x[queue[(head + size - 1) % (window + 1)]] <= sign * x[i]:
                    size -= 1
                queue[(head + size) % (window + 1)] = i
                size += 1
            if i - starts[s] >= window - 1 and known >= min_samples and size > 0:
                out[i] = x[queue[head]]
    return out


@njit(cache=True, nogil=True, fastmath=_REORDER)
def _weighted(x: Floats, weights: Floats, lo: int) -> tuple[int, float, float]:
    count, total, mass = 0, 0.0, 0.0
    for k in range(weights.size):
        known = x[lo + k] == x[lo + k]
        count += known
        total += weights[k] * x[lo + k] if known else 0.0
        mass += weights[k] if known else 0.0
    return count, total, mass


@njit(cache=True, nogil=True)
def rolling_weighted(starts: Starts, x: Floats, weights: Floats, min_samples: int) -> Floats:
    """Return the weighted mean of each window; `weights` run from the oldest row to the newest."""
    out = np.full(x.size, math.nan)
    for s in range(starts.size - 1):
        for i in range(starts[s] + weights.size - 1, starts[s + 1]):
            count, total, mass = _weighted(x, weights, i - weights.size + 1)
            if count >= min_samples and mass > 0.0:
                out[i] = total / mass
    return out


@njit(cache=True, nogil=True)
def _regress(y: Floats, x: Floats, lo: int, hi: int, min_samples: int, kind: int) -> float:
    count, sum_y, sum_x = 0, 0.0, 0.0
    for j in range(lo, hi):
        if y[j] == y[j] and x[j] == x[j]:
            count += 1
            sum_y += y[j]
            sum_x += x[j]
    if count < min_samples or count < 3:
        return math.nan
    mean_y, mean_x = sum_y / count, sum_x / count
    xx, xy, yy = 0.0, 0.0, 0.0
    for j in range(lo, hi):
        if y[j] == y[j] and x[j] == x[j]:
            dx, dy = x[j] - mean_x, y[j] - mean_y
            xx, xy, yy = xx + dx * dx, xy + dx * dy, yy + dy * dy
    if xx <= 1e-28 * count * (mean_x * mean_x) or xx == 0.0:
        return math.nan
    beta = xy / xx
    if kind == BETA:
        return beta
    residual = math.sqrt(max(yy - beta * xy, 0.0) / (count - 2))
    if kind == RESIDUAL_STD:
        return residual
    # A perfect line has no error to measure its slope by: its statistic is not known.
    return beta * math.sqrt(xx) / residual if residual > 1e-12 * math.sqrt(yy) else math.nan


@njit(cache=True, nogil=True)
def rolling_regression(
    starts: Starts, y: Floats, x: Floats, window: int, min_samples: int, kind: int
) -> Floats:
    """Return each window's least-squares slope of y on x, residual deviation or t-statistic."""
    out = np.full(y.size, math.nan)
    for s in range(starts.size - 1):
        for i in range(starts[s] + window - 1, starts[s + 1]):
            out[i] = _regress(y, x, i - window + 1, i + 1, min_samples, kind)
    return out
