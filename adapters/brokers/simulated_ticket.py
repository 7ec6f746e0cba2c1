"""One order as the simulated broker holds it, and what the broker says of it."""

from dataclasses import dataclass, field
from decimal import Decimal

from swarm_core import events as ev
from swarm_core.actions.action import OrderTerms
from swarm_core.fills import Fill
from swarm_core.instruments import Instrument
from swarm_core.order_states import adjusted_order
from swarm_core.orders import Order


@dataclass(slots=True)
class Ticket:
    """`value_minor` is the absolute value filled so far.

    `month_quantity` is what the account had traded in the month before the order's first fill.
    Every event is made from the order alone, so the same life gives the same events.
    """

    order: Order
    received_ns: int  # when it stands at the venue
    bars_to_wait: int = 0
    events: list[ev.Event] = field(default_factory=list[ev.Event])
    open_lots: int = 0
    fill_count: int = 0
    value_minor: int = 0
    maker_value_minor: int = 0
    month_quantity: Decimal = Decimal(0)
    commission_minor: int = 0
    last_bar_ns: int = 0
    is_triggered: bool = False
    action_ids: set[str] = field(default_factory=set[str])
    working: bool = True

    def take_terms(self, event: ev.OrderAdjusted) -> None:
        """Stand on the quantity and prices that a corporate action gave the order."""
        self.open_lots += event.quantity_lots - self.order.quantity_lots
        self.order = adjusted_order(self.order, event)
        self.action_ids.add(event.action_id)

    def adjust(self, action_id: str, terms: OrderTerms, time_ns: int) -> ev.OrderAdjusted:
        order_id = self.order.client_order_id
        filled_lots = self.order.quantity_lots - self.open_lots
        adjusted = ev.OrderAdjusted(
            event_id=ev.make_event_id("OrderAdjusted", order_id, action_id),
            time_ns=time_ns,
            correlation_id=self.order.decision_id,
            client_order_id=order_id,
            action_id=action_id,
            quantity_lots=filled_lots + terms.open_lots,
            limit_price_ticks=terms.limit_price_ticks,
            stop_price_ticks=terms.stop_price_ticks,
        )
        self.take_terms(adjusted)
        self.events.append(adjusted)
        return adjusted

    def cancel(self, reason: str, time_ns: int) -> ev.OrderCancelled:
        order_id = self.order.client_order_id
        cancelled = ev.OrderCancelled(
            event_id=ev.make_event_id("OrderCancelled", order_id),
            time_ns=time_ns,
            correlation_id=self.order.decision_id,
            client_order_id=order_id,
            reason=reason,
        )
        self.events.append(cancelled)
        self.working = False
        return cancelled

    def hold(self, time_ns: int) -> ev.OrderHeld:
        """Say that a bar went by while the order was on its way."""
        order_id = self.order.client_order_id
        held = ev.OrderHeld(
            event_id=ev.make_event_id("OrderHeld", order_id, time_ns),
            time_ns=time_ns,
            correlation_id=self.order.decision_id,
            client_order_id=order_id,
            reason="on its way",
            bars_left=self.bars_to_wait,
        )
        self.events.append(held)
        return held

    def trigger(self, time_ns: int) -> ev.OrderTriggered:
        order_id = self.order.client_order_id
        triggered = ev.OrderTriggered(
            event_id=ev.make_event_id("OrderTriggered", order_id),
            time_ns=time_ns,
            correlation_id=self.order.decision_id,
            client_order_id=order_id,
        )
        self.is_triggered = True
        self.events.append(triggered)
        return triggered

    def fill(
        self, fill: Fill, instrument: Instrument, commission_minor: int, time_ns: int
    ) -> ev.OrderFilled:
        order = self.order
        execution_id = f"{order.client_order_id}-{self.fill_count + 1}"
        filled = ev.OrderFilled(
            event_id=ev.make_event_id("OrderFilled", execution_id),
            time_ns=time_ns,
            causation_id=ev.make_event_id("OrderAccepted", order.client_order_id),
            correlation_id=order.decision_id,
            client_order_id=order.client_order_id,
            execution_id=execution_id,
            instrument_id=order.instrument_id,
            side=order.side,
            lots=fill.lots,
            price_ticks=fill.price_ticks,
            lot_tick_minor=instrument.lot_tick_minor,
            currency=instrument.currency,
            commission_minor=commission_minor,
            is_maker=fill.is_maker,
            is_margined=instrument.is_margined,
        )
        self.events.append(filled)
        return filled

    def expire(self, time_ns: int) -> ev.OrderExpired:
        order_id = self.order.client_order_id
        expired = ev.OrderExpired(
            event_id=ev.make_event_id("OrderExpired", order_id),
            time_ns=time_ns,
            correlation_id=self.order.decision_id,
            client_order_id=order_id,
            unfilled_lots=self.open_lots,
        )
        self.events.append(expired)
        self.working = False
        return expired
