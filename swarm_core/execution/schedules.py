"""How an order is spread over time: TWAP, VWAP, POV and Almgren-Chriss, as whole lots per slice."""

from dataclasses import dataclass
from enum import Enum
from math import isfinite, log, sqrt

import numpy as np
from numpy.typing import NDArray

from swarm_core.execution.costs import (
    ExpectedCost,
    ImpactModel,
    MarketSlice,
    expected_cost,
)

Floats = NDArray[np.float64]
Lots = NDArray[np.int64]
_ROUNDING = 1e-12  # of the room that a share of the volume gives


class ScheduleKind(Enum):
    """The ways of working an order."""

    AT_ONCE = "at_once"  # whole in the first slice
    TWAP = "twap"  # evenly over time
    VWAP = "vwap"  # in proportion to the volume expected in each slice
    POV = "pov"  # a fixed share of the volume until it is done
    ALMGREN_CHRISS = "almgren_chriss"  # the best trade-off of impact and risk


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Lots to trade in each slice [M]; they add up to the order less `unfilled`."""

    kind: ScheduleKind
    lots: Lots
    unfilled: int  # lots that the slices have no room for (POV alone)


def whole_lots(shape: Floats, total: int) -> Lots:
    """Return whole lots in proportion to `shape` [M] that add up to `total` exactly.

    The running sum is rounded, so no slice is more than one lot off. Raises ValueError where the
    shape is negative, not finite or sums to nothing, or the total is negative.
    """
    if total < 0:
        raise ValueError(f"total must not be negative, was {total}")
    mass = float(shape.sum()) if len(shape) else 0.0
    if not (isfinite(mass) and mass > 0.0 and (shape >= 0.0).all()):
        raise ValueError(f"shape must be non-negative with a positive sum, was {shape.tolist()}")
    # Summed in turn, a shape may come out a bit above its sum: of very many lots that is one.
    running = np.minimum(np.rint(np.cumsum(shape) / mass * total).astype(np.int64), total)
    running[-1] = total
    return np.diff(running, prepend=0)


def at_once(lots: int, slices: int) -> Schedule:
    """Return a schedule that sends everything in the first slice."""
    shape = np.zeros(_checked(slices))
    shape[0] = 1.0
    return Schedule(kind=ScheduleKind.AT_ONCE, lots=whole_lots(shape, lots), unfilled=0)


def twap(lots: int, slices: int) -> Schedule:
    """Return an even schedule."""
    return Schedule(
        kind=ScheduleKind.TWAP, lots=whole_lots(np.ones(_checked(slices)), lots), unfilled=0
    )


def vwap(lots: int, volume: Floats) -> Schedule:
    """Return a schedule in proportion to the volume [M] expected (Berkowitz et al. 1988)."""
    return Schedule(kind=ScheduleKind.VWAP, lots=whole_lots(volume, lots), unfilled=0)


def pov(lots: int, volume: Floats, participation: float) -> Schedule:
    """Return a schedule of a share of the volume [M, lots] in each slice until the order is done.

    Volume that is not a positive number gives no room. Raises ValueError where the participation
    is not in (0, 1] or the lots are negative.
    """
    if not 0.0 < participation <= 1.0:
        raise ValueError(f"participation must be in (0, 1], was {participation}")
    if lots < 0:
        raise ValueError(f"lots must not be negative, were {lots}")
    known = np.where(np.isfinite(volume), np.maximum(volume, 0.0), 0.0)
    # 0.29 lies a bit below itself, and of 100 lots is 29 all the same.
    room = np.floor(np.cumsum(known) * participation * (1.0 + _ROUNDING))
    running = np.where(room < lots, room, 0.0).astype(np.int64)
    running[room >= lots] = lots
    done = int(running[-1]) if len(running) else 0
    return Schedule(kind=ScheduleKind.POV, lots=np.diff(running, prepend=0), unfilled=lots - done)


def almgren_chriss(lots: int, slices: int, kappa: float) -> Schedule:
    """Return the schedule whose holdings fall like sinh(kappa (M - j)) / sinh(kappa M).

    kappa is per slice (Almgren & Chriss 2000, equation 17); at 0 it is TWAP, and the larger it is
    the earlier the order is done. Raises ValueError where it is negative or not finite.
    """
    if not (isfinite(kappa) and kappa >= 0.0):
        raise ValueError(f"kappa must be finite and not negative, was {kappa}")
    m = _checked(slices)
    if kappa * m < 1e-6:
        return Schedule(kind=ScheduleKind.ALMGREN_CHRISS, lots=twap(lots, slices).lots, unfilled=0)
    # sinh(a) / sinh(b) by exponentials that cannot overflow.
    left = kappa * (m - np.arange(m + 1))
    held = np.exp(left - kappa * m) * -np.expm1(-2.0 * left) / -np.expm1(-2.0 * kappa * m)
    shape = np.maximum(-np.diff(held), 0.0)
    return Schedule(kind=ScheduleKind.ALMGREN_CHRISS, lots=whole_lots(shape, lots), unfilled=0)


def best_kappa(model: ImpactModel, sigma_slice: float, risk_aversion: float) -> float:
    """Return kappa per slice, arccosh(1 + kappa~^2 / 2) with kappa~^2 = lambda sigma^2 / eta.

    eta is the temporary impact per lot less half of the permanent one (Almgren & Chriss 2000,
    equation 16); sigma_slice is the price's move over a slice, in currency per lot. Raises
    ValueError where eta is not positive or the risk aversion is negative or not finite.
    """
    if not (isfinite(risk_aversion) and risk_aversion >= 0.0):
        raise ValueError(f"risk_aversion must be finite and not negative, was {risk_aversion}")
    eta = model.temporary_per_lot - 0.5 * model.permanent_per_lot
    if eta <= 0.0:
        raise ValueError(f"temporary impact must exceed half the permanent, eta was {eta}")
    half = 0.5 * risk_aversion * sigma_slice**2 / eta
    x = 1.0 + half
    return log(x + sqrt(x * x - 1.0))


def choose(
    lots: int,
    market: MarketSlice,
    model: ImpactModel,
    *,
    risk_aversion: float = 1e-6,
    participation: float = 0.1,
) -> tuple[Schedule, ExpectedCost]:
    """Return the schedule of the least expected cost plus risk_aversion times its variance.

    The price of each candidate is swarm_core.execution.costs.expected_cost; one that would leave
    lots unfilled does not compete, and of equals the earlier is taken: nothing is worked that gains
    nothing by it. Raises ValueError where the temporary impact is not above half the permanent.
    """
    slices = len(market.volume)
    kappa = best_kappa(model, market.sigma_slice, risk_aversion)
    candidates = [
        at_once(lots, slices),
        twap(lots, slices),
        vwap(lots, market.volume),
        almgren_chriss(lots, slices, kappa),
        pov(lots, market.volume, participation),
    ]
    whole = [c for c in candidates if c.unfilled == 0]
    priced = [(expected_cost(c.lots, market, model), c) for c in whole]
    cost, best = min(priced, key=lambda pair: pair[0].mean + risk_aversion * pair[0].variance)
    return best, cost


def _checked(slices: int) -> int:
    if slices < 1:
        raise ValueError(f"slices must be at least 1, was {slices}")
    return slices
