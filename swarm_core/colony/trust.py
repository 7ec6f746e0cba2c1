"""Who is believed: fixed-share learners, memories of regimes, and a filter that picks among them.

Every candidate is a trust vector over K scouts and an idle one that pays nothing. A learner is
fixed-share with the payoff's own scale (Herbster & Warmuth 1998):

    w[k] <- w[k] exp(e r[k] / s - e^2 v[k] / 2 s^2),   w <- w / sum(w),   w <- (1 - a) w + a anchor

where s^2 is the pooled payoff variance: the factor is the likelihood ratio of "this scout earns e
standard deviations a bar" against "it earns nothing", and e / s is the eta of Hedge. A learner with
a negative edge trusts what has been losing, and the contrary candidate trusts the one scout that
has moved most against what trust earned: they pay on the day that a market turns over for the first
time, before there is any memory of the other side.

A memory learns the same way, but only from the bars that the payoffs say are its own: with q the
filtered chance of memory v, w[v] moves by q[v] times the log factor and does not leak. That keeps
what a regime taught while another one reigns, as mixing past posteriors does (Bousquet & Warmuth
2002), in the form of a hidden Markov model over trust vectors. Memories that have come to hold the
same are folded into one. The last filter mixes all candidates by how they paid lately, under
several switch rates and under the semi-Markov model of tempo.py, which compete; because payoff is
linear in trust, the best answer to a belief is its mode and not its mean, so the belief is
sharpened before it is used.
"""

import math

import numpy as np

from swarm_core.colony import tempo
from swarm_core.colony.arithmetic import dot, exp, exp_each, log
from swarm_core.colony.compiled import kernel
from swarm_core.colony.parameters import TrustParameters
from swarm_core.colony.state import EMPTY, Trust

VARIANCE, VARIANCE_WEIGHT, EDGE, EDGE_SQUARE, EDGE_WEIGHT, OWN, OWN_SQUARE = range(7)
_MEMORY_EDGE = 0.45  # how fast a memory learns from a bar of its own
_MEMORY_FLOOR = 1e-8  # deep enough for 10,000 scouts, shallow enough to be left again
_SAME = 0.9  # square of the cosine at which two memories are one
_RATE_MIN, _RATE_MAX = 0.25, 3.0  # of the last filter, in standard deviations of payoff
_RATE_UNSURE = 0.05  # while nothing has been earned in advance
_RATE_LEAK = 1e-4  # per bar, so that no switch rate is ever given up


@kernel
def anchor_weights(status: np.ndarray, idle_prior: float, out: np.ndarray) -> None:
    """Fill out[K + 1]: idle_prior for the idle scout, the rest even over those that live."""
    places = status.shape[0]
    living = 0
    for k in range(places):
        living += status[k] != EMPTY
    for k in range(places):
        out[k] = (1.0 - idle_prior) / living if status[k] != EMPTY else 0.0
    out[places] = idle_prior if living > 0 else 1.0


@kernel
def _reinforce(
    weight: np.ndarray, payoff: np.ndarray, penalty: np.ndarray, rate: float, responsibility: float
) -> None:
    """w <- w exp(q (rate r - rate^2 v / 2)), normalised; penalty[k] is v[k] / 2."""
    factor = np.empty(weight.shape[0])
    for k in range(weight.shape[0]):
        factor[k] = responsibility * rate * (payoff[k] - rate * penalty[k])
    exp_each(factor)
    total = 0.0
    for k in range(weight.shape[0]):
        if weight[k] > 0.0:
            weight[k] *= factor[k]
            total += weight[k]
    for k in range(weight.shape[0]):
        weight[k] /= total


@kernel
def _floor(weight: np.ndarray, status: np.ndarray, share: float) -> None:
    """Lift every living scout's weight to a share of the largest one, and normalise."""
    top = 0.0
    for k in range(weight.shape[0]):
        top = max(top, weight[k])
    total = 0.0
    last = weight.shape[0] - 1
    for k in range(weight.shape[0]):
        if k == last or status[k] != EMPTY:
            weight[k] = max(weight[k], share * top)
        total += weight[k]
    for k in range(weight.shape[0]):
        weight[k] /= total


