"""How long regimes last and which follows which: a hidden semi-Markov filter over the memories.

A hidden Markov model forgets how long a regime has reigned: its chance to end is the same on every
bar. Here the chance depends on the age of the regime (explicit duration, Ferguson 1980; Yu 2010),
and is learned from the durations seen. A duration d is foretold by a mixture: a geometric law, for
markets that turn at random, and logistic laws around the mean log duration with several relative
widths, for markets that keep time. The mixture's weights follow Bayes' rule at the end of each
regime, so where durations are random the filter becomes the hidden Markov model again.

When a regime began is told by Page's cumulative sum (1954): the log-likelihood ratio of a memory
against the reigning one, started anew whenever it falls to zero. The regime that takes over began
where its sum last left zero, although it was noticed only some bars later.
"""

import math

import numpy as np

from swarm_core.colony.arithmetic import exp, log
from swarm_core.colony.compiled import kernel
from swarm_core.colony.state import Trust

# Places of Trust.tempo: the reigning memory, its age, mean log duration and the weight behind it,
# mean duration of the geometric law and its weight, then the mixture's weights, geometric first.
HELD, AGE, LOG_MEAN, LOG_WEIGHT, MEAN, MEAN_WEIGHT, MIXTURE = 0, 1, 2, 3, 4, 5, 6
WIDTHS = np.array([0.004, 0.02, 0.1, 0.4])  # of the logistic laws, relative to the duration
SIZE = MIXTURE + 1 + WIDTHS.shape[0]
_PRIOR_BARS = 250.0  # mean duration before any was seen
_PRIOR_REGULAR = 0.4  # chance, before any was seen, that a market keeps time
_TURN_ERROR_BARS = 1.0  # how well the beginning of a regime is told
_CONFIRMED = 0.99  # belief at which a memory takes over the reign
_COUNT_MAX = 8.0  # durations remembered: older ones fade
_FADE = 0.05  # of the mixture's weights toward the prior, at each duration
_FALSE_ALARM = 0.0005  # chance per bar that what is not reigning falls back to what is
_TURN_PRIOR = 0.3  # pseudo-count of each possible successor


def found_tempo() -> np.ndarray:
    """Return the tempo [SIZE] of a colony that has seen no regime end."""
    tempo = np.zeros(SIZE)
    tempo[HELD], tempo[MEAN], tempo[MEAN_WEIGHT] = -1.0, _PRIOR_BARS, 0.5
    tempo[MIXTURE] = 1.0 - _PRIOR_REGULAR
    tempo[MIXTURE + 1 :] = _PRIOR_REGULAR / WIDTHS.shape[0]
    return tempo


@kernel
def _width(tempo: np.ndarray, j: int) -> float:
    """Return the width in bars of logistic law j, the uncertainty of its centre included."""
    bars = exp(tempo[LOG_MEAN])
    relative = WIDTHS[j] * bars
    centre = 1.0 + 1.0 / max(tempo[LOG_WEIGHT], 1.0)
    return math.sqrt((_TURN_ERROR_BARS * _TURN_ERROR_BARS + relative * relative) * centre)


@kernel
def hazard(tempo: np.ndarray, age: float) -> float:
    """Return the chance that the regime ends on its bar `age`, having lasted until then."""
    rate = 1.0 / max(tempo[MEAN], 2.0)
    alive = tempo[MIXTURE] * exp(-rate * age)
    ends = alive * rate
    if tempo[LOG_WEIGHT] > 0.0:
        centre = exp(tempo[LOG_MEAN])
        for j in range(WIDTHS.shape[0]):
            width = _width(tempo, j)
            before = 1.0 / (1.0 + exp((age - 0.5 - centre) / width))
            after = 1.0 / (1.0 + exp((age + 0.5 - centre) / width))
            alive += tempo[MIXTURE + 1 + j] * before
            ends += tempo[MIXTURE + 1 + j] * (before - after)
    return min(ends / alive, 0.9) if alive > 1e-300 else rate


