"""The workers: who engages, how large, and when a change of position pays for itself."""

import math

import numpy as np

from swarm_core.colony.arithmetic import exp
from swarm_core.colony.compiled import kernel
from swarm_core.colony.parameters import WorkerParameters
from swarm_core.colony.state import Book
from swarm_core.colony.trails import DANGER, REJECTION, SUCCESS

LOG_ODDS, MEAN, VARIANCE, WEIGHT = 0, 1, 2, 3
_LOG_ODDS_MAX = 6.0
_ENGAGEMENT_LEAK = 0.002  # per bar, of the log odds toward the prior
_SHARPE_PER_BAR = 0.05  # risk aversion is the Sharpe ratio over the volatility chosen


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
        square = stimulus * stimulus
        probability[i] = square / (square + theta * theta) if square > 0.0 else 0.0


@kernel
def weigh_engagement(
    book: Book,
    conviction: np.ndarray,
    outcome: np.ndarray,
    inverse_sigma: np.ndarray,
    cost: float,
    parameters: WorkerParameters,
    variance_keep: float,
) -> None:
    """Update the odds that acting pays from what the colony's last conviction would have earned.

    The odds are a likelihood ratio of "the payoff is `engagement_edge` standard deviations a bar"
    against "it is nothing", bounded on both sides so that it can turn again (a CUSUM with two
    barriers, Page 1954). `cost` is what the conviction's last change cost, in sigmas.
    """
    total, count = 0.0, 0
    for i in range(outcome.shape[0]):
        if outcome[i] == outcome[i]:
            total += book.conviction[i] * outcome[i]
            count += 1
    if count == 0:
        return
    payoff = total / count - cost
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
def engagement_share(book: Book, parameters: WorkerParameters) -> float:
    """Return the share in [0, 1] of the risk budget that the evidence allows."""
    if not parameters.engagement_enabled:
        return 1.0
    return 1.0 / (1.0 + exp(-book.engagement[LOG_ODDS]))


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
    (1 - rho) sum (w sigma)^2 + rho (sum w sigma)^2. `share` of the target is used.
    """
    rho = min(max(correlation, 0.0), 1.0)
    square = total = 0.0
    for i in range(conviction.shape[0]):
        risk = side[i] * probability[i] * abs(conviction[i]) * budget[i]
        if parameters.long_only:
            risk = max(risk, 0.0)
        out[i] = risk
        square += risk * risk
        total += risk
    book_sigma = math.sqrt((1.0 - rho) * square + rho * total * total)
    scale = parameters.sigma_target * share / book_sigma if book_sigma > 1e-12 else 0.0
    for i in range(out.shape[0]):
        out[i] *= scale / sigma[i]


@kernel
def hold_inside_band(
    book: Book,
    weights: np.ndarray,
    sigma: np.ndarray,
    tradable: np.ndarray,
    parameters: WorkerParameters,
    keep: float,
    desired: np.ndarray,
    band: np.ndarray,
) -> None:
    """Replace desired[N] by the nearest weight inside the no-trade band; fill band[N].

    With a loss of gamma sigma^2 d^2 / 2 a bar for a distance d from the target, a cost c per unit
    traded and a target that wanders nu a bar, the best half width is (3 c nu^2 / 2 gamma
    sigma^2)^(1/3) (Janecek & Shreve 2004; Rogers 2004), and it is best to trade only to the edge.
    """
    n = desired.shape[0]
    moved, count = 0.0, 0
    for i in range(n):
        if tradable[i]:
            change = desired[i] - book.target[i]
            moved += change * change
            count += 1
    r = book.restlessness
    if count > 0:
        r[0] = keep * r[0] + (1.0 - keep) * moved / count
        r[1] = keep * r[1] + 1.0 - keep
    nu_square = r[0] / r[1] if r[1] > 0.0 else 0.0
    gamma = _SHARPE_PER_BAR / max(parameters.sigma_target, 1e-9)
    for i in range(n):
        book.target[i] = desired[i]
        band[i] = 0.0
        if parameters.band_enabled and parameters.cost > 0.0:
            cube = 1.5 * parameters.cost * nu_square / (gamma * sigma[i] * sigma[i])
            band[i] = parameters.band_gain * _cube_root(cube)
        gap = desired[i] - weights[i]
        if abs(gap) <= band[i]:
            desired[i] = weights[i]
        elif gap > 0.0:
            desired[i] -= band[i]
        else:
            desired[i] += band[i]


@kernel
def _cube_root(x: float) -> float:
    """Return x^(1/3) for x >= 0 by Newton's iteration from above: IEEE operations alone."""
    if not x > 0.0:
        return 0.0
    root = max(x, 1.0)
    for _ in range(200):
        following = (2.0 * root + x / (root * root)) / 3.0
        if not following < root:
            break
        root = following
    return root
