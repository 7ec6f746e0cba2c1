"""How far below its own high a strategy stood, for how long."""

import numpy as np

from models.statistics.series import Floats, Series, finite


def equity(returns: Series) -> Floats:
    """Return the value of 1 invested: [n + 1], beginning with 1; never below 0."""
    growth = np.maximum(1.0 + finite(returns), 0.0)
    return np.concatenate([[1.0], np.cumprod(growth)])


def drawdowns(returns: Series) -> Floats:
    """Return how far equity stands below its highest point so far: [n], fractions in [0, 1]."""
    curve = equity(returns)
    return 1.0 - (curve / np.maximum.accumulate(curve))[1:]


def max_drawdown(returns: Series) -> float:
    """Return the deepest drawdown, a fraction in [0, 1]; 0 of no returns."""
    return float(drawdowns(returns).max(initial=0.0))


def longest_drawdown(returns: Series) -> int:
    """Return the longest stretch of periods below an earlier high."""
    under = drawdowns(returns) > 0.0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], under, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))
