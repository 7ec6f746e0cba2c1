"""Borrowed shares: what they cost every night, and how many there are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

from swarm_core import events as ev
from swarm_core.action_events import CarryKind
from swarm_core.carry.interest import carry_charge
from swarm_core.instruments import BORROWED_WHEN_SHORT, Instrument
from swarm_core.ledger import Ledger

_DAYS_OF_YEAR = 360


@dataclass(frozen=True, slots=True, kw_only=True)
class BorrowCost:
    """fee = units short x collateral price x annual rate x calendar days / 360.

    The collateral price is `collateral_fraction` of the mark, rounded up to a whole unit of the
    currency where `rounds_up`; only what must be borrowed (shares, funds) is charged. Source:
    Interactive Brokers' short sale cost (102 % of the price, rounded up, over 360 days; 2024);
    D'Avolio (2002), "The market for borrowing stock", for the rates.
    """

    annual_rate: Decimal = Decimal("0.0025")
    rates: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])  # by instrument
    collateral_fraction: Decimal = Decimal("1.02")
    rounds_up: bool = True

    def __post_init__(self) -> None:
        named = {"annual_rate": self.annual_rate, **self.rates}
        for name, rate in named.items():
            if not (rate.is_finite() and 0 <= rate <= 10):
                raise ValueError(f"borrow rate {name} must be in [0, 10], was {rate}")
        if not (self.collateral_fraction.is_finite() and 1 <= self.collateral_fraction <= 2):
            raise ValueError(
                f"collateral_fraction must be in [1, 2], was {self.collateral_fraction}"
            )

    def charges(
        self, ledger: Ledger, instruments: Mapping[str, Instrument], days: int, time_ns: int
    ) -> list[ev.Event]:
        """Return what the nights cost for every short position, at its last mark."""
        charged: list[ev.CarryCharged] = []
        for instrument_id, position in sorted(ledger.positions.items()):
            instrument = instruments.get(instrument_id)
            if position.lots >= 0 or instrument is None:
                continue
            if instrument.asset_class not in BORROWED_WHEN_SHORT:
                continue
            price = instrument.ticks_to_price(position.mark_ticks) * self.collateral_fraction
            if self.rounds_up:
                price = price.to_integral_value(ROUND_CEILING)
            units = instrument.lots_to_quantity(-position.lots) * instrument.multiplier
            rate = self.rates.get(instrument_id, self.annual_rate)
            exact = Fraction(units * price * rate) * 10**8 * days / _DAYS_OF_YEAR
            charged.append(
                carry_charge(
                    CarryKind.BORROW,
                    instrument_id,
                    position.currency,
                    -round(exact),
                    days,
                    time_ns,
                )
            )
        return [event for event in charged if event.amount_minor]


@dataclass(frozen=True, slots=True, kw_only=True)
class BorrowAvailability:
    """How many lots can be borrowed of each instrument; `default_lots` None: any number.

    A sale that would leave the account shorter than that is rejected by the venue. Source: the
    locate requirement of SEC Regulation SHO, rule 203(b).
    """

    lots: Mapping[str, int] = field(default_factory=dict[str, int])
    default_lots: int | None = None

    def __post_init__(self) -> None:
        for name, lots in {**self.lots, "default_lots": self.default_lots or 0}.items():
            if lots < 0:
                raise ValueError(f"lots to borrow of {name} must be >= 0, was {lots}")

    def available(self, instrument: Instrument) -> int | None:
        """Return how many lots of an instrument can be borrowed; None: any number."""
        if not instrument.needs_locate:
            return None
        return self.lots.get(instrument.instrument_id, self.default_lots)

    def is_limited(self, instrument: Instrument) -> bool:
        """Return whether only so many lots of an instrument can be borrowed."""
        return self.available(instrument) is not None

    def allows(self, instrument: Instrument, lots_after: int) -> bool:
        """Return whether a position of `lots_after` could be held."""
        available = self.available(instrument)
        return lots_after >= 0 or available is None or -lots_after <= available
