"""The queen: in which regime the market is, and who gets how much of the foragers and the risk."""

import math

import numpy as np

from swarm_core.colony.arithmetic import exp, log
from swarm_core.colony.compiled import kernel
from swarm_core.colony.parameters import QueenParameters
from swarm_core.colony.randomness import PURPOSE_ALLOCATION, normal
from swarm_core.colony.state import Queen

# Where each regime of state.REGIMES lies in standardised market values (state.MARKET_KEYS): a
# stressed market is volatile, fearful and moves together; a trending one continues what it did.
PROTOTYPES = np.array(
    [
        # vix, term, surprise, news, breadth, correlation, volatility, trend
        [-0.5, 0.0, 0.0, 0.0, 0.0, -0.5, -0.5, 1.0],
        [-0.5, 0.0, 0.0, 0.0, 0.0, -0.5, -0.5, -1.0],
        [1.5, 0.0, 0.0, 0.0, 0.0, 1.0, 1.5, 1.0],
        [1.5, 0.0, 0.0, 0.0, 0.0, 1.0, 1.5, -1.0],
    ]
)
_ARM_BARS_MIN = 20.0
_HALVINGS = 64  # of the amount that shares are moved by: to the last bit
_TELLING = np.array([True, False, False, False, False, True, True, True])


@kernel
def filter_regime(queen: Queen, market: np.ndarray, parameters: QueenParameters) -> None:
    """One forward step of a hidden Markov model with unit-variance Gaussian emissions.

    market[M] holds standardised values, NaN where not known; what is not known says nothing. The
    held regime changes only when another leads it by the hysteresis.
    """
    regimes = queen.posterior.shape[0]
    if not parameters.regime_enabled:
        return
    evidence = np.empty(regimes)
    top = -math.inf
    for z in range(regimes):
        prior = parameters.stay * queen.posterior[z] + (1.0 - parameters.stay) / regimes
        distance = 0.0
        for m in range(PROTOTYPES.shape[1]):
            if _TELLING[m] and market[m] == market[m]:
                gap = market[m] - PROTOTYPES[z, m]
                distance += gap * gap
        evidence[z] = log(prior) - 0.5 * parameters.evidence * distance
        top = max(top, evidence[z])
    total = 0.0
    for z in range(regimes):
        queen.posterior[z] = exp(evidence[z] - top)
        total += queen.posterior[z]
    best = 0
    for z in range(regimes):
        queen.posterior[z] /= total
        if queen.posterior[z] > queen.posterior[best]:
            best = z
    held = queen.held[0]
    if queen.posterior[best] > queen.posterior[held] + parameters.hysteresis:
        queen.held[0] = best


@kernel
def learn_allocation(
    queen: Queen, outcome: np.ndarray, conviction: np.ndarray, group: np.ndarray, keep: float
) -> None:
    """Credit each sense and each asset class with what it earned on the bar that just closed.

    A sense's reward is mean_i(contribution[s,i] x[i]), a class's the same of the colony's
    conviction [N] over its instruments: both in sigmas, and neither grows with the share that was
    given. They count for the regime held when they were chosen.
    """
    z = queen.held[0]
    n = outcome.shape[0]
    for values in (
        queen.sense_payoff, queen.sense_weight, queen.sense_square,
        queen.class_payoff, queen.class_weight, queen.class_square,
    ):  # fmt: skip
        _shrink(values, keep)
    _credit_senses(queen, outcome, z)
    classes = queen.class_payoff.shape[1]
    earned, count = np.zeros(classes), np.zeros(classes)
    for i in range(n):
        if outcome[i] == outcome[i]:
            earned[group[i]] += conviction[i] * outcome[i]
            count[group[i]] += 1.0
    for g in range(classes):
        if count[g] > 0.0:
            _credit(
                queen.class_payoff[z], queen.class_weight[z], queen.class_square[z], g,
                earned[g] / count[g],
            )  # fmt: skip


@kernel
def _credit_senses(queen: Queen, outcome: np.ndarray, z: int) -> None:
    known = 0
    for i in range(outcome.shape[0]):
        known += outcome[i] == outcome[i]
    if known == 0:
        return
    for s in range(queen.sense_payoff.shape[1]):
        total = 0.0
        for i in range(outcome.shape[0]):
            if outcome[i] == outcome[i]:
                total += queen.sense_conviction[s, i] * outcome[i]
        _credit(
            queen.sense_payoff[z], queen.sense_weight[z], queen.sense_square[z], s, total / known
        )  # fmt: skip