@kernel
def _rate(trust: Trust, sd: float, keep: float) -> float:
    """Return how strongly a unit of payoff speaks for the candidate that foretold it.

    The log-likelihood ratio of two regimes that pay m and -m with the variance v grows by 2 m / v
    for each unit of payoff; half of it is the candidate's own. m and v are those of what the
    believed memory earned. Belief is hindsight, so it finds an m in pure noise too: the rate
    counts only as far as the trust given in advance has earned something, t^2 / (t^2 + 1) with t
    the t-statistic of its payoffs.
    """
    weight = max(trust.pooled[EDGE_WEIGHT], 1e-12)
    mean = max(trust.pooled[EDGE] / weight, 0.0)
    variance = max(trust.pooled[EDGE_SQUARE] / weight - mean * mean, 0.5 * sd * sd)
    found = min(max(mean / variance * sd, _RATE_MIN), _RATE_MAX)
    own = max(trust.pooled[OWN] / weight, 0.0)
    square = trust.pooled[OWN_SQUARE] / weight
    bars = weight / (1.0 - keep)
    t_square = own * own / square * bars if square > 1e-24 else 0.0
    sure = t_square / (t_square + 1.0)
    return (sure * found + (1.0 - sure) * _RATE_UNSURE) / sd


@kernel
def _filter_candidates(
    trust: Trust, payoff: np.ndarray, rate: float, parameters: TrustParameters
) -> None:
    """One step of belief [Q + 1, E] over (row, candidate) given the candidates' payoffs [E].

    Each of the first Q rows is a hidden Markov filter with even switching at its own rate; the
    last is the semi-Markov filter over the memories. The rows compete by how well they foretold
    the payoffs, so the colony learns how often, and how regularly, its market turns.
    """
    belief = trust.candidate
    rows, states = belief.shape
    slots = trust.memory.shape[0]
    top = -math.inf
    for e in range(states):
        top = max(top, rate * payoff[e])
    total = 0.0
    for e in range(states):
        ratio = exp(rate * payoff[e] - top)
        for q in range(rows):
            belief[q, e] *= ratio
            total += belief[q, e]
    for q in range(rows):
        for e in range(states):
            belief[q, e] /= total
    last = belief[rows - 1, states - slots :]
    tempo.watch_reign(trust, last, payoff[states - slots :], rate)
    tempo.foretell(trust, last)
    _leak(belief, last, parameters)


@kernel
def _leak(belief: np.ndarray, last: np.ndarray, parameters: TrustParameters) -> None:
    """Let the candidates of a row switch evenly at its rate, and give no row up for ever."""
    rows, states = belief.shape
    for q in range(rows - 1):
        mass, switch = 0.0, parameters.switch_rate[q]
        for e in range(states):
            mass += belief[q, e]
        for e in range(states):
            kept = (1.0 - switch) * belief[q, e] + switch * mass / states
            belief[q, e] = (1.0 - _RATE_LEAK) * kept + _RATE_LEAK / (rows * states)
    for v in range(last.shape[0]):
        fresh = _RATE_LEAK / (rows * last.shape[0])
        last[v] = (1.0 - _RATE_LEAK) * last[v] + fresh if parameters.tempo_enabled else 0.0


@kernel
def _filter_memories(belief: np.ndarray, payoff: np.ndarray, rate: float) -> None:
    """Bayes' rule over the memories [V], each foretelling its own payoff."""
    top = -math.inf
    for v in range(belief.shape[0]):
        top = max(top, log(belief[v]) + rate * payoff[v])
    total = 0.0
    for v in range(belief.shape[0]):
        belief[v] = exp(log(belief[v]) + rate * payoff[v] - top)
        total += belief[v]
    for v in range(belief.shape[0]):
        belief[v] /= total


@kernel
def _measure(trust: Trust, status: np.ndarray, keep: float) -> float:
    """Update the running payoff variances; return the pooled standard deviation."""
    places = status.shape[0]
    fresh = 1.0 - keep
    total, living = 0.0, 0
    for k in range(places):
        if status[k] != EMPTY:
            square = trust.payoff[k] * trust.payoff[k]
            trust.variance[k] = keep * trust.variance[k] + fresh * square
            total += square
            living += 1
    trust.pooled[VARIANCE] = keep * trust.pooled[VARIANCE] + fresh * total / max(living, 1)
    trust.pooled[VARIANCE_WEIGHT] = keep * trust.pooled[VARIANCE_WEIGHT] + fresh
    return math.sqrt(trust.pooled[VARIANCE] / trust.pooled[VARIANCE_WEIGHT])


