"""What working an order is expected to cost, and what it did cost."""

from dataclasses import dataclass
from math import inf, isfinite

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Lots = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactModel:
    """Linear impact of trading (Almgren & Chriss 2000); money is in the instrument's currency.

    A slice of q lots pays spread_half + temporary_per_lot * q (scaled by how its volume compares
    with the mean) on each lot, and moves the price by permanent_per_lot * q for all later lots.
    """

    spread_half: float  # per lot
    temporary_per_lot: float
    permanent_per_lot: float
    fee_per_lot: float = 0.0

    def __post_init__(self) -> None:
        for name in ("spread_half", "temporary_per_lot", "permanent_per_lot", "fee_per_lot"):
            value = getattr(self, name)
            if not (isfinite(value) and value >= 0.0):
                raise ValueError(f"{name} must be finite and not negative, was {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSlice:
    """What is expected of M slices of the working time."""

    volume: Floats  # [M] lots
    sigma_slice: float  # the price's move over one slice, in currency per lot

    def __post_init__(self) -> None:
        if not ((self.volume >= 0.0).all() and 0.0 < self.volume.sum() < inf):
            raise ValueError(
                f"volume must be finite, non-negative and not all zero, was {self.volume}"
            )
        if not (isfinite(self.sigma_slice) and self.sigma_slice >= 0.0):
            raise ValueError(f"sigma_slice must be finite and >= 0, was {self.sigma_slice}")


@dataclass(frozen=True, slots=True)
class ExpectedCost:
    """Implementation shortfall against the arrival price: its mean and variance, in currency."""

    mean: float
    variance: float


def expected_cost(lots: Lots, market: MarketSlice, model: ImpactModel) -> ExpectedCost:
    """Return the expected shortfall of trading lots[M] (Almgren & Chriss 2000, equations 4, 5).

    Temporary impact is scaled by mean volume / slice volume: the same lots press a thin slice
    harder. A slice without volume counts as a hundredth of the mean.
    """
    if lots.shape != market.volume.shape:
        raise ValueError(f"lots must have the shape {market.volume.shape}, was {lots.shape}")
    q = lots.astype(np.float64)
    mean_volume = float(market.volume.mean())
    thinness = mean_volume / np.maximum(market.volume, 0.01 * mean_volume)
    left = q.sum() - np.cumsum(q)
    temporary = float((q * q * thinness).sum()) * model.temporary_per_lot
    permanent = float((q * left).sum()) * model.permanent_per_lot
    touch = float(np.abs(q).sum()) * (model.spread_half + model.fee_per_lot)
    variance = market.sigma_slice**2 * float((left * left).sum())
    return ExpectedCost(touch + temporary + permanent, variance)


def implementation_shortfall(
    arrival_price: float, fill_prices: Floats, fill_lots: Lots, *, buy: bool, fees: float = 0.0
) -> float:
    """Return what the fills cost against the price at the decision (Perold 1988), in currency.

    It is positive where the order was filled worse than at the arrival price.
    """
    sign = 1.0 if buy else -1.0
    return sign * float(((fill_prices - arrival_price) * fill_lots).sum()) + fees
