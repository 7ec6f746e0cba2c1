"""Who is believed: fixed-share learners, memories of regimes, and a filter that picks among them.

Every candidate is a trust vector over K scouts and an idle one that pays nothing. A learner is
fixed-share with the payoff's own scale (Herbster & Warmuth 1998):

    w[k] <- w[k] exp(e r[k] / s - e^2 v[k] / 2 s^2),   w <- w / sum(w),   w <- (1 - a) w + a anchor

where s^2 is the pooled payoff variance: the factor is the likelihood ratio of "this scout earns e
standard deviations a bar" against "it earns nothing", and e / s is the eta of Hedge.

A memory learns the same way, but only from the bars that the payoffs say are its own: with q the
filtered chance of memory v, w[v] moves by q[v] times the log factor and does not leak. That keeps
what a regime taught while another one reigns, as mixing past posteriors does (Bousquet & Warmuth
2002), in the form of a hidden Markov model over trust vectors. The last filter mixes all
candidates by how they paid lately; because payoff is linear in trust, the best answer to a belief
is its mode and not its mean, so the belief is sharpened before it is used.
"""

import math

import numpy as np

from swarm_core.colony.arithmetic import dot, exp, log
from swarm_core.colony.compiled import kernel
from swarm_core.colony.parameters import TrustParameters
from swarm_core.colony.state import EMPTY, Trust

VARIANCE, VARIANCE_WEIGHT, EDGE, EDGE_WEIGHT = 0, 1, 2, 3
SHARPNESS = 8.0  # power of the belief; docs/colony.md shows that 4 to 16 differ by less than 0.5 %
MEMORY_EDGE = 0.5
MEMORY_FLOOR = 3e-7  # e^-15: deep enough for 10,000 scouts, shallow enough to be left again
EDGE_MIN, EDGE_MAX = 0.3, 1.0


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
    total = 0.0
    for k in range(weight.shape[0]):
        if weight[k] > 0.0:
            weight[k] *= exp(responsibility * rate * (payoff[k] - rate * penalty[k]))
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
def _filter(
    belief: np.ndarray, payoff: np.ndarray, variance: np.ndarray, rate: float, switch: float
) -> None:
    """One step of a hidden Markov filter whose states pay `payoff`, with even switching."""
    top = -math.inf
    states = belief.shape[0]
    evidence = np.empty(states)
    for e in range(states):
        evidence[e] = log(belief[e]) + rate * (payoff[e] - 0.5 * rate * variance[e])
        top = max(top, evidence[e])
    total = 0.0
    for e in range(states):
        belief[e] = exp(evidence[e] - top)
        total += belief[e]
    for e in range(states):
        belief[e] = (1.0 - switch) * belief[e] / total + switch / states


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
def _candidate_payoffs(trust: Trust, posterior: np.ndarray, out: np.ndarray) -> None:
    learners, regimes = trust.learner.shape[0], trust.regime.shape[0]
    for j in range(learners):
        out[j] = dot(trust.learner[j], trust.payoff)
    mixed = 0.0
    for z in range(regimes):
        mixed += posterior[z] * dot(trust.regime[z], trust.payoff)
    out[learners] = mixed
    for v in range(trust.memory.shape[0]):
        out[learners + 1 + v] = dot(trust.memory[v], trust.payoff)