@kernel
def learn_duration(tempo: np.ndarray, bars: float) -> None:
    """Bayes' rule for the mixture, then the laws' own centres, from one duration that ended."""
    d = max(bars, 1.0)
    rate = 1.0 / max(tempo[MEAN], 2.0)
    regular = 1.0
    if tempo[LOG_WEIGHT] > 0.0:
        centre = exp(tempo[LOG_MEAN])
        tempo[MIXTURE] *= rate * exp(-rate * d)
        total = tempo[MIXTURE]
        for j in range(WIDTHS.shape[0]):
            width = _width(tempo, j)
            below = 1.0 / (1.0 + exp(-(d - 0.5 - centre) / width))
            above = 1.0 / (1.0 + exp(-(d + 0.5 - centre) / width))
            tempo[MIXTURE + 1 + j] *= max(above - below, 1e-12)
            total += tempo[MIXTURE + 1 + j]
        regular = 1.0 - tempo[MIXTURE] / total
        for j in range(1 + WIDTHS.shape[0]):
            even = _PRIOR_REGULAR / WIDTHS.shape[0] if j > 0 else 1.0 - _PRIOR_REGULAR
            tempo[MIXTURE + j] = (1.0 - _FADE) * tempo[MIXTURE + j] / total + _FADE * even
    weight = tempo[LOG_WEIGHT] + regular
    tempo[LOG_MEAN] += regular / weight * (log(d) - tempo[LOG_MEAN])
    tempo[LOG_WEIGHT] = min(weight, _COUNT_MAX)
    tempo[MEAN_WEIGHT] += 1.0
    tempo[MEAN] += (d - tempo[MEAN]) / tempo[MEAN_WEIGHT]
    tempo[MEAN_WEIGHT] = min(tempo[MEAN_WEIGHT], _COUNT_MAX)


@kernel
def foretell(trust: Trust, row: np.ndarray) -> None:
    """Move the belief row[V] over memories to the next bar: who reigns may end, and who follows."""
    tempo, slots = trust.tempo, row.shape[0]
    held = int(tempo[HELD])
    if held < 0:
        mass = 0.0
        for v in range(slots):
            mass += row[v]
        rate = 1.0 / tempo[MEAN]
        for v in range(slots):
            row[v] = (1.0 - rate) * row[v] + rate * mass / slots
        return
    ends = hazard(tempo, tempo[AGE])
    known = 0.0
    for v in range(slots):
        if v != held:
            known += trust.succession[held, v] + _TURN_PRIOR
    leaving = ends * row[held]
    back = 0.0
    for v in range(slots):
        if v != held:
            back += _FALSE_ALARM * row[v]
            row[v] -= _FALSE_ALARM * row[v]
            row[v] += leaving * (trust.succession[held, v] + _TURN_PRIOR) / known
    row[held] += back - leaving


@kernel
def watch_reign(trust: Trust, row: np.ndarray, payoff: np.ndarray, rate: float) -> None:
    """Follow the sums of payoff[V] against the reigning memory; crown who is believed enough."""
    tempo, slots = trust.tempo, row.shape[0]
    mass, best = 0.0, 0
    for v in range(slots):
        mass += row[v]
        if row[v] > row[best]:
            best = v
    held = int(tempo[HELD])
    tempo[AGE] += 1.0
    if held < 0:
        if row[best] > _CONFIRMED * mass:
            tempo[HELD] = best
        return
    for v in range(slots):
        sum_ = trust.excursion[0, v] + rate * (payoff[v] - payoff[held])
        if v == held or not sum_ > 0.0:
            trust.excursion[0, v], trust.excursion[1, v] = 0.0, 0.0
        else:
            trust.excursion[0, v] = sum_
            trust.excursion[1, v] += 1.0
    if best != held and row[best] > _CONFIRMED * mass:
        began = trust.excursion[1, best]
        learn_duration(tempo, tempo[AGE] - began)
        trust.succession[held, best] = min(trust.succession[held, best] + 1.0, _COUNT_MAX)
        tempo[HELD], tempo[AGE] = best, began
        trust.excursion[:] = 0.0


@kernel
def fold(trust: Trust, kept: int, gone: int) -> None:
    """Let memory `kept` take over the reign and the successions of memory `gone`."""
    if int(trust.tempo[HELD]) == gone:
        trust.tempo[HELD] = kept
        trust.excursion[:] = 0.0
    trust.excursion[:, gone] = 0.0
    for v in range(trust.succession.shape[0]):
        if v != kept:
            trust.succession[kept, v] += trust.succession[gone, v]
            trust.succession[v, kept] += trust.succession[v, gone]
        trust.succession[gone, v] = 0.0
        trust.succession[v, gone] = 0.0
