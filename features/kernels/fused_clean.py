"""The fused pass over an instrument without gaps: running sums, refreshed block by block.

Sums run over values less an anchor (the first of the block), and start afresh in every block, so
that neither a long history nor a large price costs digits. Rows of `out` follow FUSED_NAMES.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROC, MA, STD, BETA, RSQR, RESI, MAX, MIN, QTLU, RSV, CORR, CNTP, VSTD, MACD = range(14)

BLOCK = 256  # rows between refreshes; the block's sums stay in the first-level cache
_EPSILON = 1e-12  # of Qlib's Alpha158 (Yang et al., 2020): keeps RSV and VSTD finite
_LN2_HIGH = 6.93147180369123816490e-01  # ln 2 split in two (Cody & Waite 1980), so that
_LN2_LOW = 1.90821492927058770002e-10  # x - k ln 2 loses no digit
_ROOT_HALF_BITS = 0x3FE6A09E667F3BCD  # sqrt(0.5) as it stands in memory
_MANTISSA_BITS = 52

# No sum here is left to the compiler to order, and no division to turn into a product: every
# processor and every compilation gives the same bits. What is divided often by one number is
# multiplied by its reciprocal, as a compiler with that freedom would.


@njit(cache=True, nogil=True, error_model="numpy")
def log_volume(v: Floats, scratch: Floats, out: Floats) -> None:
    """Write ln(v + 1) to a few units in the last place; NaN below v = -1.

    Made of exactly rounded operations, as the logarithm of the C library is not.
    """
    for i in range(v.size):
        out[i] = v[i] + 1.0
    bits = out.view(np.int64)
    for i in range(v.size):
        exponent = (bits[i] - _ROOT_HALF_BITS) >> _MANTISSA_BITS
        scratch[i] = exponent
        bits[i] -= exponent << _MANTISSA_BITS  # out[i] is now in [sqrt(0.5), sqrt(2))
    for i in range(v.size):
        # ln m = 2 atanh((m - 1) / (m + 1)): t^2 <= 0.0295
        t = (out[i] - 1.0) / (out[i] + 1.0)
        q = t * t
        r = q * (1 / 13 + q * (1 / 15 + q * (1 / 17 + q * (1 / 19 + q * (1 / 21)))))
        r = q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + q * (1 / 9 + q * (1 / 11 + r)))))
        ln = scratch[i] * _LN2_HIGH + (2.0 * (t + t * r) + scratch[i] * _LN2_LOW)
        above = v[i] + 1.0
        out[i] = ln if above > 0.0 else (-math.inf if above == 0.0 else math.nan)


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_block(
    c: Floats, g: Floats, v: Floats, begin: int, end: int, window: int, sums: Floats
) -> None:
    """Fill `sums` for the windows that end at begin..end-1: close, log volume and volume."""
    c0, g0, v0 = c[begin], g[begin], v[begin]
    s1 = s2 = sx = g1 = g2 = cg = v1 = v2 = 0.0
    for k in range(window - 1):
        j = begin - window + 1 + k
        y, u, q = c[j] - c0, g[j] - g0, v[j] - v0
        s1, s2, sx = s1 + y, s2 + y * y, sx + k * y
        g1, g2, cg = g1 + u, g2 + u * u, cg + u * y
        v1, v2 = v1 + q, v2 + q * q
    for i in range(begin, end):
        y, u, q = c[i] - c0, g[i] - g0, v[i] - v0
        s1, s2, sx = s1 + y, s2 + y * y, sx + (window - 1) * y
        g1, g2, cg = g1 + u, g2 + u * u, cg + u * y
        v1, v2 = v1 + q, v2 + q * q
        r = i - begin
        sums[0, r], sums[1, r], sums[2, r] = s1, s2, sx
        sums[3, r], sums[4, r], sums[5, r] = g1, g2, cg
        sums[6, r], sums[7, r] = v1, v2
        j = i - window + 1
        y, u, q = c[j] - c0, g[j] - g0, v[j] - v0
        s1, s2 = s1 - y, s2 - y * y
        sx -= s1  # the places of all that remain move down by one
        g1, g2, cg = g1 - u, g2 - u * u, cg - u * y
        v1, v2 = v1 - q, v2 - q * q


@njit(cache=True, nogil=True, error_model="numpy")
def _close_block(
    c: Floats, begin: int, end: int, window: int, sums: Floats, out: NDArray[np.float32]
) -> None:
    """Write what follows from the sums of the close: MA, STD, BETA, RSQR, RESI."""
    n = float(window)
    places = n * (n - 1.0) / 2.0
    spread = n * ((n - 1.0) * n * (2.0 * n - 1.0) / 6.0) - places * places
    per_row, per_pair, per_spread = 1.0 / n, 1.0 / (n * (n - 1.0)), 1.0 / spread
    middle = (n - 1.0) / 2.0
    anchor = c[begin]
    for i in range(begin, end):
        s1, s2, sx = sums[0, i - begin], sums[1, i - begin], sums[2, i - begin]
        inverse = 1.0 / c[i]
        joint = n * sx - places * s1
        square = max(n * s2 - s1 * s1, 0.0)
        slope = joint * per_spread
        mean = s1 * per_row
        out[MA, i] = (anchor + mean) * inverse
        out[STD, i] = math.sqrt(square * per_pair) * inverse
        out[BETA, i] = slope * inverse
        out[RSQR, i] = slope * joint / square
        out[RESI, i] = (c[i] - anchor - mean - slope * middle) * inverse


@njit(cache=True, nogil=True, error_model="numpy")
def _volume_block(
    v: Floats, begin: int, end: int, window: int, sums: Floats, out: NDArray[np.float32]
) -> None:
    """Write what follows from the sums of volume and of close with log volume: CORR, VSTD."""
    n = float(window)
    per_pair = 1.0 / (n * (n - 1.0))
    for i in range(begin, end):
        r = i - begin
        square = max(n * sums[1, r] - sums[0, r] * sums[0, r], 0.0)
        other = max(n * sums[4, r] - sums[3, r] * sums[3, r], 0.0)
        joint = n * sums[5, r] - sums[0, r] * sums[3, r]
        out[CORR, i] = joint / math.sqrt(square * other)
        spread = max(n * sums[7, r] - sums[6, r] * sums[6, r], 0.0)
        out[VSTD, i] = math.sqrt(spread * per_pair) / (v[i] + _EPSILON)


@njit(cache=True, nogil=True, error_model="numpy")
def sum_features(
    c: Floats, g: Floats, v: Floats, window: int, sums: Floats, out: NDArray[np.float32]
) -> None:
    """Write the features of running sums; g is ln(volume + 1), `sums` is scratch of 8 x BLOCK."""
    for begin in range(window - 1, c.size, BLOCK):
        end = min(begin + BLOCK, c.size)
        _sum_block(c, g, v, begin, end, window, sums)
        _close_block(c, begin, end, window, sums, out)
        _volume_block(v, begin, end, window, sums, out)


@njit(cache=True, nogil=True, error_model="numpy")
def _sliding_max(x: Floats, sign: float, window: int, suffix: Floats, best: Floats) -> None:
    """Fill best[i] = max(sign * x) of the window ending at i, by block prefixes and suffixes.

    Three comparisons a row whatever the window (van Herk, 1992; Gil and Werman, 1993).
    """
    n = x.size
    for begin in range(0, n, window):
        end = min(begin + window, n)
        top = -math.inf
        for i in range(end - 1, begin - 1, -1):
            top = max(top, sign * x[i])
            suffix[i] = top
    for begin in range(0, n, window):
        end = min(begin + window, n)
        top = -math.inf
        for i in range(begin, end):
            top = max(top, sign * x[i])
            best[i] = top
    for i in range(window - 1, n):
        best[i] = max(best[i], suffix[i - window + 1])


@njit(cache=True, nogil=True, error_model="numpy")
def extreme_features(
    c: Floats, h: Floats, low: Floats, window: int, scratch: Floats, out: NDArray[np.float32]
) -> None:
    """Write MAX, MIN and RSV; `scratch` has three rows as long as the instrument."""
    suffix, top, bottom = scratch[0, : c.size], scratch[1, : c.size], scratch[2, : c.size]
    _sliding_max(h, 1.0, window, suffix, top)
    _sliding_max(low, -1.0, window, suffix, bottom)
    for i in range(window - 1, c.size):
        inverse = 1.0 / c[i]
        out[MAX, i] = top[i] * inverse
        out[MIN, i] = -bottom[i] * inverse
        out[RSV, i] = (c[i] + bottom[i]) / (top[i] + bottom[i] + _EPSILON)


@njit(cache=True, nogil=True, error_model="numpy")
def quantile_feature(
    c: Floats, window: int, quantile: float, pair: Floats, out: NDArray[np.float32]
) -> None:
    """Write QTLU: the linearly interpolated quantile of the window over the close.

    The window is kept sorted. To replace one value, each place takes its neighbour or itself or
    the new value, whichever lies in the middle: no branch, and the compiler runs it in vectors.
    `pair` is scratch of 2 x (window + 2).
    """
    place = quantile * (window - 1)
    k = min(int(place), window - 2)
    share = place - k
    pair[:, 0], pair[:, window + 1] = -math.inf, math.inf
    pair[0, 1 : window + 1] = np.sort(c[:window])
    now = 0
    for i in range(window - 1, c.size):
        if i >= window:
            old, new = c[i - window], c[i]
            s, t = pair[now], pair[1 - now]
            for j in range(1, window + 1):
                here = s[j] if s[j] < old else s[j + 1]
                before = s[j - 1] if s[j - 1] < old else s[j]
                t[j] = max(before, min(new, here))
            now = 1 - now
        a, b = pair[now, k + 1], pair[now, k + 2]
        out[QTLU, i] = (a + (b - a) * share) / c[i]


@njit(cache=True, nogil=True, error_model="numpy")
def plain_features(c: Floats, window: int, out: NDArray[np.float32]) -> None:
    """Write ROC and CNTP: an old close over the new one, and the share of rising days."""
    rises = 0
    for i in range(1, c.size):
        rises += c[i] > c[i - 1]
        if i > window:
            rises -= c[i - window] > c[i - window - 1]
        if i >= window:
            out[CNTP, i] = rises / window
    for i in range(window, c.size):
        out[ROC, i] = c[i - window] / c[i]


@njit(cache=True, nogil=True, error_model="numpy")
def macd_feature(c: Floats, fast: int, slow: int, out: NDArray[np.float32]) -> None:
    """Write MACD: the difference of two means, weights falling from the newest, over the close."""
    a, b = 1.0 - 2.0 / (fast + 1.0), 1.0 - 2.0 / (slow + 1.0)
    x = y = x_mass = y_mass = 0.0
    for i in range(c.size):
        x, x_mass = x * a + c[i], x_mass * a + 1.0
        y, y_mass = y * b + c[i], y_mass * b + 1.0
        out[MACD, i] = (x / x_mass - y / y_mass) / c[i]
