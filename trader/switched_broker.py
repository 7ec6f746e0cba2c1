"""The last thing before the wire: nothing but cancels and questions passes a pulled switch."""

from collections.abc import Sequence

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.instruments import to_minor
from swarm_core.order_changes import refused
from swarm_core.orders import Order
from swarm_core.ports import (
    BracketBroker,
    Broker,
    MarginAfter,
    ModifyingBroker,
    OutOfReachError,
)
from swarm_core.working_terms import WorkingTerms
from trader.kill_switch import KillSwitch
from trader.ports import WhatIfBroker


class SwitchedBroker:
    """Passes cancels and questions always, and orders only while the kill switch is untouched.

    It is the last thing before the wire: a release that is under way when the switch is pulled
    sends no further order.
    """

    def __init__(self, broker: Broker, switch: KillSwitch) -> None:
        self.broker, self.switch = broker, switch
        self.out_of_reach: dict[str, str] = {}  # orders that this process can never cancel, and why
        self.closing = False  # set while a halt closes what is held
        self.asks_for_margin = False

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]:
        if not self.switch.is_pulled or self.closing:
            return self.broker.submit(order, time_ns)
        return (_kept_back(order, "the kill switch is pulled: the order did not leave", time_ns),)

    def submit_together(self, orders: Sequence[Order], time_ns: int) -> Sequence[ev.Event]:
        if self.switch.is_pulled and not self.closing:
            reason = "the kill switch is pulled: the order did not leave"
        elif isinstance(self.broker, BracketBroker):
            return self.broker.submit_together(orders, time_ns)
        else:
            reason = "the broker takes no brackets: the order did not leave"
        return [_kept_back(order, reason, time_ns) for order in orders]

    def margin_after(self, order: Order) -> MarginAfter | None:
        """Return what the broker says that an order would need, where it is asked and offers it."""
        if not self.asks_for_margin or not isinstance(self.broker, WhatIfBroker):
            return None
        told = self.broker.what_if(order)
        amounts = (told.initial_before, told.initial_after, told.equity_after)
        before, after, equity = (None if a is None else to_minor(a) for a in amounts)
        return MarginAfter(needed_before_minor=before, needed_minor=after, equity_minor=equity)

    def modify(
        self, order: Order, terms: WorkingTerms, number: int, time_ns: int
    ) -> Sequence[ev.Event]:
        order_id = order.client_order_id
        if self.switch.is_pulled and not self.closing:
            reason = "the kill switch is pulled: the change did not leave"
        elif isinstance(self.broker, ModifyingBroker):
            return self.broker.modify(order, terms, number, time_ns)
        else:
            reason = "the broker takes no changes: it did not leave"
        return [refused(order_id, number, reason, time_ns)]

    def find_terms(self, order: Order) -> WorkingTerms | None:
        if isinstance(self.broker, ModifyingBroker):
            return self.broker.find_terms(order)
        return WorkingTerms.of(order)  # it was never asked for others

    def find(self, client_order_id: str) -> Sequence[ev.Event] | None:
        return self.broker.find(client_order_id)

    def cancel(self, client_order_id: str, time_ns: int) -> Sequence[ev.Event]:
        try:
            said = self.broker.cancel(client_order_id, time_ns)
        except OutOfReachError as error:
            self.out_of_reach[client_order_id] = str(error)
            raise
        self.out_of_reach.pop(client_order_id, None)
        return said

    def to_cancel_by_hand(self, book: Book) -> list[str]:
        """Name the orders that still work and that this process can never cancel, and why."""
        working = (record.order.client_order_id for record in book.working_orders())
        return [
            f"{order_id} must be cancelled by hand: {self.out_of_reach[order_id]}"
            for order_id in working
            if order_id in self.out_of_reach
        ]


def _kept_back(order: Order, reason: str, time_ns: int) -> ev.OrderRejected:
    order_id = order.client_order_id
    return ev.OrderRejected(
        event_id=ev.make_event_id("OrderRejected", order_id, "kept back"),
        time_ns=time_ns,
        correlation_id=order.decision_id,
        client_order_id=order_id,
        reason=reason,
    )
