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
    queen: Queen,
    outcome: np.ndarray,
    target_before: np.ndarray,
    sigma: np.ndarray,
    group: np.ndarray,
    keep: float,
) -> None:
    """Credit each sense and each asset class with what it earned on the bar that just closed.

    A sense's reward is mean_i(contribution[s,i] x[i]); a class's is the payoff of its targets,
    sum_i w[i] x[i] sigma[i] over the class. Both count for the regime held when they were chosen.
    """
    z = queen.held[0]
    n = outcome.shape[0]
    for values in (
        queen.sense_payoff, queen.sense_weight, queen.class_payoff, queen.class_weight,
    ):  # fmt: skip
        _shrink(values, keep)
    for s in range(queen.sense_payoff.shape[1]):
        total, count = 0.0, 0
        for i in range(n):
            if outcome[i] == outcome[i]:
                total += queen.sense_conviction[s, i] * outcome[i]
                count += 1
        if count > 0:
            queen.sense_payoff[z, s] += total / count
            queen.sense_weight[z, s] += 1.0
    earned = np.zeros(queen.class_payoff.shape[1])
    for i in range(n):
        if outcome[i] == outcome[i]:
            earned[group[i]] += target_before[i] * outcome[i] * sigma[i]
    for g in range(earned.shape[0]):
        queen.class_payoff[z, g] += earned[g]
        queen.class_weight[z, g] += 1.0


@kernel
def _shrink(values: np.ndarray, keep: float) -> None:
    for y in range(values.shape[0]):
        for a in range(values.shape[1]):
            values[y, a] *= keep


@kernel
def allocate(queen: Queen, seed: int, step: int, parameters: QueenParameters) -> None:
    """Thompson sampling (Thompson 1933): shares grow with a draw of each arm's mean reward.

    With m and n the discounted reward and count of an arm in the held regime and s the spread of
    the rewards over arms, the draw is N(m / n, s^2 / n); an arm gets the share 1 + its draw's
    z-score / 2, clipped to the budget bounds and normalised to a mean of one.
    """
    if not parameters.allocation_enabled:
        queen.sense_allocation[:] = 1.0
        queen.class_budget[:] = 1.0
        return
    z = queen.held[0]
    _draw(
        queen.sense_payoff[z],
        queen.sense_weight[z],
        seed,
        step,
        0,
        parameters,
        queen.sense_allocation,
    )
    _draw(
        queen.class_payoff[z],
        queen.class_weight[z],
        seed,
        step,
        4096,
        parameters,
        queen.class_budget,
    )


@kernel
def _draw(
    payoff: np.ndarray,
    weight: np.ndarray,
    seed: int,
    step: int,
    lane: int,
    parameters: QueenParameters,
    out: np.ndarray,
) -> None:
    arms = payoff.shape[0]
    if arms < 2:
        out[:] = 1.0
        return
    mean, square = 0.0, 0.0
    for a in range(arms):
        value = payoff[a] / (weight[a] + 1.0)
        mean += value / arms
        square += value * value / arms
    spread = math.sqrt(max(square - mean * mean, 0.0))
    total = 0.0
    for a in range(arms):
        z = 0.0
        if spread > 1e-15:
            z = (payoff[a] / (weight[a] + 1.0) - mean) / spread
        z += normal(seed, step, PURPOSE_ALLOCATION, lane + a) / math.sqrt(weight[a] + 1.0)
        confidence = weight[a] / (weight[a] + 60.0)  # a quarter's bars until a half is believed
        out[a] = min(max(1.0 + 0.5 * z * confidence, parameters.budget_min), parameters.budget_max)
        total += out[a]
    for a in range(arms):
        out[a] *= arms / total
