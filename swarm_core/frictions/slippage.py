"""By how many ticks a fill is worse than the price that the market showed: four models."""

from dataclasses import dataclass
from decimal import Decimal
from math import isqrt
from typing import Protocol

PPM = 10**6
_PPM_PER_BP = 100


class SlippageModel(Protocol):
    """How far a fill lies from the market's price, always against the order."""

    def cost_ticks(self, base_ticks: int, lots: int, volume_lots: int | None) -> int:
        """Return the ticks (>= 0, rounded up) that `lots` cost in a bar of `volume_lots`.

        `lots` count what the bar has filled before as well; the volume is None where the venue
        reports none, and then only what does not depend on it is charged.
        """
        ...

    @property
    def parameters(self) -> tuple[int, int, int]:
        """Return (kind, first, second) for compiled code; each class says what they mean."""
        ...


def _bounded(name: str, value: Decimal, high: int) -> None:
    if not (value.is_finite() and 0 <= value <= high):
        raise ValueError(f"{name} must be in [0, {high}], was {value}")


def _ppm_of(base_ticks: int, ppm: int) -> int:
    return -(-abs(base_ticks) * ppm // PPM)


@dataclass(frozen=True, slots=True)
class BpsSlippage:
    """A fixed part of the price: ceil(|price| x bps / 10,000). Kind 0: (ppm of the price, 0).

    Source: Zipline's FixedBasisPointsSlippage (Quantopian, 2017), its volume limit set apart.
    """

    bps: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        _bounded("bps", self.bps, 1_000)

    def cost_ticks(self, base_ticks: int, lots: int, volume_lots: int | None) -> int:
        return _ppm_of(base_ticks, self.parameters[1])

    @property
    def parameters(self) -> tuple[int, int, int]:
        return 0, round(self.bps * _PPM_PER_BP), 0


@dataclass(frozen=True, slots=True)
class TickSlippage:
    """A fixed number of ticks, as half of a fixed spread. Kind 1: (ticks, 0).

    Source: Zipline's FixedSlippage (Quantopian, 2017), whose spread / 2 this is in ticks.
    """

    ticks: int = 1

    def __post_init__(self) -> None:
        _bounded("ticks", Decimal(self.ticks), 1_000)

    def cost_ticks(self, base_ticks: int, lots: int, volume_lots: int | None) -> int:
        return self.ticks

    @property
    def parameters(self) -> tuple[int, int, int]:
        return 1, self.ticks, 0


@dataclass(frozen=True, slots=True)
class VolumeShareSlippage:
    """Quadratic in the share of the volume: price x impact x (lots / volume)^2. Kind 2: (ppm, 0).

    Source: Zipline's VolumeShareSlippage (Quantopian, 2017; impact 0.1 by default), whose
    volume_limit is the participation limit here. The share is cut to a millionth.
    """

    price_impact: Decimal = Decimal("0.1")

    def __post_init__(self) -> None:
        _bounded("price_impact", self.price_impact, 10)

    def cost_ticks(self, base_ticks: int, lots: int, volume_lots: int | None) -> int:
        if not volume_lots:
            return 0
        share_ppm = lots * PPM // volume_lots
        ppm_cubed = self.parameters[1] * share_ppm * share_ppm
        return -(-abs(base_ticks) * ppm_cubed // PPM**3)

    @property
    def parameters(self) -> tuple[int, int, int]:
        return 2, round(self.price_impact * PPM), 0


@dataclass(frozen=True, slots=True)
class SquareRootSlippage:
    """A fixed part plus impact x sqrt(lots / volume). Kind 3: (fixed ppm, impact ppm).

    Source: the square-root law of market impact (Torre and Ferrari, 1997; Almgren et al., 2005).
    """

    bps: Decimal = Decimal(1)
    impact_bps: Decimal = Decimal(10)

    def __post_init__(self) -> None:
        _bounded("bps", self.bps, 1_000)
        _bounded("impact_bps", self.impact_bps, 10_000)

    def cost_ticks(self, base_ticks: int, lots: int, volume_lots: int | None) -> int:
        _, ppm, impact_ppm = self.parameters
        if volume_lots:
            ppm += impact_ppm * isqrt(lots * PPM * PPM // volume_lots) // PPM
        return _ppm_of(base_ticks, ppm)

    @property
    def parameters(self) -> tuple[int, int, int]:
        return 3, round(self.bps * _PPM_PER_BP), round(self.impact_bps * _PPM_PER_BP)
