"""The end of an order as Interactive Brokers tells it, in events of ours."""

from ib_async import Order, OrderStatus, Stock, Trade

from adapters.brokers import ib_orders
from swarm_core import events as ev
from tests.swarm_core.builders import make_instrument


def cancelled(filled: float) -> ev.OrderCancelled:
    """Return the end of a cancelled order whose status counts so much as filled."""
    trade = Trade(
        contract=Stock("A"),
        order=Order(orderRef="A1", permId=7),
        orderStatus=OrderStatus(status="Cancelled", filled=filled, permId=7),
    )
    event = ib_orders.ended(trade, make_instrument(), 5)
    assert isinstance(event, ev.OrderCancelled)
    return event


def test_an_end_that_counts_more_lots_than_before_is_another_fact() -> None:
    """Under one id the log refused the second, after a restart, and trading was halted."""
    none, three, five = cancelled(0), cancelled(3), cancelled(5)
    assert (none.filled_lots, three.filled_lots, five.filled_lots) == (None, 3, 5)
    assert len({none.event_id, three.event_id, five.event_id}) == 3
    assert cancelled(3).event_id == three.event_id
