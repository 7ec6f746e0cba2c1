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


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """What some price lists ask for beside an order's lots and value.

    `month_quantity` is what the account traded this month before the order; `maker_value_minor`
    is the part of the value that was filled while the order stood in the book.
    """

    month_quantity: Decimal = Decimal(0)
    maker_value_minor: int = 0


NO_FACTS = OrderFacts()


class CommissionModel(Protocol):
    def order_commission_minor(
        self, instrument: Instrument, lots: int, value_minor: int, facts: OrderFacts = NO_FACTS
    ) -> int:
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

    def order_commission_minor(
        self, instrument: Instrument, lots: int, value_minor: int, facts: OrderFacts = NO_FACTS
    ) -> int:
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

    def order_commission_minor(
        self, instrument: Instrument, lots: int, value_minor: int, facts: OrderFacts = NO_FACTS
    ) -> int:
        amount = max(self.minimum, instrument.lots_to_quantity(lots) * self.per_share)
        return min(to_minor(amount), to_minor(from_minor(value_minor) * self.cap_fraction))


@dataclass(frozen=True, slots=True)
class IbTieredCommission:
    """Interactive Brokers' tiered list: each share is charged by the tier that it falls into.

    The tier is found by what the account has traded this month: what the facts say, on top of
    `month_quantity`, which was traded elsewhere. Exchange and clearing fees are not in it.
    """

    month_quantity: Decimal = Decimal(0)
    minimum: Decimal = Decimal("0.35")
    cap_fraction: Decimal = Decimal("0.01")

    def __post_init__(self) -> None:
        _bounded("month_quantity", self.month_quantity, Decimal(10**12))
        _bounded("minimum", self.minimum, Decimal(10_000))
        _bounded("cap_fraction", self.cap_fraction, Decimal(1))

    def order_commission_minor(
        self, instrument: Instrument, lots: int, value_minor: int, facts: OrderFacts = NO_FACTS
    ) -> int:
        amount, start = Decimal(0), self.month_quantity + facts.month_quantity
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


@dataclass(frozen=True, slots=True)
class PerContractCommission:
    """A sum per contract, the broker's and the exchange's, with a minimum per order.

    Source: Interactive Brokers' lists for US futures (0.85 USD and the exchange's fee) and US
    options (0.65 USD, at least 1 USD an order), 2024.
    """

    per_contract: Decimal = Decimal("0.85")
    exchange_fee: Decimal = Decimal(0)
    minimum: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        _bounded("per_contract", self.per_contract, Decimal(1_000))
        _bounded("exchange_fee", self.exchange_fee, Decimal(1_000))
        _bounded("minimum", self.minimum, Decimal(10_000))

    def order_commission_minor(
        self, instrument: Instrument, lots: int, value_minor: int, facts: OrderFacts = NO_FACTS
    ) -> int:
        contracts = instrument.lots_to_quantity(lots)
        return to_minor(max(self.minimum, contracts * (self.per_contract + self.exchange_fee)))


@dataclass(frozen=True, slots=True)
class MakerTakerCommission:
    """A fraction of the value, less where the order stood in the book; a rebate is negative.

    Source: the price lists of crypto exchanges; 10 and 10 bps are Binance's first spot tier (2024).
    """

    maker_bps: Decimal = Decimal(10)
    taker_bps: Decimal = Decimal(10)

    def __post_init__(self) -> None:
        _bounded("taker_bps", self.taker_bps, Decimal(1_000))
        if not (self.maker_bps.is_finite() and -100 <= self.maker_bps <= 1_000):
            raise ValueError(f"maker_bps must be in [-100, 1000], was {self.maker_bps}")

    def order_commission_minor(
        self, instrument: Instrument, lots: int, value_minor: int, facts: OrderFacts = NO_FACTS
    ) -> int:
        taken = value_minor - facts.maker_value_minor
        made = from_minor(facts.maker_value_minor) * self.maker_bps
        return to_minor((made + from_minor(taken) * self.taker_bps) / 10_000)
