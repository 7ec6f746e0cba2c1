"""The scouts at work: columns to convictions, convictions to payoffs; K scouts, N instruments."""

import math

import numpy as np

from swarm_core.colony.arithmetic import squash
from swarm_core.colony.compiled import kernel
from swarm_core.colony.state import EMPTY, Scouts

_FOLLOW, _HUMP = 0, 1
_ONE = np.float32(1.0)
_TWO = np.float32(2.0)
_ZERO = np.float32(0.0)


@kernel
def gate_value(gate: int, gain: float, center: float, market: np.ndarray) -> float:
    """Return the share in [0, 1] that a gate lets through; what is not known closes it."""
    if gate < 0:
        return 1.0
    value = market[gate]
    if value != value:
        return 0.0
    return 0.5 * (1.0 + squash(gain * (value - center)))


@kernel
def shape_row(
    shape: int, gain: np.float32, center: np.float32, column: np.ndarray, out: np.ndarray
) -> None:
    """Fill out[N] with the conviction of one scout (see sense.Shape); NaN in the column gives 0."""
    n = column.shape[0]
    if shape == _FOLLOW:
        for i in range(n):
            x = gain * (column[i] - center)
            y = x / np.sqrt(_ONE + x * x)
            out[i] = y if y == y else _ZERO
    elif shape == _HUMP:
        for i in range(n):
            x = gain * (column[i] - center)
            y = _TWO * x / (_ONE + x * x)
            out[i] = y if y == y else _ZERO
    else:
        for i in range(n):
            x = gain * (column[i] - center)
            size = max(abs(x) - _ONE, _ZERO)
            y = size / np.sqrt(_ONE + size * size)
            y = y if x > _ZERO else -y
            out[i] = y if x == x else _ZERO


@kernel
def look(
    scouts: Scouts,
    columns: np.ndarray,
    market: np.ndarray,
    inverse_sigma: np.ndarray,
    cost: float,
    horizon_keep: np.ndarray,
    horizon_weight: np.ndarray,
    convictions: np.ndarray,
) -> None:
    """Let every scout look at columns [C, N] (float32, NaN: not known) and market [M].

    Fills convictions [K, N] and writes scouts.carried and scouts.cost. inverse_sigma[N] is
    1 / sigma, and 0 where the instrument cannot be traded now: there every scout abstains.
    """
    places, n = convictions.shape
    row = np.empty(n, np.float32)
    tradable = np.empty(n, np.float32)
    count = 0
    for i in range(n):
        tradable[i] = _ONE if inverse_sigma[i] > 0.0 else _ZERO
        count += inverse_sigma[i] > 0.0
    unit_cost = cost / max(count, 1)
    for k in range(places):
        if scouts.status[k] == EMPTY:
            convictions[k, :] = _ZERO
            continue
        share = gate_value(scouts.gate[k], scouts.gate_gain[k], scouts.gate_center[k], market)
        column = columns[scouts.column[k]]
        shape_row(
            scouts.shape[k], np.float32(scouts.gain[k]), np.float32(scouts.center[k]), column, row
        )
        if scouts.scale[k] >= 0:
            _multiply_clipped(row, columns[scouts.scale[k]])
        weight = np.float32(share)
        conviction = convictions[k]
        for i in range(n):
            conviction[i] = row[i] * weight * tradable[i]
        moved = 0.0
        for h in range(horizon_keep.shape[0]):
            moved += horizon_weight[h] * _carry(
                scouts.carried[h, k], conviction, np.float32(horizon_keep[h]), inverse_sigma
            )
        scouts.cost[k] = unit_cost * moved


@kernel
def _multiply_clipped(row: np.ndarray, scale: np.ndarray) -> None:
    for i in range(row.shape[0]):
        value = min(max(scale[i], _ZERO), _ONE)
        row[i] = row[i] * value if scale[i] == scale[i] else _ZERO


