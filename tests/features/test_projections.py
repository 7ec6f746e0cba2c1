"""Rows of orders and fills, projected from the log."""

from features.projections import OrderProjection
from swarm_core import events as ev
from swarm_core.orders import Order, OrderKind
from tests.swarm_core.builders import INSTRUMENTS, NOW_NS, make_fill, make_order


def recorded(*events: ev.Event) -> list[ev.RecordedEvent]:
    return [ev.RecordedEvent(n, event, "", "") for n, event in enumerate(events, 1)]


def approved(order: Order) -> list[ev.Event]:
    """Return an order that was intended and approved at a reference of 100.00."""
    name = order.client_order_id
    return [
        ev.OrderIntended(event_id="i", time_ns=NOW_NS, order=order),
        ev.OrderApproved(
            event_id="v",
            time_ns=NOW_NS,
            client_order_id=name,
            attempt=1,
            reference_ticks=10_000,
            value_micros=1,
        ),
    ]


def test_an_order_that_a_split_changed_shows_its_new_quantity_and_no_false_slippage() -> None:
    order = make_order(lots=100, limit=9_000, kind=OrderKind.LIMIT)
    adjusted = ev.OrderAdjusted(
        event_id="a",
        time_ns=NOW_NS,
        client_order_id=order.client_order_id,
        action_id="split:US.A:2020-08-31",
        quantity_lots=400,
        limit_price_ticks=2_250,
        stop_price_ticks=None,
    )
    fill = make_fill(order, lots=400, price_ticks=2_250)

    told = OrderProjection(INSTRUMENTS).apply_all(recorded(*approved(order), adjusted, fill))

    (row,) = told.orders().to_dicts()
    assert (row["quantity"], row["status"], row["reference_price"]) == (400.0, "filled", None)
    assert row["detail"] == "adjusted for split:US.A:2020-08-31"
    assert told.fills()["slippage_bps"].to_list() == [None]


def test_a_fill_tells_its_slippage_against_the_reference() -> None:
    order = make_order(lots=100)

    told = OrderProjection(INSTRUMENTS).apply_all(
        recorded(*approved(order), make_fill(order, lots=40, price_ticks=10_010))
    )

    assert told.orders()["status"].to_list() == ["partially_filled"]
    assert [round(v, 6) for v in told.fills()["slippage_bps"]] == [10.0]


def test_a_fill_that_the_venue_dates_earlier_is_the_newest_row_of_its_order() -> None:
    order = make_order(lots=100)
    accepted = ev.OrderAccepted(
        event_id="k",
        time_ns=NOW_NS + 5_000_000,
        client_order_id=order.client_order_id,
        broker_order_id="1",
    )
    fill = make_fill(order, lots=100)  # of a moment before it was accepted
    events = recorded(*approved(order), accepted, fill)

    before = OrderProjection(INSTRUMENTS).apply_all(events[:-1]).orders()
    after = OrderProjection(INSTRUMENTS).apply_all(events).orders()

    assert after["status"].to_list() == ["filled"]
    assert after["knowledge_time"].item() > before["knowledge_time"].item()
