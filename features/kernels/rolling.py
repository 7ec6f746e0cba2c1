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

# Sums run in four lanes that are added up in a fixed order, so that vector registers can be used
# and every processor and every compilation gives the same bits. A compiler that may reorder by
# itself gives others when a function is compiled than when it is loaded from the cache.


@njit(cache=True, nogil=True)
def _count_and_sum(x: Floats, lo: int, hi: int) -> tuple[int, float]:
    count = 0
    a = b = c = d = 0.0
    whole = lo + (hi - lo) // 4 * 4
    for j in range(lo, whole, 4):
        p, q, r, s = x[j], x[j + 1], x[j + 2], x[j + 3]
        count += p == p
        count += q == q
        count += r == r
        count += s == s
        a += p if p == p else 0.0
        b += q if q == q else 0.0
        c += r if r == r else 0.0
        d += s if s == s else 0.0
    total = (a + b) + (c + d)
    for j in range(whole, hi):
        known = x[j] == x[j]
        count += known
        total += x[j] if known else 0.0
    return count, total


@njit(cache=True, nogil=True)
def _central_power(x: Floats, lo: int, hi: int, centre: float, power: int) -> float:
    a = b = c = d = 0.0
    whole = lo + (hi - lo) // 4 * 4
    for j in range(lo, whole, 4):
        p = x[j] - centre if x[j] == x[j] else 0.0
        q = x[j + 1] - centre if x[j + 1] == x[j + 1] else 0.0
        r = x[j + 2] - centre if x[j + 2] == x[j + 2] else 0.0
        s = x[j + 3] - centre if x[j + 3] == x[j + 3] else 0.0
        a += p * p * p if power == 3 else p * p
        b += q * q * q if power == 3 else q * q
        c += r * r * r if power == 3 else r * r
        d += s * s * s if power == 3 else s * s
    total = (a + b) + (c + d)
    for j in range(whole, hi):
        p = x[j] - centre if x[j] == x[j] else 0.0
        total += p * p * p if power == 3 else p * p
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
    return _central_power(x, lo, hi, mean, 3) / count / (spread * spread * spread)


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


@njit(cache=True, nogil=True)
def _weighted(x: Floats, weights: Floats, lo: int) -> tuple[int, float, float]:
    count = 0
    a = b = c = d = 0.0
    e = f = g = h = 0.0
    whole = weights.size // 4 * 4
    for k in range(0, whole, 4):
        p, q, r, s = x[lo + k], x[lo + k + 1], x[lo + k + 2], x[lo + k + 3]
        count += p == p
        count += q == q
        count += r == r
        count += s == s
        a += weights[k] * p if p == p else 0.0
        b += weights[k + 1] * q if q == q else 0.0
        c += weights[k + 2] * r if r == r else 0.0
        d += weights[k + 3] * s if s == s else 0.0
        e += weights[k] if p == p else 0.0
        f += weights[k + 1] if q == q else 0.0
        g += weights[k + 2] if r == r else 0.0
        h += weights[k + 3] if s == s else 0.0
    total, mass = (a + b) + (c + d), (e + f) + (g + h)
    for k in range(whole, weights.size):
        p = x[lo + k]
        count += p == p
        total += weights[k] * p if p == p else 0.0
        mass += weights[k] if p == p else 0.0
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


@njit(cache=True, nogil=True)
def rolling_trend(starts: Starts, y: Floats, window: int, min_samples: int, kind: int) -> Floats:
    """Return the same of y on the place in the window: 0, 1, 2, ..., window - 1.

    On the place in the panel the last bits would depend on how much of the panel was read.
    """
    out = np.full(y.size, math.nan)
    place = np.arange(window).astype(np.float64)
    for s in range(starts.size - 1):
        for i in range(starts[s] + window - 1, starts[s + 1]):
            out[i] = _regress(y[i - window + 1 : i + 1], place, 0, window, min_samples, kind)
    return out