@kernel
def _contrary(trust: Trust) -> int:
    """Return the scout that has moved most against what trust earned: who pays if all turns."""
    place = trust.opposite.shape[0] - 1
    for k in range(place):
        if trust.opposite[k] < trust.opposite[place]:
            place = k
    return place


@kernel
def _uncharged(trust: Trust, cost: np.ndarray, part: float) -> np.ndarray:
    """Return the payoffs [K + 1] of which only a part of the costs [K] is taken.

    What tells one regime from another is what the market paid. After costs, scouts of both
    regimes earn much the same where little is left, and memories come to hold the idle scout.
    """
    paid = trust.payoff.copy()
    if part < 1.0:
        for k in range(cost.shape[0]):
            paid[k] += (1.0 - part) * cost[k]
    return paid


@kernel
def _candidate_payoffs(trust: Trust, posterior: np.ndarray, out: np.ndarray) -> None:
    learners, regimes = trust.learner.shape[0], trust.regime.shape[0]
    for j in range(learners):
        out[j] = dot(trust.learner[j], trust.payoff)
    mixed = 0.0
    for z in range(regimes):
        mixed += posterior[z] * dot(trust.regime[z], trust.payoff)
    out[learners] = mixed
    for v in range(trust.memory.shape[0]):
        out[learners + 2 + v] = dot(trust.memory[v], trust.payoff)
    out[learners + 1] = trust.payoff[_contrary(trust)]


@kernel
def learn(
    trust: Trust,
    status: np.ndarray,
    cost: np.ndarray,
    posterior: np.ndarray,
    parameters: TrustParameters,
) -> None:
    """Learn from trust.payoff [K + 1] of the bar that just closed.

    cost[K] is what was taken from the payoffs for turnover, posterior[Z] the queen's belief over
    regimes at the time the convictions were formed. Learners learn, and candidates are chosen, by
    what is left; memories, and how much they are listened to, go by what the market paid.
    """
    sd = _measure(trust, status, parameters.variance_keep)
    if not sd > 1e-12:
        return
    payoff = np.empty(trust.candidate.shape[1])
    _candidate_payoffs(trust, posterior, payoff)
    keep = parameters.variance_keep
    rate = _rate(trust, sd, keep)
    paid = _uncharged(trust, cost, parameters.memory_cost_part)
    own = dot(trust.weight, paid)
    trust.pooled[OWN] = keep * trust.pooled[OWN] + (1.0 - keep) * own
    for k in range(trust.opposite.shape[0]):
        trust.opposite[k] = keep * trust.opposite[k] + (1.0 - keep) * own * trust.payoff[k]
    trust.pooled[OWN_SQUARE] = keep * trust.pooled[OWN_SQUARE] + (1.0 - keep) * own * own
    _filter_candidates(trust, payoff, rate, parameters)
    memories = np.empty(trust.memory.shape[0])
    for v in range(memories.shape[0]):
        memories[v] = dot(trust.memory[v], paid)
    _filter_memories(trust.memory_belief, memories, rate)
    found = dot(trust.memory_belief, memories)
    trust.pooled[EDGE] = keep * trust.pooled[EDGE] + (1.0 - keep) * found
    trust.pooled[EDGE_SQUARE] = keep * trust.pooled[EDGE_SQUARE] + (1.0 - keep) * found * found
    trust.pooled[EDGE_WEIGHT] = keep * trust.pooled[EDGE_WEIGHT] + 1.0 - keep
    _teach(trust, status, paid, posterior, parameters, sd)
    _tell_apart(trust, status, parameters.idle_prior)
    slots, switch = trust.memory.shape[0], parameters.memory_switch_rate
    for v in range(slots):
        trust.memory_belief[v] = (1.0 - switch) * trust.memory_belief[v] + switch / slots