@kernel
def _credit(
    payoff: np.ndarray, weight: np.ndarray, square: np.ndarray, arm: int, reward: float
) -> None:
    payoff[arm] += reward
    weight[arm] += 1.0
    square[arm] += reward * reward


@kernel
def _shrink(values: np.ndarray, keep: float) -> None:
    for y in range(values.shape[0]):
        for a in range(values.shape[1]):
            values[y, a] *= keep


@kernel
def allocate(queen: Queen, seed: int, step: int, parameters: QueenParameters) -> None:
    """Draw the senses' foragers and the classes' risk budgets anew; see _draw."""
    if not parameters.allocation_enabled:
        queen.sense_allocation[:] = 1.0
        queen.class_budget[:] = 1.0
        return
    z = queen.held[0]
    _draw(
        queen.sense_payoff[z], queen.sense_weight[z], queen.sense_square[z], seed, step, 0,
        parameters, queen.sense_allocation,
    )  # fmt: skip
    _draw(
        queen.class_payoff[z], queen.class_weight[z], queen.class_square[z], seed, step, 4096,
        parameters, queen.class_budget,
    )  # fmt: skip


@kernel
def _draw(
    payoff: np.ndarray,
    weight: np.ndarray,
    square: np.ndarray,
    seed: int,
    step: int,
    lane: int,
    parameters: QueenParameters,
    out: np.ndarray,
) -> None:
    """Fill out[A] by Thompson sampling (1933) of arms that are alike until shown to differ.

    An arm's mean reward m has the error variance v. How far true means differ, tau^2, is the
    variance of the means over arms less the mean of v (Hedges & Olkin 1985), less two standard
    errors of what errors alone would give. Each mean is drawn from its posterior, shrunk to the
    common one by tau^2 / (tau^2 + v) (James & Stein 1961), and the share is its ratio to the mean
    draw, within the budget bounds: at tau = 0 every share is even, and exploring costs nothing.
    """
    arms = payoff.shape[0]
    out[:] = 1.0
    mean, error = np.zeros(arms), np.full(arms, np.inf)
    common = errors = known = 0.0
    for a in range(arms):
        if weight[a] >= _ARM_BARS_MIN:
            mean[a] = payoff[a] / weight[a]
            error[a] = max(square[a] / weight[a] - mean[a] * mean[a], 0.0) / weight[a]
            common += mean[a]
            errors += error[a]
            known += 1.0
    if known < 2.0:
        return
    common, errors = common / known, errors / known
    spread = 0.0
    for a in range(arms):
        if error[a] < np.inf:
            spread += (mean[a] - common) * (mean[a] - common) / (known - 1.0)
    spread -= errors * (1.0 + 2.0 * math.sqrt(2.0 / (known - 1.0)))
    if not spread > 1e-18:
        return
    level = 0.0
    for a in range(arms):
        belief = spread / (spread + error[a])  # 0 for an arm that has not been seen enough
        left = belief * error[a] if belief > 0.0 else spread
        out[a] = common + belief * (mean[a] - common)
        out[a] += math.sqrt(left) * normal(seed, step, PURPOSE_ALLOCATION, lane + a)
        level += out[a] / arms
    unit = max(level, math.sqrt(spread))
    for a in range(arms):
        out[a] = 1.0 + (out[a] - level) / unit
    if parameters.budget_exact:
        _bound_shares(out, parameters.budget_min, parameters.budget_max)
    else:
        _cut_and_scale(out, parameters.budget_min, parameters.budget_max)


@kernel
def _cut_and_scale(share: np.ndarray, low: float, high: float) -> None:
    total = 0.0
    for a in range(share.shape[0]):
        share[a] = min(max(share[a], low), high)
        total += share[a]
    for a in range(share.shape[0]):
        share[a] *= share.shape[0] / total


@kernel
def _bound_shares(share: np.ndarray, low: float, high: float) -> None:
    """Replace share[A], one on the mean, by the nearest ones in [low, high] that are so too.

    All are moved by one amount before they are cut, so that what one gives up goes to those that
    still have room (the projection on a box and a sum; low <= 1 <= high). To scale what was cut
    would take the others over their bounds.
    """
    arms = share.shape[0]
    least, most = share[0], share[0]
    for a in range(arms):
        least, most = min(least, share[a]), max(most, share[a])
    if least >= low and most <= high:
        return
    below, above = low - most, high - least
    for _ in range(_HALVINGS):
        middle = 0.5 * (below + above)
        total = 0.0
        for a in range(arms):
            total += min(max(share[a] + middle, low), high)
        if total < arms:
            below = middle
        else:
            above = middle
    for a in range(arms):
        share[a] = min(max(share[a] + above, low), high)