@kernel
def _carry(
    carried: np.ndarray, conviction: np.ndarray, keep: np.float32, inverse_sigma: np.ndarray
) -> float:
    """Move one row of positions toward the conviction; return the turnover in units of 1 / sigma.

    A position of mean age h made of all past convictions is the overlapping portfolio of
    Jegadeesh & Titman (1993); with h = 1 it is the conviction itself.
    """
    fresh = _ONE - keep
    n = conviction.shape[0]
    s0 = s1 = s2 = s3 = 0.0
    whole = n - n % 4
    for i in range(0, whole, 4):
        s0 += _move(carried, conviction, keep, fresh, i) * inverse_sigma[i]
        s1 += _move(carried, conviction, keep, fresh, i + 1) * inverse_sigma[i + 1]
        s2 += _move(carried, conviction, keep, fresh, i + 2) * inverse_sigma[i + 2]
        s3 += _move(carried, conviction, keep, fresh, i + 3) * inverse_sigma[i + 3]
    for i in range(whole, n):
        s0 += _move(carried, conviction, keep, fresh, i) * inverse_sigma[i]
    return (s0 + s1) + (s2 + s3)


@kernel
def _move(
    carried: np.ndarray, conviction: np.ndarray, keep: np.float32, fresh: np.float32, i: int
) -> np.float32:
    old = carried[i]
    carried[i] = keep * old + fresh * conviction[i]
    return abs(carried[i] - old)


@kernel
def reward(
    scouts: Scouts, outcome: np.ndarray, horizon_weight: np.ndarray, payoff: np.ndarray
) -> bool:
    """Fill payoff[K] with r[k] = mean_i(s[k,i] x[i]) - cost[k] of the bar that just closed.

    x[N] is the outcome in sigmas, NaN where it is missing: those instruments are left out of the
    mean. Returns False, with nothing written, where no outcome is known.
    """
    n = outcome.shape[0]
    known = np.empty(n, np.float64)
    count = 0
    for i in range(n):
        present = outcome[i] == outcome[i]
        known[i] = outcome[i] if present else 0.0
        count += present
    if count == 0:
        return False
    for k in range(scouts.status.shape[0]):
        total = 0.0
        if scouts.status[k] != EMPTY:
            for h in range(horizon_weight.shape[0]):
                total += horizon_weight[h] * _pay(scouts.carried[h, k], known)
            total = total / count - scouts.cost[k]
        payoff[k] = total
    return True


@kernel
def _pay(position: np.ndarray, outcome: np.ndarray) -> float:
    n = position.shape[0]
    whole = n - n % 4
    s0 = s1 = s2 = s3 = 0.0
    for i in range(0, whole, 4):
        s0 += position[i] * outcome[i]
        s1 += position[i + 1] * outcome[i + 1]
        s2 += position[i + 2] * outcome[i + 2]
        s3 += position[i + 3] * outcome[i + 3]
    for i in range(whole, n):
        s0 += position[i] * outcome[i]
    return (s0 + s1) + (s2 + s3)


@kernel
def combine(
    scouts: Scouts,
    convictions: np.ndarray,
    trust: np.ndarray,
    by_sense: np.ndarray,
    conviction: np.ndarray,
) -> None:
    """Fill by_sense [S, N] with each sense's trust-weighted convictions and conviction [N] with
    their sum."""
    by_sense[:] = 0.0
    for k in range(scouts.status.shape[0]):
        weight = trust[k]
        if scouts.status[k] != EMPTY and weight > 0.0:
            row, sense = convictions[k], by_sense[scouts.sense[k]]
            for i in range(row.shape[0]):
                sense[i] += weight * row[i]
    conviction[:] = 0.0
    for s in range(by_sense.shape[0]):
        for i in range(conviction.shape[0]):
            conviction[i] += by_sense[s, i]
    for i in range(conviction.shape[0]):
        if not math.isfinite(conviction[i]):
            conviction[i] = 0.0