@kernel
def _tell_apart(trust: Trust, status: np.ndarray, idle_prior: float) -> None:
    """Fold memories that hold the same into the first of them; the others begin anew.

    Without it several memories learn one regime, and the belief that it has ended is split.
    """
    slots = trust.memory.shape[0]
    first = trust.candidate.shape[1] - slots
    size = np.empty(slots)
    for v in range(slots):
        size[v] = dot(trust.memory[v], trust.memory[v])
    for v in range(slots):
        for u in range(v):
            product = dot(trust.memory[u], trust.memory[v])
            if product * product > _SAME * size[u] * size[v]:
                anchor_weights(status, idle_prior, trust.memory[v])
                trust.memory_belief[u] += trust.memory_belief[v]
                trust.memory_belief[v] = 0.0
                for q in range(trust.candidate.shape[0]):
                    trust.candidate[q, first + u] += trust.candidate[q, first + v]
                    trust.candidate[q, first + v] = 0.0
                tempo.fold(trust, u, v)
                break


@kernel
def _teach(
    trust: Trust,
    status: np.ndarray,
    paid: np.ndarray,
    posterior: np.ndarray,
    parameters: TrustParameters,
    sd: float,
) -> None:
    """Reinforce the learners with trust.payoff, the regimes' vectors and memories with paid."""
    size = trust.payoff.shape[0]
    penalty, nothing, anchor = np.empty(size), np.zeros(size), np.empty(size)
    for k in range(size):
        penalty[k] = 0.5 * trust.variance[k] / trust.pooled[VARIANCE_WEIGHT]
    anchor_weights(status, parameters.idle_prior, anchor)
    for j in range(trust.learner.shape[0]):
        _reinforce(trust.learner[j], trust.payoff, penalty, parameters.edge[j] / sd, 1.0)
        share = parameters.share[j]
        for k in range(size):
            trust.learner[j, k] = (1.0 - share) * trust.learner[j, k] + share * anchor[k]
    for z in range(trust.regime.shape[0]):
        _reinforce(trust.regime[z], paid, nothing, _MEMORY_EDGE / sd, posterior[z])
        _floor(trust.regime[z], status, _MEMORY_FLOOR)
    for v in range(trust.memory.shape[0]):
        belief = trust.memory_belief[v]
        if belief > 1e-3:
            _reinforce(trust.memory[v], paid, nothing, _MEMORY_EDGE / sd, belief)
            _floor(trust.memory[v], status, _MEMORY_FLOOR)


@kernel
def _is_on(candidate: int, learners: int, parameters: TrustParameters) -> bool:
    """Return whether a candidate may be believed: learners, queen's mixture, contrary, memories."""
    if candidate < learners:
        return True
    if candidate == learners:
        return parameters.regime_enabled
    return parameters.contrary_enabled if candidate == learners + 1 else parameters.memory_enabled


@kernel
def blend(
    trust: Trust, status: np.ndarray, posterior: np.ndarray, parameters: TrustParameters
) -> None:
    """Write trust.weight [K + 1]: the candidates mixed by the sharpened belief in them."""
    anchor_weights(status, parameters.idle_prior, trust.weight)
    if not parameters.enabled:
        return
    learners, slots = trust.learner.shape[0], trust.memory.shape[0]
    share = np.zeros(trust.candidate.shape[1])
    top = 0.0
    for e in range(share.shape[0]):
        if _is_on(e, learners, parameters):
            for q in range(trust.candidate.shape[0]):
                share[e] += trust.candidate[q, e]
        top = max(top, share[e])
    total = 0.0
    for e in range(share.shape[0]):
        ratio = share[e] / top
        ratio *= ratio
        ratio *= ratio
        share[e] = ratio * ratio  # the eighth power; 4 and 16 differ by less than 0.5 %
        total += share[e]
    weight = trust.weight
    weight[:] = 0.0
    for j in range(learners):
        _add_scaled(weight, trust.learner[j], float(share[j] / total))
    for z in range(trust.regime.shape[0]):
        _add_scaled(weight, trust.regime[z], float(share[learners] / total * posterior[z]))
    for v in range(slots):
        _add_scaled(weight, trust.memory[v], float(share[learners + 2 + v] / total))
    weight[_contrary(trust)] += share[learners + 1] / total


@kernel
def _add_scaled(out: np.ndarray, vector: np.ndarray, share: float) -> None:
    for k in range(out.shape[0]):
        out[k] += share * vector[k]
