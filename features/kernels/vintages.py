"""Compiled replay of a revised series: what its newest observations were at each publication."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Times = NDArray[np.int64]

_SCORE_MAX = 4.0  # one absurd print must not own the mean of a month


@njit(cache=True, nogil=True)
def _score(values: Floats, size: int, history: int, history_min: int) -> float:
    """Return the newest change against the mean and deviation of the changes before it."""
    changes = min(size - 2, history)
    if changes < history_min:
        return math.nan
    mean = 0.0
    for k in range(changes):
        mean += values[size - 2 - k] - values[size - 3 - k]
    mean /= changes
    squares = 0.0
    for k in range(changes):
        d = values[size - 2 - k] - values[size - 3 - k] - mean
        squares += d * d
    deviation = math.sqrt(squares / (changes - 1))
    if not deviation > 0.0:
        return math.nan
    z = (values[size - 1] - values[size - 2] - mean) / deviation
    return max(-_SCORE_MAX, min(_SCORE_MAX, z))


@njit(cache=True, nogil=True)
def replay(
    event: Times, known: Times, value: Floats, lags: Times, history: int, history_min: int
) -> tuple[Times, Times, Floats, Floats]:
    """Return, for each moment at which something was published, the series as then known.

    Rows come sorted by `known`, then `event`. The answers hold one row per distinct `known`: that
    moment; the newest event; its value and the values so many observations earlier (columns by
    `lags`); and the standardised surprise where a new event was published, else NaN.
    """
    n = event.size
    events, values = np.empty(n, np.int64), np.empty(n, np.float64)
    moments, newest = np.empty(n, np.int64), np.empty(n, np.int64)
    levels, surprise = np.full((n, lags.size), math.nan), np.full(n, math.nan)
    size, rows = 0, 0
    seen = np.int64(-(2**62))
    for i in range(n):
        at = np.searchsorted(events[:size], event[i])
        if at == size or events[at] != event[i]:
            for k in range(size, at, -1):
                events[k], values[k] = events[k - 1], values[k - 1]
            size += 1
        events[at], values[at] = event[i], value[i]
        if i + 1 < n and known[i + 1] == known[i]:
            continue
        moments[rows], newest[rows] = known[i], events[size - 1]
        for k in range(lags.size):
            if lags[k] < size:
                levels[rows, k] = values[size - 1 - lags[k]]
        if events[size - 1] > seen:
            surprise[rows] = _score(values, size, history, history_min)
            seen = events[size - 1]
        rows += 1
    return moments[:rows], newest[:rows], levels[:rows], surprise[:rows]
