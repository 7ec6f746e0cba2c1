"""What a broker charges for an order, by the price lists it publishes."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from swarm_core.instruments import Instrument, from_minor, to_minor

# Interactive Brokers' tiered list for US shares (2024): (shares a month up to, USD per share).
IB_TIERS: tuple[tuple[Decimal, Decimal], ...] = (
    (Decimal(300_000), Decimal("0.0035")),
    (Decimal(3_000_000), Decimal("0.0020")),
    (Decimal(20_000_000), Decimal("0.0015")),
    (Decimal(100_000_000), Decimal("0.0010")),
    (Decimal("Infinity"), Decimal("0.0005")),
)


class CommissionModel(Protocol):
    def order_commission_minor(self, instrument: Instrument, lots: int, value_minor: int) -> int:
        """Return what an order costs once `lots` worth `value_minor` of it are filled.

        Both are totals so far: the charge of one fill is the difference, so that minima and
        caps hold per order however it is split.
        """
        ...


def _bounded(name: str, value: Decimal, high: Decimal) -> None:
    if not (value.is_finite() and 0 <= value <= high):
        raise ValueError(f"{name} must be in [0, {high}], was {value}")


@dataclass(frozen=True, slots=True)
class BpsCommission:
    """A fraction of the value, with a minimum per order, in the instrument's currency."""

    bps: Decimal = Decimal("0.5")
    minimum: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        _bounded("bps", self.bps, Decimal(10_000))
        _bounded("minimum", self.minimum, Decimal(10_000))

    def order_commission_minor(self, instrument: Instrument, lots: int, value_minor: int) -> int:
        return max(to_minor(self.minimum), to_minor(from_minor(value_minor) * self.bps / 10_000))


@dataclass(frozen=True, slots=True)
class IbFixedCommission:
    """Interactive Brokers' fixed list for US shares: per share, with a minimum and a cap."""

    per_share: Decimal = Decimal("0.005")
    minimum: Decimal = Decimal(1)
    cap_fraction: Decimal = Decimal("0.01")

    def __post_init__(self) -> None:
        _bounded("per_share", self.per_share, Decimal(100))
        _bounded("minimum", self.minimum, Decimal(10_000))
        _bounded("cap_fraction", self.cap_fraction, Decimal(1))

    def order_commission_minor(self, instrument: Instrument, lots: int, value_minor: int) -> int:
        amount = max(self.minimum, instrument.lots_to_quantity(lots) * self.per_share)
        return min(to_minor(amount), to_minor(from_minor(value_minor) * self.cap_fraction))


@dataclass(frozen=True, slots=True)
class IbTieredCommission:
    """Interactive Brokers' tiered list: each share is charged by the tier that it falls into.

    `month_quantity` is what was traded this month before the order.
    """

    month_quantity: Decimal = Decimal(0)
    minimum: Decimal = Decimal("0.35")
    cap_fraction: Decimal = Decimal("0.01")

    def __post_init__(self) -> None:
        _bounded("month_quantity", self.month_quantity, Decimal(10**12))
        _bounded("minimum", self.minimum, Decimal(10_000))
        _bounded("cap_fraction", self.cap_fraction, Decimal(1))

    def order_commission_minor(self, instrument: Instrument, lots: int, value_minor: int) -> int:
        amount, start = Decimal(0), self.month_quantity
        end = start + instrument.lots_to_quantity(lots)
        for up_to, rate in IB_TIERS:
            if start < up_to:
                step = min(end, up_to)
                amount, start = amount + (step - start) * rate, step
            if start >= end:
                break
        return min(
            to_minor(max(self.minimum, amount)),
            to_minor(from_minor(value_minor) * self.cap_fraction),
        )
