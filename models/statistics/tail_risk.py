"""What a bad day costs: value at risk and expected shortfall, as positive fractions lost."""

import numpy as np

from models.statistics.series import Floats, Series, finite


def value_at_risk(returns: Series, tail: float = 0.05) -> float:
    """Return the loss that the worst `tail` of the periods reach or exceed, historically.

    The empirical quantile without interpolation: a loss that did happen. NaN of no returns;
    raises ValueError on a tail outside (0, 0.5].
    """
    x = _checked(returns, tail)
    if x.size == 0:
        return float("nan")
    return -float(np.quantile(x, tail, method="inverted_cdf"))


def expected_shortfall(returns: Series, tail: float = 0.05) -> float:
    """Return the mean loss over the worst `tail` of the periods (Acerbi & Tasche 2002).

    Where n * tail is no whole number the last of them counts in part, so that the measure is
    coherent and never below the value at risk.
    """
    x = np.sort(_checked(returns, tail))
    if x.size == 0:
        return float("nan")
    share = x.size * tail
    whole = int(np.floor(share))
    worst = float(x[:whole].sum())
    if whole < x.size:
        worst += (share - whole) * float(x[whole])
    return -worst / share


def _checked(returns: Series, tail: float) -> Floats:
    if not 0.0 < tail <= 0.5:
        raise ValueError(f"tail must be in (0, 0.5], was {tail}")
    return finite(returns)
