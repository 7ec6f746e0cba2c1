"""Interest on cash, received where it is positive and paid where it is negative."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from swarm_core import events as ev
from swarm_core.action_events import CarryKind
from swarm_core.ledger import Ledger

# Money markets count a year of 365 days in these currencies, of 360 in the others (ISDA, 2006).
_DAYS_365 = frozenset({"GBP", "AUD", "NZD", "CAD", "HKD", "SGD", "ZAR"})


@dataclass(frozen=True, slots=True)
class CashRates:
    """Annual rates, as fractions, on one currency's positive and negative cash."""

    credit: Decimal = Decimal(0)
    debit: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for name in ("credit", "debit"):
            rate = getattr(self, name)
            if not (rate.is_finite() and -1 <= rate <= 1):
                raise ValueError(f"{name} rate must be in [-1, 1], was {rate}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CashInterest:
    """interest = cash x annual rate x calendar days / 360 (365 for sterling and its like).

    Simple interest for the nights between two sessions, on the cash at the earlier close, rounded
    half to even. Source: the actual/360 and actual/365 money-market day counts (ISDA, 2006),
    which brokers charge by.
    """

    rates: Mapping[str, CashRates] = field(default_factory=dict[str, CashRates])

    def charges(self, ledger: Ledger, days: int, time_ns: int) -> list[ev.Event]:
        """Return what the nights cost or bring in every currency that has a rate."""
        charged: list[ev.Event] = []
        for currency in sorted(self.rates):
            cash, rates = ledger.cash.get(currency, 0), self.rates[currency]
            rate = Fraction(rates.credit if cash > 0 else rates.debit)
            year = 365 if currency in _DAYS_365 else 360
            amount = round(cash * rate * days / year)
            if amount:
                charged.append(
                    carry_charge(CarryKind.INTEREST, "", currency, amount, days, time_ns)
                )
        return charged


def carry_charge(
    carry: CarryKind, instrument_id: str, currency: str, amount: int, days: int, time_ns: int
) -> ev.CarryCharged:
    """Return the charge of some nights; told again for the same moment it is the same event."""
    return ev.CarryCharged(
        event_id=ev.make_event_id("CarryCharged", carry.value, instrument_id, currency, time_ns),
        time_ns=time_ns,
        carry=carry,
        instrument_id=instrument_id,
        currency=currency,
        amount_minor=amount,
        days=days,
    )
