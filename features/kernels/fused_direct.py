"""The same features over an instrument with gaps: every window afresh, as polars treats nulls.

A window with a null is null; one with NaN and no null is NaN.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.kernels.fused_clean import (
    BETA,
    CNTP,
    CORR,
    MA,
    MACD,
    MAX,
    MIN,
    QTLU,
    RESI,
    ROC,
    RSQR,
    RSV,
    STD,
    VSTD,
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_EPSILON = 1e-12


@njit(cache=True, nogil=True, error_model="numpy")
def _any(flags: Flags, lo: int, hi: int) -> bool:
    return bool(flags[lo:hi].any()) if lo >= 0 else True


@njit(cache=True, nogil=True, error_model="numpy")
def _mean(x: Floats) -> float:
    total = 0.0  # in order: numpy's own sum adds in another one when this is not compiled
    for k in range(x.size):
        total += x[k]
    return total / x.size


@njit(cache=True, nogil=True, error_model="numpy")
def _fit(y: Floats) -> tuple[float, float, float]:
    """Return the window's mean, its sum of squares about it, and its slope on time."""
    n, mean = y.size, _mean(y)
    squares = joint = 0.0
    for k in range(n):
        away = y[k] - mean
        squares += away * away
        joint += (k - (n - 1) / 2.0) * away
    return mean, squares, joint * 12.0 / (n * (n * n - 1.0))


@njit(cache=True, nogil=True, error_model="numpy")
def _correlation(x: Floats, y: Floats) -> float:
    mean_x, mean_y = _mean(x), _mean(y)
    xx = yy = xy = 0.0
    for k in range(x.size):
        dx, dy = x[k] - mean_x, y[k] - mean_y
        xx, yy, xy = xx + dx * dx, yy + dy * dy, xy + dx * dy
    product = math.sqrt(xx * yy)
    return xy / product if product > 0.0 else math.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _quantile(x: Floats, quantile: float) -> float:
    ordered = np.sort(x)
    place = quantile * (x.size - 1)
    k = min(int(place), x.size - 2)
    return ordered[k] + (ordered[k + 1] - ordered[k]) * (place - k)


@njit(cache=True, nogil=True, error_model="numpy")
def _close_window(
    c: Floats, i: int, window: int, quantile: float, out: NDArray[np.float32]
) -> None:
    y = c[i - window + 1 : i + 1]
    mean, squares, slope = _fit(y)
    n = float(window)
    out[MA, i] = mean / c[i]
    out[STD, i] = math.sqrt(squares / (n - 1.0)) / c[i]
    out[BETA, i] = slope / c[i]
    explained = slope * slope * n * (n * n - 1.0) / 12.0
    out[RSQR, i] = explained / squares if squares != 0.0 else math.nan
    out[RESI, i] = (c[i] - mean - slope * (n - 1.0) / 2.0) / c[i]
    out[QTLU, i] = math.nan if np.isnan(y).any() else _quantile(y, quantile) / c[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _range_window(
    c: Floats, h: Floats, low: Floats, i: int, window: int, out: NDArray[np.float32]
) -> None:
    highs, lows = h[i - window + 1 : i + 1], low[i - window + 1 : i + 1]
    top = math.nan if np.isnan(highs).any() else highs.max()
    bottom = math.nan if np.isnan(lows).any() else lows.min()
    out[MAX, i], out[MIN, i] = top / c[i], bottom / c[i]
    out[RSV, i] = (c[i] - bottom) / (top - bottom + _EPSILON)


@njit(cache=True, nogil=True, error_model="numpy")
def _rising_share(c: Floats, i: int, window: int) -> float:
    rises = 0
    for j in range(i - window + 1, i + 1):
        if math.isnan(c[j]) or math.isnan(c[j - 1]):
            return math.nan
        rises += c[j] > c[j - 1]
    return rises / window


@njit(cache=True, nogil=True, error_model="numpy")
def window_features(
    prices: Floats, nulls: Flags, window: int, quantile: float, out: NDArray[np.float32],
    known: Flags,
) -> None:  # fmt: skip
    """Write every feature but MACD, and mark in `known` where it is not null.

    The rows of `prices` and `nulls` are close, high, low, volume and ln(volume + 1).
    """
    c, h, low, v, g = prices[0], prices[1], prices[2], prices[3], prices[4]
    for i in range(window - 1, c.size):
        lo = i - window + 1
        close_null = _any(nulls[0], lo, i + 1)
        range_null = _any(nulls[1], lo, i + 1), _any(nulls[2], lo, i + 1)
        volume_null = _any(nulls[3], lo, i + 1)
        if not close_null:
            _close_window(c, i, window, quantile, out)
            for f in (MA, STD, BETA, RSQR, RESI, QTLU):
                known[f, i] = True
        if not nulls[0, i]:
            _range_window(c, h, low, i, window, out)
            known[MAX, i], known[MIN, i] = not range_null[0], not range_null[1]
            known[RSV, i] = not (range_null[0] or range_null[1])
        if not (close_null or volume_null):
            out[CORR, i] = _correlation(c[lo : i + 1], g[lo : i + 1])
            known[CORR, i] = True
        if not volume_null:
            out[VSTD, i] = math.sqrt(_fit(v[lo : i + 1])[1] / (window - 1.0)) / (v[i] + _EPSILON)
            known[VSTD, i] = True
        if i >= window:
            out[ROC, i] = c[lo - 1] / c[i]
            known[ROC, i] = not (nulls[0, lo - 1] or nulls[0, i])
            out[CNTP, i] = _rising_share(c, i, window)
            known[CNTP, i] = not _any(nulls[0], lo - 1, i + 1)


@njit(cache=True, nogil=True, error_model="numpy")
def macd_with_nulls(
    c: Floats, nulls: NDArray[np.bool_], fast: int, slow: int, out: NDArray[np.float32],
    known: Flags,
) -> None:  # fmt: skip
    """Write MACD where the close is known; the weights of old closes fall over a gap too."""
    a, b = 1.0 - 2.0 / (fast + 1.0), 1.0 - 2.0 / (slow + 1.0)
    x = y = x_mass = y_mass = 0.0
    for i in range(c.size):
        x, x_mass, y, y_mass = x * a, x_mass * a, y * b, y_mass * b
        if not nulls[i]:
            x, x_mass, y, y_mass = x + c[i], x_mass + 1.0, y + c[i], y_mass + 1.0
            out[MACD, i] = (x / x_mass - y / y_mass) / c[i]
            known[MACD, i] = True
