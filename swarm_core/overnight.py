"""What happens to a book between two sessions: carry, payments, and corporate actions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from swarm_core import events as ev
from swarm_core.actions.action import CorporateAction
from swarm_core.actions.dividends import due_payments
from swarm_core.actions.splits import Split
from swarm_core.book import Book
from swarm_core.carry.borrow import BorrowCost
from swarm_core.carry.interest import CashInterest
from swarm_core.currencies import CurrencySweep
from swarm_core.instruments import Instrument
from swarm_core.ledger import Ledger
from swarm_core.order_states import OrderRecord


class ActionVenue(Protocol):
    """A venue that adjusts open orders for corporate actions."""

    def on_action(self, action: CorporateAction, time_ns: int) -> Sequence[ev.Event]: ...
    def take_in(self, change: ev.HoldingChanged) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Carry:
    """What every night costs or brings; None where nothing is charged, or nothing converted."""

    interest: CashInterest | None = None
    borrow: BorrowCost | None = None
    sweep: CurrencySweep | None = None

    def charges(
        self, ledger: Ledger, instruments: Mapping[str, Instrument], days: int, time_ns: int
    ) -> list[ev.Event]:
        """Return what the nights bring, in order: interest is on what a sweep has left."""
        charged: list[ev.Event] = []
        if days > 0 and self.sweep is not None:
            swept = self.sweep.conversions(ledger, time_ns)
            ledger = ledger.scratch()
            for trade in swept:
                ledger.convert(trade)
            charged.extend(swept)
        if days > 0 and self.interest is not None:
            charged.extend(self.interest.charges(ledger, days, time_ns))
        if days > 0 and self.borrow is not None:
            charged.extend(self.borrow.charges(ledger, instruments, days, time_ns))
        return charged


NO_CARRY = Carry()


def nights_between(earlier_session: str, session: str) -> int:
    """Return the calendar days from one session to the next; 0 where there was none before."""
    if not earlier_session:
        return 0
    return max(0, (date.fromisoformat(session) - date.fromisoformat(earlier_session)).days)


def action_events(
    actions: Sequence[CorporateAction],
    ledger: Ledger,
    instruments: Mapping[str, Instrument],
    venue: ActionVenue,
    time_ns: int,
) -> list[ev.Event]:
    """Return what actions do, one after the other, and the payments that are due by then.

    The ledger itself is not changed: the events stand in the log before they are booked.
    """
    scratch = ledger.scratch()
    events: list[ev.Event] = []
    for action in actions:
        if action.instrument_id not in instruments:
            continue
        changes = action.holding_events(scratch, instruments, time_ns)
        for change in changes:
            if isinstance(change, ev.HoldingChanged):
                scratch.book_holding(change)
                venue.take_in(change)
            elif isinstance(change, ev.EntitlementAccrued):
                scratch.book_entitlement(change)
            elif isinstance(change, ev.VariationSettled):
                scratch.settle(change)
        events.extend(changes)
        events.extend(venue.on_action(action, time_ns))
    return [*events, *due_payments(scratch, time_ns)]


def kept_order_events(
    actions: Sequence[CorporateAction], book: Book, told: Sequence[ev.Event], time_ns: int
) -> list[ev.Event]:
    """Return what splits do to orders that no venue holds, in the new lots and prices.

    Those are orders that have not been sent, and the exits of positions that have ended, or that
    are about to, also by what was `told` just now: they are made anew from the old ones.
    """
    ended = {e.client_order_id for e in told if isinstance(e, ev.OrderCancelled)}
    events: list[ev.Event] = []
    for action in actions:
        if not isinstance(action, Split):
            continue
        exits = set(book.exits.get(action.instrument_id, {}).values())
        events.extend(
            _scaled(action, record, time_ns)
            for order_id, record in sorted(book.orders.items())
            if record.order.instrument_id == action.instrument_id
            and (
                record.is_unsent or (order_id in exits and (record.is_ending or order_id in ended))
            )
            and not {action.action_id, _kept_id(action)} & record.adjustments
        )
    return events


def _kept_id(action: Split) -> str:
    return f"{action.action_id}:kept"


def _scaled(action: Split, record: OrderRecord, time_ns: int) -> ev.OrderAdjusted:
    order = record.order
    terms = action.scaled(order, order.quantity_lots)
    return ev.OrderAdjusted(
        event_id=ev.make_event_id("OrderAdjusted", order.client_order_id, _kept_id(action)),
        time_ns=time_ns,
        correlation_id=order.decision_id,
        client_order_id=order.client_order_id,
        action_id=_kept_id(action),
        # What has left and ended keeps its lots: fills of it may still be told.
        quantity_lots=terms.open_lots if record.is_unsent else order.quantity_lots,
        limit_price_ticks=terms.limit_price_ticks,
        stop_price_ticks=terms.stop_price_ticks,
    )
