"""How much money a strategy can carry before its own trades eat what it earns."""

import numpy as np

from models.statistics.series import Floats, Series

# The square-root law's cost of trading a whole day's volume (Torre & Ferrari 1997): what the
# simulated venue charges by default.
IMPACT_BPS = 10.0


def impact_per_root_nav(changes: Floats, daily_value: Floats) -> Floats:
    """Return, for each session, what impact costs as a share of NAV at a NAV of one.

    `changes`: [T, N] changes of weight; `daily_value`: [T, N] value traded in a day, in money.
    Trading a share v of a day's value costs IMPACT_BPS * sqrt(v) of it, so that a book of NAV V
    pays sqrt(V) times the result. NaN where a traded instrument's volume is not known.
    """
    moved = np.abs(np.nan_to_num(changes))
    with np.errstate(all="ignore"):
        each = moved**1.5 / np.sqrt(daily_value)
    each = np.where(moved > 0.0, np.where(daily_value > 0.0, each, np.nan), 0.0)
    return IMPACT_BPS * 1e-4 * each.sum(axis=1)


def capacity(returns: Series, impact: Series) -> float:
    """Return the NAV at which impact takes all of the mean return; 0 where there is none to take.

    `returns`: [T] net of every other cost; `impact`: [T] as impact_per_root_nav gives it. Sessions
    whose impact is not known are left out; NaN where it is known of fewer than half of them, and
    infinite where nothing was traded.
    """
    x, k = np.asarray(returns, np.float64), np.asarray(impact, np.float64)
    if x.shape != k.shape:
        raise ValueError(f"returns and impact must be equally long, were {x.shape}, {k.shape}")
    known = np.isfinite(x) & np.isfinite(k)
    if not x.size or known.sum() * 2 < x.size:
        return float("nan")
    mean, cost = float(x[known].mean()), float(k[known].mean())
    if mean <= 0.0:
        return 0.0
    return float("inf") if cost == 0.0 else (mean / cost) ** 2
