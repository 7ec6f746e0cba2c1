"""The baselines of weights over scouts: each sees payoffs [T, K] up to a bar and no further."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Learner = Callable[[Floats], Floats]


def equal_weight(payoff: Floats) -> Floats:
    """Return the weights [T, K] of believing everybody alike."""
    return np.full(payoff.shape, 1.0 / payoff.shape[1])


def best_in_hindsight(payoff: Floats) -> Floats:
    """Return all weight on the scout that earned most over all bars (it knows the future)."""
    weights = np.zeros(payoff.shape)
    weights[:, payoff.sum(axis=0).argmax()] = 1.0
    return weights


def fixed_share(payoff: Floats, eta: float = 8.0, share: float = 0.001) -> Floats:
    """Return fixed-share's weights (Herbster & Warmuth 1998); row t uses payoffs before t."""
    bars, scouts = payoff.shape
    weights = np.empty(payoff.shape)
    w = np.full(scouts, 1.0 / scouts)
    for t in range(bars):
        weights[t] = w
        w = w * np.exp(eta * (payoff[t] - payoff[t].max()))
        w = (1.0 - share) * w / w.sum() + share / scouts
    return weights


def hedge(payoff: Floats, eta: float = 8.0) -> Floats:
    """Return the weights of Hedge (Freund & Schapire 1997)."""
    return fixed_share(payoff, eta, 0.0)


def bandit(payoff: Floats, half_life: float = 100.0, seed: int = 7) -> Floats:
    """Return the weights of discounted Thompson sampling: one scout a bar, drawn by its mean."""
    rng = np.random.default_rng(seed)
    bars, scouts = payoff.shape
    keep = 0.5 ** (1.0 / half_life)
    total, count = np.zeros(scouts), np.zeros(scouts)
    weights = np.zeros(payoff.shape)
    for t in range(bars):
        scale = payoff[max(t - 250, 0) : t].std() if t > 1 else 1.0
        draw = total / (count + 1.0) + scale * rng.standard_normal(scouts) / np.sqrt(count + 1.0)
        arm = int(draw.argmax())
        weights[t, arm] = 1.0
        total, count = total * keep, count * keep
        total[arm] += payoff[t, arm]  # a bandit sees only what it played
        count[arm] += 1.0
    return weights


BASELINES: dict[str, Learner] = {
    "equal weight": equal_weight,
    "best single in hindsight": best_in_hindsight,
    "hedge": hedge,
    "fixed-share": fixed_share,
    "bandit (Thompson)": bandit,
}


def oracle(payoff: Floats, regime: NDArray[np.int64]) -> Floats:
    """Return the weights [T, K] of one who knows each bar's regime and its best scout.

    Where no scout of a regime earns anything it stands aside.
    """
    weights = np.zeros(payoff.shape)
    for label in np.unique(regime):
        rows = regime == label
        mean = payoff[rows].mean(axis=0)
        weights[rows, mean.argmax()] = float(mean.max() > 0.0)
    return weights


def informed_observer(payoff: Floats, regime: NDArray[np.int64], hazard: float) -> Floats:
    """Return the weights [T, K] of a Bayesian who knows all but which of two regimes reigns.

    It is told the best scout of each regime, the distribution of the difference of their payoffs
    and the chance `hazard` of a turn per bar, filters the regime from the payoffs (Shiryaev 1963)
    and trusts the likelier scout, which is the best answer as payoff is linear in trust. No
    learner that treats turns as random can expect to beat it; NaN for other than two regimes.
    """
    if len(np.unique(regime)) != 2:
        return np.full(payoff.shape, np.nan)
    weights = np.zeros(payoff.shape)
    best = [int(payoff[regime == label].mean(axis=0).argmax()) for label in (0, 1)]
    gap = payoff[:, best[0]] - payoff[:, best[1]]
    centre = [float(gap[regime == label].mean()) for label in (0, 1)]
    variance = float(np.mean([gap[regime == label].var() for label in (0, 1)]))
    odds = 0.0
    for t in range(len(payoff)):
        weights[t, best[0] if odds > 0.0 else best[1]] = 1.0
        odds += (centre[0] - centre[1]) * (gap[t] - 0.5 * (centre[0] + centre[1])) / variance
        chance = 1.0 / (1.0 + np.exp(-odds))
        chance = (1.0 - hazard) * chance + hazard * (1.0 - chance)
        odds = float(np.log(chance / (1.0 - chance)))
    return weights
