"""Births, mutations, dormancy and deaths of scouts: the queen's review of who earns a place."""

import math

import numpy as np

from swarm_core.colony.arithmetic import exp
from swarm_core.colony.compiled import kernel
from swarm_core.colony.parameters import LifecycleParameters
from swarm_core.colony.randomness import PURPOSE_BIRTH, normal, uniforms
from swarm_core.colony.state import ACTIVE, DORMANT, EMPTY, Scouts, Trust

_FLOOR_SHARE = 0.1  # of an even share of trust: below it a scout stands at the floor
_LIVING_MIN = 4  # in each sense's stead: the queen never lets the colony shrink below
_REACH = 4.0  # of gain x center: beyond, a column at 0 says the same whatever it becomes


@kernel
def count_floor(scouts: Scouts, trust: Trust) -> None:
    """Count, for each living scout, the bars in a row that its trust has been at the floor.

    A scout that no learner, regime or memory believes in counts; one that a memory keeps for its
    regime does not, however long that regime has been away.
    """
    places = scouts.status.shape[0]
    living = 0
    for k in range(places):
        living += scouts.status[k] != EMPTY
    floor = _FLOOR_SHARE / max(living, 1)
    for k in range(places):
        best = 0.0
        for j in range(trust.learner.shape[0]):
            best = max(best, trust.learner[j, k])
        for z in range(trust.regime.shape[0]):
            best = max(best, trust.regime[z, k])
        for v in range(trust.memory.shape[0]):
            best = max(best, trust.memory[v, k])
        scouts.floor_bars[k] = scouts.floor_bars[k] + 1 if best < floor else 0


@kernel
def review(
    scouts: Scouts,
    trust: Trust,
    gain_range: np.ndarray,
    seed: int,
    step: int,
    parameters: LifecycleParameters,
) -> None:
    """Put scouts to sleep, bury the dead, and let the trusted have young in the empty places."""
    places = scouts.status.shape[0]
    living = 0
    for k in range(places):
        living += scouts.status[k] != EMPTY
    for k in range(places):
        if scouts.status[k] == EMPTY:
            continue
        bars = scouts.floor_bars[k]
        if bars >= parameters.dead_after_bars and living > _LIVING_MIN:
            _bury(scouts, trust, k)
            living -= 1
        elif bars >= parameters.dormant_after_bars:
            scouts.status[k] = DORMANT
        elif bars == 0:
            scouts.status[k] = ACTIVE
    born = 0
    for k in range(places):
        if born >= parameters.births_per_review:
            break
        if scouts.status[k] == EMPTY and _bear(
            scouts, trust, gain_range, k, seed, step, parameters
        ):
            born += 1


@kernel
def _bury(scouts: Scouts, trust: Trust, k: int) -> None:
    scouts.status[k] = EMPTY
    scouts.cost[k] = 0.0
    for h in range(scouts.carried.shape[0]):
        scouts.carried[h, k, :] = np.float32(0.0)
    _give_weight(trust, k, 0.0)
    trust.variance[k] = trust.opposite[k] = 0.0


@kernel
def _give_weight(trust: Trust, k: int, share: float) -> None:
    """Give scout k the share of every vector's mass and scale the others to the rest."""
    for vectors in (trust.learner, trust.regime, trust.memory):
        for j in range(vectors.shape[0]):
            rest = 0.0
            for m in range(vectors.shape[1]):
                rest += vectors[j, m] if m != k else 0.0
            for m in range(vectors.shape[1]):
                vectors[j, m] *= (1.0 - share) / rest
            vectors[j, k] = share


@kernel
def _choose_parent(scouts: Scouts, trust: Trust, draw: float) -> int:
    """Return a living scout drawn in proportion to the trust in it, -1 where there is none."""
    total = 0.0
    for k in range(scouts.status.shape[0]):
        total += trust.weight[k] if scouts.status[k] == ACTIVE else 0.0
    if not total > 0.0:
        return -1
    left = draw * total
    chosen = -1
    for k in range(scouts.status.shape[0]):
        if scouts.status[k] == ACTIVE and trust.weight[k] > 0.0:
            chosen = k
            left -= trust.weight[k]
            if left <= 0.0:
                break
    return chosen


@kernel
def _bear(
    scouts: Scouts,
    trust: Trust,
    gain_range: np.ndarray,
    k: int,
    seed: int,
    step: int,
    parameters: LifecycleParameters,
) -> bool:
    """Fill place k with a child: the column of one trusted scout, the rest of its sense's other.

    Its gain stays in the sense's range, and its center within _REACH of 0 in units of 1 / gain, or
    no further than its mother's.
    """
    first, second = uniforms(seed, step, PURPOSE_BIRTH, 2 * k)
    mother = _choose_parent(scouts, trust, first)
    if mother < 0:
        return False
    father = _choose_parent(scouts, trust, second)
    if scouts.sense[father] != scouts.sense[mother]:
        father = mother
    sense = scouts.sense[mother]
    scouts.sense[k], scouts.column[k] = sense, scouts.column[mother]
    scouts.scale[k], scouts.shape[k] = scouts.scale[mother], scouts.shape[father]
    scouts.gate[k] = scouts.gate[father]
    scouts.gate_gain[k] = scouts.gate_gain[father]
    scouts.gate_center[k] = scouts.gate_center[father]
    spread = parameters.mutation
    size = abs(scouts.gain[mother]) * exp(spread * normal(seed, step, PURPOSE_BIRTH, 2 * k + 1))
    size = min(max(size, gain_range[sense, 0]), gain_range[sense, 1])
    shift = spread * normal(seed, step, PURPOSE_BIRTH, 2 * k + 8192) / size
    reach = max(_REACH, abs(scouts.gain[mother] * scouts.center[mother])) / size
    # Who says nothing has silent young: explain() silences a sense by a gain of zero.
    gain = scouts.gain[mother]
    scouts.gain[k] = math.copysign(size, gain) if gain != 0.0 else 0.0
    scouts.center[k] = min(max(scouts.center[mother] + shift, -reach), reach)
    scouts.status[k] = ACTIVE
    scouts.identity[k] = scouts.births[0]
    scouts.births[0] += 1
    scouts.born_step[k] = step
    scouts.floor_bars[k] = 0
    living = 0
    for m in range(scouts.status.shape[0]):
        living += scouts.status[m] != EMPTY
    trust.variance[k] = trust.variance[mother]
    trust.opposite[k] = trust.opposite[mother]
    _give_weight(trust, k, 0.5 / living)
    return True