@kernel
def learn(
    trust: Trust, status: np.ndarray, posterior: np.ndarray, parameters: TrustParameters
) -> None:
    """Learn from trust.payoff [K + 1] of the bar that just closed.

    posterior[Z] is the queen's belief over regimes at the time the convictions were formed.
    """
    sd = _measure(trust, status, parameters.variance_keep)
    if not sd > 1e-12:
        return
    learners, slots = trust.learner.shape[0], trust.memory.shape[0]
    candidates = trust.candidate.shape[0]
    payoff = np.empty(candidates)
    _candidate_payoffs(trust, posterior, payoff)
    weight = trust.pooled[VARIANCE_WEIGHT]
    edge = 1.0 / max(trust.pooled[EDGE_WEIGHT], 1e-12) * trust.pooled[EDGE] / sd
    rate = min(max(1.2 * edge, EDGE_MIN), EDGE_MAX) / sd
    spread = np.empty(candidates)
    for e in range(candidates):
        keep = parameters.variance_keep
        trust.candidate_variance[e] = (
            keep * trust.candidate_variance[e] + (1.0 - keep) * payoff[e] * payoff[e]
        )
        spread[e] = trust.candidate_variance[e] / weight
    _filter(trust.candidate, payoff, spread, rate, parameters.switch_rate)
    first = learners + 1
    _filter(trust.memory_belief, payoff[first:], spread[first:], rate, 0.0)
    found = 0.0
    for v in range(slots):
        found += trust.memory_belief[v] * payoff[first + v]
    keep = parameters.variance_keep
    trust.pooled[EDGE] = keep * trust.pooled[EDGE] + (1.0 - keep) * found
    trust.pooled[EDGE_WEIGHT] = keep * trust.pooled[EDGE_WEIGHT] + 1.0 - keep
    _teach(trust, status, posterior, parameters, sd)
    for v in range(slots):
        even = parameters.switch_rate / slots
        trust.memory_belief[v] = (1.0 - parameters.switch_rate) * trust.memory_belief[v] + even


@kernel
def _teach(
    trust: Trust,
    status: np.ndarray,
    posterior: np.ndarray,
    parameters: TrustParameters,
    sd: float,
) -> None:
    """Reinforce the learners, the regimes' vectors and the memories with trust.payoff."""
    size = trust.payoff.shape[0]
    penalty, anchor = np.empty(size), np.empty(size)
    for k in range(size):
        penalty[k] = 0.5 * trust.variance[k] / trust.pooled[VARIANCE_WEIGHT]
    anchor_weights(status, parameters.idle_prior, anchor)
    for j in range(trust.learner.shape[0]):
        _reinforce(trust.learner[j], trust.payoff, penalty, parameters.edge[j] / sd, 1.0)
        share = parameters.share[j]
        for k in range(size):
            trust.learner[j, k] = (1.0 - share) * trust.learner[j, k] + share * anchor[k]
    for z in range(trust.regime.shape[0]):
        _reinforce(trust.regime[z], trust.payoff, penalty, MEMORY_EDGE / sd, posterior[z])
        _floor(trust.regime[z], status, MEMORY_FLOOR)
    for v in range(trust.memory.shape[0]):
        belief = trust.memory_belief[v]
        if belief > 1e-3:
            _reinforce(trust.memory[v], trust.payoff, penalty, MEMORY_EDGE / sd, belief)
            _floor(trust.memory[v], status, MEMORY_FLOOR)


@kernel
def blend(
    trust: Trust, status: np.ndarray, posterior: np.ndarray, parameters: TrustParameters
) -> None:
    """Write trust.weight [K + 1]: the candidates mixed by the sharpened belief in them."""
    anchor_weights(status, parameters.idle_prior, trust.weight)
    if not parameters.enabled:
        return
    learners, slots = trust.learner.shape[0], trust.memory.shape[0]
    share = np.zeros(trust.candidate.shape[0])
    top = 0.0
    for e in range(share.shape[0]):
        allowed = e < learners or (
            parameters.regime_enabled if e == learners else parameters.memory_enabled
        )
        share[e] = trust.candidate[e] if allowed else 0.0
        top = max(top, share[e])
    total = 0.0
    for e in range(share.shape[0]):
        ratio = share[e] / top
        ratio *= ratio
        ratio *= ratio
        share[e] = ratio * ratio  # SHARPNESS = 8
        total += share[e]
    weight = trust.weight
    weight[:] = 0.0
    for j in range(learners):
        _add_scaled(weight, trust.learner[j], share[j] / total)
    for z in range(trust.regime.shape[0]):
        _add_scaled(weight, trust.regime[z], share[learners] / total * posterior[z])
    for v in range(slots):
        _add_scaled(weight, trust.memory[v], share[learners + 1 + v] / total)


@kernel
def _add_scaled(out: np.ndarray, vector: np.ndarray, share: float) -> None:
    for k in range(out.shape[0]):
        out[k] += share * vector[k]
