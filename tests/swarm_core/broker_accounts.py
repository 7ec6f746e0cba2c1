"""Accounts as a broker shows them, and books whose orders it has heard of."""

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.instruments import to_minor
from swarm_core.order_states import OrderState
from swarm_core.orders import Order
from swarm_core.reconciliation import (
    BrokerAccount,
    BrokerOrder,
    ReconciliationRules,
)
from tests.swarm_core.builders import CASH, NOW_NS

FILLED = OrderState.FILLED
LATER_NS = NOW_NS + 10**9
RULES = ReconciliationRules()


def book_with(*orders: Order, accepted: bool = True) -> Book:
    """Return a book whose orders were sent, and accepted by the broker or never heard of."""
    book = Book("USD", to_minor(CASH))
    for order in orders:
        order_id = order.client_order_id
        fields = {"client_order_id": order_id, "time_ns": NOW_NS}
        book.apply(ev.OrderIntended(event_id=f"i{order_id}", order=order, time_ns=NOW_NS))
        book.apply(
            ev.OrderApproved(
                event_id="v", attempt=1, reference_ticks=10_000, value_micros=1, **fields
            )
        )
        book.apply(ev.OrderSubmitted(event_id="s", attempt=1, **fields))
        if accepted:
            book.apply(ev.OrderAccepted(event_id="a", broker_order_id=f"P{order_id}", **fields))
    return book


def shown(order: Order, ending: OrderState | None = None) -> BrokerOrder:
    return BrokerOrder(
        broker_order_id=f"P{order.client_order_id}",
        client_order_id=order.client_order_id,
        instrument_id=order.instrument_id,
        ending=ending,
    )


def account(
    *orders: BrokerOrder, fills: tuple[ev.OrderFilled, ...] = (), **fields: object
) -> BrokerAccount:
    lots: dict[str, int] = {}
    for fill in fills:
        lots[fill.instrument_id] = lots.get(fill.instrument_id, 0) + fill.side.sign * fill.lots
    values: dict[str, object] = {"position_lots": lots, "time_ns": LATER_NS, **fields}
    return BrokerAccount(orders=orders, fills=fills, **values)  # type: ignore[arg-type]  # a builder
