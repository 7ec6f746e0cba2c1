"""Hold in equal parts whatever closes above its slow average with its fast one."""

import numpy as np


def weights(market, fast: int, slow: int, gross: float):
    """Return weights of NAV [sessions, instruments], decided at each close."""
    known = np.isfinite(market.close)
    close = np.where(known, market.close, 0.0)
    risen = average(close, known, fast) > average(close, known, slow)
    held = risen & known
    return gross * held / np.maximum(known.sum(axis=1, keepdims=True), 1)


def average(close, known, count: int):
    """Return the mean of the last `count` sessions that have a close, NaN where there is none."""
    sums, counts = (np.cumsum(values, axis=0) for values in (close, known))
    sums[count:] = sums[count:] - sums[:-count].copy()
    counts[count:] = counts[count:] - counts[:-count].copy()
    return sums / np.where(counts > 0, counts, np.nan)
