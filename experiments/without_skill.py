"""Hold what dice say: nothing in the market is looked at but who can be traded."""

import numpy as np


def weights(market, seed: int, gross: float):
    """Return weights of NAV [sessions, instruments], drawn anew each week by seed and day alone.

    As much is held as is sold short, so that neither side of the market is taken.
    """
    out = np.full(market.close.shape, np.nan)
    week = None
    for t, day in enumerate(market.days):
        if day.isocalendar()[:2] == week:
            continue
        week = day.isocalendar()[:2]
        known = np.isfinite(market.close[t])
        drawn = np.random.default_rng([seed, day.toordinal()]).normal(size=known.size)
        drawn = np.where(known, drawn - drawn[known].mean() if known.any() else 0.0, 0.0)
        total = np.abs(drawn).sum()
        out[t] = gross * drawn / total if total > 0.0 else 0.0
    return out
