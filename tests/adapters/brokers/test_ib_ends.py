"""The end of an order as Interactive Brokers tells it, in events of ours."""

from ib_async import Order, OrderStatus, Stock, Trade, TradeLogEntry

from adapters.brokers import ib_orders
from adapters.brokers.ib import IbBroker
from swarm_core import events as ev
from swarm_core.order_states import OrderState
from swarm_core.working_terms import WorkingTerms
from tests.adapters.brokers.gateway_double import START, GatewayDouble
from tests.swarm_core.builders import NOW_NS, make_instrument, make_order


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


def inactive(*codes: int) -> Trade:
    """Return an order that is inactive, of which these errors were told."""
    log = [TradeLogEntry(START, "Inactive", "")]
    log += [TradeLogEntry(START, "Inactive", f"Error {c}", c) for c in codes]
    status = OrderStatus(status="Inactive", permId=7)
    order = Order(orderRef="A1", permId=7)
    return Trade(contract=Stock("A"), order=order, orderStatus=status, log=log)


def test_an_inactive_order_has_ended_where_it_was_refused_or_is_completed_alone() -> None:
    """The broker may hold it and bring it to life: it was booked as rejected, and then filled."""
    held = inactive(404)

    assert ib_orders.ending_of(held) is None
    assert ib_orders.ending_of(inactive(201)) == (OrderState.REJECTED, "201: Error 201")
    assert ib_orders.ending_of(held, is_over=True) == (OrderState.REJECTED, "404: Error 404")
    assert ib_orders.why_held(held) == "it is inactive: Error 404"


def test_what_is_said_of_an_inactive_order_counts_though_the_client_drops_it() -> None:
    """The client takes it for over and notes no error of it any more."""
    trade = inactive()

    assert not ib_orders.note_error(trade, 404, "held", NOW_NS)  # says nothing against it
    assert ib_orders.note_error(trade, 201, "margin", NOW_NS)
    assert not ib_orders.note_error(trade, 201, "margin", NOW_NS)

    ending = ib_orders.ending_of(trade)
    assert ending is not None
    assert ending[0] is OrderState.REJECTED


def test_an_inactive_order_lives_is_cancelled_and_ends_by_the_brokers_word(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    order = make_order(lots=100, limit=9_000)
    broker.submit(order, NOW_NS)
    (trade,) = gateway.open
    trade.orderStatus.status = "Inactive"
    gateway.tell("orderStatusEvent", trade)

    assert not [e for e in broker.heard() if isinstance(e, ev.OrderRejected)]
    (shown,) = broker.account().orders
    assert (shown.ending, shown.held) == (None, "it is inactive")
    terms = WorkingTerms(50, 9_000, None)
    (refused,) = broker.modify(order, terms, 1, NOW_NS)
    assert isinstance(refused, ev.OrderModifyRejected)

    broker.cancel(order.client_order_id, NOW_NS)
    assert [type(e) for e in broker.heard() if not isinstance(e, ev.OrderAccepted)] == [
        ev.OrderCancelled
    ]


def test_an_order_that_waits_for_its_exits_is_not_called_cancelled_by_the_client(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """One that is not transmitted ends in the client at once, whatever the broker makes of it."""
    order = make_order(lots=100, limit=9_000)
    broker.submit(order, NOW_NS)
    gateway.open[0].order.transmit = False
    asked = list[bool]()
    client = gateway.clients[-1]
    client.cancelOrder = lambda sent: asked.append(sent.transmit)  # type: ignore[method-assign]

    broker.cancel(order.client_order_id, NOW_NS)

    assert asked == [True]
