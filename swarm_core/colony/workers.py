"""The workers: who engages, and how large; band.py says when a change of position is worth it."""

import math

import numpy as np

from swarm_core.colony.arithmetic import exp
from swarm_core.colony.compiled import kernel
from swarm_core.colony.parameters import WorkerParameters
from swarm_core.colony.state import Book
from swarm_core.colony.trails import DANGER, REJECTION, SUCCESS

LOG_ODDS, MEAN, VARIANCE, WEIGHT = 0, 1, 2, 3
_LOG_ODDS_MAX = 6.0
_ENGAGEMENT_LEAK = 0.0005  # per bar, of the log odds toward the prior


@kernel
def threshold_of(trails: np.ndarray, i: int, parameters: WorkerParameters) -> float:
    """Return theta of one instrument: raised by danger and rejection, lowered by success."""
    stress = trails[DANGER, i] + trails[REJECTION, i] - trails[SUCCESS, i]
    return parameters.threshold * exp(parameters.threshold_gain * min(max(stress, -1.0), 1.0))


@kernel
def engage(
    conviction: np.ndarray,
    side: np.ndarray,
    trails: np.ndarray,
    parameters: WorkerParameters,
    threshold: np.ndarray,
    probability: np.ndarray,
) -> None:
    """Fill threshold[N] and P[N] = s^2 / (s^2 + theta^2) (Bonabeau, Theraulaz & Deneubourg 1998).

    The stimulus s is the size of the conviction on the side that the recruitment decided for.
    """
    for i in range(conviction.shape[0]):
        theta = threshold_of(trails, i, parameters)
        stimulus = max(conviction[i] * side[i], 0.0)
        threshold[i] = theta
        if not parameters.threshold_enabled:
            probability[i] = 1.0 if stimulus > 0.0 else 0.0
            continue
        square = stimulus * stimulus
        probability[i] = square / (square + theta * theta) if square > 0.0 else 0.0


@kernel
def weigh_engagement(
    book: Book, outcome: np.ndarray, parameters: WorkerParameters, variance_keep: float
) -> None:
    """Update the odds that acting pays from what the colony's last conviction would have earned.

    The odds are a likelihood ratio of "the payoff is `engagement_edge` standard deviations a bar"
    against "it is nothing", bounded on both sides so that it can turn again (a CUSUM with two
    barriers, Page 1954). charge_engagement takes off what the conviction's changes cost.
    """
    total, count = 0.0, 0
    for i in range(outcome.shape[0]):
        if outcome[i] == outcome[i]:
            total += book.conviction[i] * outcome[i]
            count += 1
    if count == 0:
        return
    payoff = total / count
    e = book.engagement
    fresh = 1.0 - variance_keep
    e[MEAN] = variance_keep * e[MEAN] + fresh * payoff
    e[VARIANCE] = variance_keep * e[VARIANCE] + fresh * payoff * payoff
    e[WEIGHT] = variance_keep * e[WEIGHT] + fresh
    spread = math.sqrt(e[VARIANCE] / e[WEIGHT])
    if spread > 1e-12:
        edge = parameters.engagement_edge
        x = min(max(payoff / spread, -4.0), 4.0)
        e[LOG_ODDS] += edge * x - 0.5 * edge * edge
    prior = parameters.engagement_prior_log_odds
    e[LOG_ODDS] += _ENGAGEMENT_LEAK * (prior - e[LOG_ODDS])
    e[LOG_ODDS] = min(max(e[LOG_ODDS], -_LOG_ODDS_MAX), _LOG_ODDS_MAX)


@kernel
def charge_engagement(
    book: Book,
    conviction: np.ndarray,
    sigma: np.ndarray,
    tradable: np.ndarray,
    cost: float,
    parameters: WorkerParameters,
    variance_keep: float,
) -> None:
    """Take off the odds that acting pays what the change to this conviction [N] costs, in sigmas.

    It is the colony's own change, not the scouts': trust that moves from one scout to another
    trades although no scout did.
    """
    moved, count = 0.0, 0
    for i in range(conviction.shape[0]):
        if tradable[i]:
            moved += abs(conviction[i] - book.conviction[i]) / sigma[i]
            count += 1
    if count == 0:
        return
    paid = cost * moved / count
    e = book.engagement
    e[MEAN] -= (1.0 - variance_keep) * paid
    spread = math.sqrt(e[VARIANCE] / e[WEIGHT]) if e[WEIGHT] > 0.0 else 0.0
    if spread > 1e-12:
        e[LOG_ODDS] -= parameters.engagement_edge * min(paid / spread, 4.0)
        e[LOG_ODDS] = max(e[LOG_ODDS], -_LOG_ODDS_MAX)


@kernel
def engagement_share(book: Book, parameters: WorkerParameters) -> float:
    """Return the share in [0, 1] of the risk budget that the evidence allows.

    With p the chance that acting pays, it is 2 p - 1: Kelly's share of an even bet (1956), as what
    does not pay costs about what the tested edge earns. Nothing is held while p is below a half,
    so luck must first turn the odds: without an edge that happens with a chance of at most
    prior / (1 - prior) for each time that the odds start from the prior (Ville 1939).
    """
    if not parameters.engagement_enabled:
        return 1.0
    return max(2.0 / (1.0 + exp(-book.engagement[LOG_ODDS])) - 1.0, 0.0)


@kernel
def size(
    conviction: np.ndarray,
    probability: np.ndarray,
    side: np.ndarray,
    sigma: np.ndarray,
    budget: np.ndarray,
    correlation: float,
    share: float,
    parameters: WorkerParameters,
    out: np.ndarray,
) -> None:
    """Fill out[N] with weights of the volatility target: risk in proportion to engaged conviction.

    Each position's risk is w sigma; with one average correlation rho the book's variance is
    (1 - rho) sum (w sigma)^2 + rho (sum w sigma)^2. `share` of the target is used. Without the
    target the gross is `share` of gross_max, in proportion to engaged conviction alone.
    """
    rho = min(max(correlation, 0.0), 1.0)
    square = total = gross = 0.0
    for i in range(conviction.shape[0]):
        risk = side[i] * probability[i] * abs(conviction[i]) * budget[i]
        if parameters.long_only:
            risk = max(risk, 0.0)
        out[i] = risk
        square += risk * risk
        total += risk
        gross += abs(risk)
    if not parameters.target_enabled:
        scale = parameters.gross_max * share / gross if gross > 1e-12 else 0.0
        for i in range(out.shape[0]):
            out[i] *= scale
        return
    book_sigma = math.sqrt((1.0 - rho) * square + rho * total * total)
    scale = parameters.sigma_target * share / book_sigma if book_sigma > 1e-12 else 0.0
    for i in range(out.shape[0]):
        out[i] *= scale / sigma[i]
