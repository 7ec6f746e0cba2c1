"""Cash dividends: who holds at the ex-date receives, who is short pays."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from swarm_core import events as ev
from swarm_core.actions.action import OrderTerms, lowered_terms
from swarm_core.instruments import Instrument, to_minor
from swarm_core.ledger import Ledger
from swarm_core.orders import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class CashDividend:
    """`amount` of `currency` for one unit, owed from the ex-date and paid at `pay_ns`.

    owed = units held at the close before the ex-date x amount, negative for a short position,
    which pays it in lieu; the net asset value counts it at once. Source: the ex-date rule
    (FINRA rule 11140); IRS Publication 550 on payments in lieu by short sellers.
    """

    action_id: str
    instrument_id: str
    amount: Decimal
    currency: str
    pay_ns: int

    def __post_init__(self) -> None:
        if not (self.amount.is_finite() and self.amount > 0):
            raise ValueError(
                f"a dividend of {self.instrument_id} must be positive, was {self.amount}"
            )

    def holding_events(
        self, ledger: Ledger, instruments: Mapping[str, Instrument], time_ns: int
    ) -> list[ev.Event]:
        lots = ledger.lots(self.instrument_id)
        if not lots or self.action_id in ledger.entitlements:
            return []
        units = instruments[self.instrument_id].lots_to_quantity(lots)
        return [
            ev.EntitlementAccrued(
                event_id=ev.make_event_id("EntitlementAccrued", self.action_id),
                time_ns=time_ns,
                action_id=self.action_id,
                instrument_id=self.instrument_id,
                currency=self.currency,
                amount_minor=to_minor(units * self.amount),
                pay_ns=self.pay_ns,
            )
        ]

    def order_terms(
        self, order: Order, open_lots: int, instrument: Instrument
    ) -> OrderTerms | None:
        return lowered_terms(order, open_lots, instrument, self.amount)


def due_payments(ledger: Ledger, time_ns: int) -> list[ev.Event]:
    """Return the payments of everything that is owed and due at `time_ns`."""
    return [
        ev.EntitlementPaid(
            event_id=ev.make_event_id("EntitlementPaid", action_id),
            time_ns=time_ns,
            causation_id=owed.event_id,
            action_id=action_id,
        )
        for action_id, owed in sorted(ledger.entitlements.items())
        if action_id not in ledger.paid and owed.pay_ns <= time_ns
    ]
