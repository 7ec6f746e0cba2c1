"""The purse: what the colony may lose before it has earned anything, and what trading has cost."""

import math

import numpy as np

from swarm_core.colony.arithmetic import exp
from swarm_core.colony.compiled import kernel
from swarm_core.colony.parameters import WorkerParameters
from swarm_core.colony.state import Book, Memory

PAID, TRADED = 0, 1
_CUSHION_MIN = 0.05  # of the stake: a purse that is all but lost can still be earned back
_GAIN_MAX = 1.0  # on one bar; more is a bad print
_LOSS_MAX = 0.99
_TRADED_MAX = 1e6  # of NAV: no book trades so much in a bar, its measurement is broken
_COST_LEAST, _COST_MOST = 0.5, 4.0  # of the cost set; what fills tell beyond is taken for chance


@kernel
def earn(book: Book, memory: Memory, log_price: np.ndarray) -> None:
    """Let the purse earn what the last targets did on the bar that closes; prices [N] are logs.

    It goes by targets and prices and not by NAV, so that neither a deposit nor an order that
    was never sent is taken for something earned.
    """
    earned = 0.0
    for i in range(log_price.shape[0]):
        change = log_price[i] - memory.last_log_price[i]
        if change == change and book.target[i] != 0.0:
            earned += book.target[i] * (exp(min(change, 2.0)) - 1.0)
    book.stake[0] *= 1.0 + min(max(earned, -_LOSS_MAX), _GAIN_MAX)


@kernel
def charge(book: Book, weights: np.ndarray, target: np.ndarray, cost: float) -> None:
    """Take what going from weights[N] to target[N] costs out of the purse."""
    moved = 0.0
    for i in range(target.shape[0]):
        moved += abs(target[i] - weights[i])
    book.stake[0] *= 1.0 - min(cost * moved, _LOSS_MAX)


_ROUNDING = 1e-9  # sums of fills that cost what is set differ from it by less


@kernel
def share_allowed(book: Book, parameters: WorkerParameters) -> float:
    """Return the largest share of the risk budget that the purse bears.

    With W what one unit of capital has become and b the stake, 1 - (1 - b) / W may still be lost.
    Of that cushion the edge that engagement tests for is risked in one standard deviation of a
    bar: Kelly's share (1956) of who believes in that edge. A purse that is staked in proportion
    is never lost whole, so capital stays above 1 - b whatever the market is, up to one bar's
    jump (Black & Perold 1992; that wealth is the evidence itself: Shafer 2021).
    """
    if not parameters.engagement_enabled or not parameters.sigma_target > 0.0:
        return 1.0
    cushion = 1.0 - (1.0 - parameters.stake) / max(book.stake[0], 1e-9)
    cushion = max(cushion, _CUSHION_MIN * parameters.stake)
    return min(cushion * parameters.engagement_edge / parameters.sigma_target, 1.0)


@kernel
def hear_fills(book: Book, traded: float, paid: float, parameters: WorkerParameters) -> None:
    """Remember what was traded since the last bar and what it cost, both as fractions of NAV.

    Either is NaN where nobody knows, and then nothing is learned; nor is it from a turnover that
    no book has. What was paid counts for no more than what was traded.
    """
    keep = parameters.friction_keep
    book.friction[PAID] *= keep
    book.friction[TRADED] *= keep
    if math.isfinite(paid) and 0.0 < traded < _TRADED_MAX:
        book.friction[PAID] += min(max(paid, -traded), traded)
        book.friction[TRADED] += traded


@kernel
def learned_cost(book: Book, parameters: WorkerParameters) -> float:
    """Return the cost of a unit of turnover: the one set, corrected by what fills have cost.

    The cost set counts for `cost_prior_turnover` of NAV, so that a few odd fills say little.
    """
    cost = parameters.cost
    if not parameters.cost_learned:
        return cost
    prior = parameters.cost_prior_turnover
    found = (cost * prior + book.friction[PAID]) / (prior + book.friction[TRADED])
    return min(max(found, _COST_LEAST * cost), _COST_MOST * cost)


@kernel
def dearness(book: Book, parameters: WorkerParameters) -> float:
    """Return how many times dearer trading is than the cost set; 1 where it is cheaper.

    It raises what turnover costs a scout. What fills have saved raises no scout's payoff: a fill
    may not strengthen the signal that caused it.
    """
    cost = parameters.cost
    if not cost > 0.0:
        return 1.0
    times = learned_cost(book, parameters) / cost
    return times if times > 1.0 + _ROUNDING else 1.0
