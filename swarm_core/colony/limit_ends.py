"""When the programme of the limits is settled, and what is taken off where a limit is passed.

Limits are rows as constraints.py lays them out: members, first, last, the sign of each and its
bound; y [N] are the sizes of the weights.
"""

import numpy as np

from swarm_core.colony.compiled import kernel

_SLACK = 1e-9  # of NAV: how far a limit may be passed by rounding
_STILL = 1e-11  # of NAV: by what weights move, and limits are passed, where all is settled
_GAP = 1e-13  # of the loss: between the programme and its dual, where all is settled


@kernel
def exposure(
    y: np.ndarray, sign: np.ndarray, members: np.ndarray, first: int, last: int, signed: float
) -> float:
    total = 0.0
    for at in range(first, last):
        i = members[at]
        total += y[i] if signed == 0.0 else signed * sign[i] * y[i]
    return float(total)


@kernel
def is_settled(
    dual: np.ndarray, y: np.ndarray, before: np.ndarray, size: np.ndarray, importance: np.ndarray,
    sign: np.ndarray, members: np.ndarray, first: np.ndarray, last: np.ndarray,
    signed: np.ndarray, bound: np.ndarray,
) -> bool:  # fmt: skip
    """Return whether y [N] is the solution although prices still move: limits that repeat each
    other share their prices in more than one way.

    y is the best at its prices, so it solves the programme where it keeps the limits and no price
    stands on a limit that is not reached.
    """
    loss = 0.0
    for i in range(y.shape[0]):
        if abs(y[i] - before[i]) > _STILL:
            return False
        loss += 0.5 * importance[i] * (y[i] - size[i]) * (y[i] - size[i])
    gap = 0.0
    for c in range(dual.shape[0]):
        room = bound[c] - exposure(y, sign, members, first[c], last[c], signed[c])
        if room < -_STILL:
            return False
        gap += dual[c] * abs(room)
    return gap <= _GAP * (1.0 + loss)


@kernel
def shrink_inside(
    y: np.ndarray, sign: np.ndarray, members: np.ndarray, first: np.ndarray, last: np.ndarray,
    signed: np.ndarray, bound: np.ndarray,
) -> bool:  # fmt: skip
    """Take what is over each limit from those that push it there; return whether any was.

    Where a net limit is passed only its own side shrinks, by as much as it is passed: to shrink
    the whole book in proportion would close it for a rounding error over a limit of zero. Taking
    from one side may pass the limit of another side, by as much at most, so this is repeated.
    """
    passed = False
    for c in range(bound.shape[0]):
        held = exposure(y, sign, members, first[c], last[c], signed[c])
        if held <= bound[c] + 0.5 * _SLACK:
            continue
        passed = True
        pushing = 0.0
        for at in range(first[c], last[c]):
            i = members[at]
            pushing += y[i] if signed[c] * sign[i] >= 0.0 else 0.0
        keep = max(1.0 - (held - bound[c]) / pushing, 0.0)
        for at in range(first[c], last[c]):
            i = members[at]
            y[i] *= keep if signed[c] * sign[i] >= 0.0 else 1.0
    return passed


@kernel
def scale_inside(
    weights: np.ndarray,
    sector: np.ndarray,
    currency: np.ndarray,
    sectors: int,
    currencies: int,
    bound: np.ndarray,
) -> None:
    by_sector, by_currency = np.zeros(sectors), np.zeros(currencies)
    for i in range(weights.shape[0]):
        by_sector[sector[i]] += abs(weights[i])
    for i in range(weights.shape[0]):
        weights[i] *= _fraction(float(by_sector[sector[i]]), float(bound[3 + sector[i]]))
    gross = net = 0.0
    for i in range(weights.shape[0]):
        gross += abs(weights[i])
        net += weights[i]
        by_currency[currency[i]] += weights[i]
    side = 1 if net > 0.0 else 2
    worst = min(_fraction(gross, bound[0]), _fraction(abs(net), bound[side]))
    for g in range(currencies):
        side = 0 if by_currency[g] > 0.0 else 1
        row = 3 + sectors + 2 * g + side
        worst = min(worst, _fraction(abs(by_currency[g]), bound[row]))
    for i in range(weights.shape[0]):
        weights[i] *= worst


@kernel
def _fraction(value: float, limit: float) -> float:
    """Return what a value must be multiplied by to keep its limit, to within the slack.

    Without the slack a rounding error over a limit of zero would close the whole book.
    """
    return limit / value if value > limit + _SLACK else 1.0
