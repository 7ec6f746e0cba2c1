"""The adapter to Interactive Brokers: what it does when the gateway does what gateways do."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from ib_async import Order as IbOrder
from ib_async import OrderStatus, Trade, TradeLogEntry
from ib_async.util import UNSET_DOUBLE

from adapters.brokers.ib import IbBroker
from adapters.brokers.ib_orders import ended, ending_of, ib_order
from gateway_simulator.outbox import Outbox
from gateway_simulator.wire import Field
from swarm_core import events as ev
from swarm_core.instruments import to_minor
from swarm_core.order_states import OrderState
from swarm_core.orders import OrderKind, OrderSide
from swarm_core.reconciliation import ReconciliationRules, reconcile
from swarm_core.trading import book_from_events
from swarm_core.trading_state import TradingState
from tests.adapters.brokers.gateway_double import START, GatewayDouble, wait_until
from tests.adapters.brokers.test_broker_contract import kinds, make_ib, tcp_ib
from tests.gateway_simulator.gateways import fill, hosted
from tests.gateway_simulator.official import official, stock
from tests.gateway_simulator.official import order as official_order
from tests.swarm_core.builders import CASH, NOW_NS, A, make_instrument, make_order


def test_our_own_id_travels_as_the_reference(gateway: GatewayDouble, broker: IbBroker) -> None:
    """Side, size, type and account arrive as the broker names them."""
    order = make_order(lots=7, side=OrderSide.SELL, limit=10_050)

    broker.submit(order, NOW_NS)

    sent = gateway.open[0].order
    assert (sent.orderRef, sent.action, sent.totalQuantity) == (order.client_order_id, "SELL", 7.0)
    assert (sent.orderType, sent.tif, sent.lmtPrice, sent.account) == ("LMT", "OPG", 100.5, "DU1")


@pytest.mark.parametrize(
    ("kind", "prices", "expected"),
    [
        (OrderKind.STOP, {"stop_price_ticks": 9_500}, ("STP", "DAY", 95.0)),
        (
            OrderKind.STOP_LIMIT,
            {"stop_price_ticks": 9_500, "limit": 9_450},
            ("STP LMT", "DAY", 95.0, 94.5),
        ),
        (OrderKind.LIMIT_ON_CLOSE, {"limit": 9_450}, ("LOC", "DAY", 94.5)),
    ],
)
def test_stops_and_closing_limits_go_out_as_the_broker_names_them(
    kind: OrderKind, prices: dict[str, Any], expected: tuple[object, ...]
) -> None:
    """A stop price travels as auxPrice, a limit as lmtPrice; what is not given stays unset."""
    sent = ib_order(make_order(kind=kind, **prices), make_instrument(), "DU1")

    told = [p for p in (sent.auxPrice, sent.lmtPrice) if p != UNSET_DOUBLE]
    assert (sent.orderType, sent.tif, *told) == expected


@pytest.mark.parametrize("part", ["open", "completed", "executions"])
def test_a_part_that_is_not_read_is_a_doubt_and_no_answer(
    gateway: GatewayDouble, broker: IbBroker, part: str
) -> None:
    """`find` says None only after all three parts were read to their ends."""
    gateway.silent.add(part)

    with pytest.raises(TimeoutError):
        broker.find(make_order().client_order_id)


def test_an_order_whose_answer_was_lost_is_found_and_not_sent_again(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """The doubt is an OSError; the order is at the broker once, and is found by its reference."""
    gateway.loses_acknowledgements = True
    order = make_order()

    with pytest.raises(TimeoutError):
        broker.submit(order, NOW_NS)
    found = broker.submit(order, NOW_NS)

    assert kinds(found) == {"OrderAccepted"}
    assert gateway.received == [order.client_order_id]


def test_an_order_that_was_lost_on_the_way_may_be_sent_again(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """Not found anywhere: the second submission is the first that arrives.

    Only a connection that broke can have lost it: while it stands, the gateway has had the order,
    and may hold it back. It was sent again, and both worked.
    """
    gateway.loses_orders = True
    order = make_order()
    with pytest.raises(TimeoutError):
        broker.submit(order, NOW_NS)
    gateway.loses_orders = False
    with pytest.raises(ConnectionError, match="must show"):
        broker.find(order.client_order_id)
    gateway.restart()
    wait_until(lambda: broker.connection_count == 2)

    assert broker.find(order.client_order_id) is None
    assert kinds(broker.submit(order, NOW_NS)) == {"OrderAccepted"}
    assert gateway.received == [order.client_order_id]


def test_a_rejection_is_told_with_its_reason(gateway: GatewayDouble, broker: IbBroker) -> None:
    """The broker's number and words stand in the event."""
    gateway.rejects = True

    told = broker.submit(make_order(), NOW_NS)

    reasons = [e.reason for e in told if isinstance(e, ev.OrderRejected)]
    assert reasons == ["201: no shares"]


def test_fills_and_late_commissions_are_heard_each_by_itself(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """The commission is an event of its own, whenever it comes."""
    order = make_order(lots=10)
    broker.submit(order, NOW_NS)
    broker.heard()

    fill = gateway.fill(order.client_order_id, 10, 100.25, "e1")
    first = [e for e in broker.heard() if isinstance(e, ev.OrderFilled)]
    gateway.charge(fill, 1.25)
    second = [e for e in broker.heard() if isinstance(e, ev.CommissionCharged)]

    assert [(e.lots, e.price_ticks, e.commission_minor) for e in first] == [(10, 10_025, None)]
    assert [(e.execution_id, e.commission_minor) for e in second] == [("e1", to_minor("1.25"))]


def test_fills_while_disconnected_and_repeated_order_ids_are_told_apart(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """After a restart that rolls ids back, each fill goes to its own order by reference."""
    first, second = make_order(lots=10), make_order(lots=4, decision_id="d2")
    broker.submit(first, NOW_NS)
    gateway.restart()
    gateway.fill(first.client_order_id, 10, 100.0, "e1")
    wait_until(lambda: broker.connection_count == 2 and broker.is_connected)
    broker.submit(second, NOW_NS)
    gateway.fill(second.client_order_id, 4, 101.0, "e2")

    lots = {
        order.client_order_id: [
            e.lots
            for e in broker.find(order.client_order_id) or ()
            if isinstance(e, ev.OrderFilled)
        ]
        for order in (first, second)
    }
    assert lots == {first.client_order_id: [10], second.client_order_id: [4]}


def test_an_order_placed_by_hand_is_named_by_its_lasting_id(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """It has order id 0 and no reference: the account shows it, and it is not ours."""
    broker.submit(make_order(), NOW_NS)
    by_hand = gateway.open[0]
    by_hand.order.orderRef, by_hand.order.orderId, by_hand.order.permId = "", 0, 55
    gateway.fill("", 3, 100.0, "e1")

    account = broker.account()
    found = reconcile(book_from_events([], "USD", CASH), account, ReconciliationRules())

    assert [fill.client_order_id for fill in account.fills] == ["ib-55"]
    assert found.mode is TradingState.HALTED


def test_the_account_agrees_with_a_book_that_heard_everything(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """Orders, executions, positions and cash of the broker, held against the log."""
    order = make_order(lots=10)
    book = book_from_events([], "USD", CASH)
    broker.submit(order, NOW_NS)
    gateway.charge(gateway.fill(order.client_order_id, 10, 100.0, "e1"), 1.5)
    book.apply_all(e for e in broker.heard() if not isinstance(e, ev.OrderAccepted))

    account = broker.account()

    assert account.position_lots == {A: 10}
    assert account.cash_minor == {"USD": to_minor(Decimal("998998.5"))}
    assert reconcile(book, account, ReconciliationRules()).findings == ()


def test_while_the_gateway_has_no_way_out_nothing_is_sent(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """1100 closes the line, 1102 opens it again, and what happened must be asked for."""
    gateway.tell("errorEvent", -1, 1100, "connectivity lost", None)
    with pytest.raises(ConnectionError):
        broker.submit(make_order(), NOW_NS)
    gateway.tell("errorEvent", -1, 1102, "restored, data kept", None)

    assert gateway.received == []
    assert (broker.is_connected, broker.connection_count) == (True, 2)
    assert broker.session.data_losses == 0


def test_data_that_was_lost_and_farms_that_are_down_are_known(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """1101 asks for new subscriptions; farm messages are kept by name."""
    gateway.tell("errorEvent", -1, 1101, "restored, data lost", None)
    gateway.tell("errorEvent", -1, 2103, "connection is broken:usfarm", None)
    gateway.tell("errorEvent", -1, 2104, "connection is OK:eufarm", None)

    assert broker.session.data_losses == 1
    assert broker.session.farms == {"usfarm": False, "eufarm": True}


def test_a_contract_is_looked_up_once(gateway: GatewayDouble, broker: IbBroker) -> None:
    """The second order of an instrument asks nothing."""
    broker.submit(make_order(), NOW_NS)
    broker.submit(make_order(decision_id="d2"), NOW_NS)

    assert gateway.lookups == 1


WORKING, NEW = 7, 0


@pytest.mark.parametrize(
    ("code", "perm_id", "ends"),
    [
        (10148, WORKING, None),  # a cancel that came too late: it may have filled
        (10147, WORKING, None),
        (161, WORKING, None),
        (104, WORKING, None),
        (399, WORKING, None),
        (110, WORKING, None),  # of a change: what works stands as it was
        (110, NEW, OrderState.REJECTED),
        (321, NEW, OrderState.REJECTED),
        (103, NEW, OrderState.REJECTED),
        (201, NEW, OrderState.REJECTED),
        (201, WORKING, OrderState.REJECTED),
        (202, WORKING, OrderState.CANCELLED),
    ],
)
def test_an_order_ends_by_an_error_only_where_that_means_an_end(
    code: int, perm_id: int, ends: OrderState | None
) -> None:
    """The client library ends it at all of these."""
    trade = Trade(
        order=IbOrder(permId=perm_id),
        orderStatus=OrderStatus(status="Cancelled"),
        log=[
            TradeLogEntry(START, "Submitted"),
            TradeLogEntry(START, "Cancelled", "told", errorCode=code),
        ],
    )
    ending = ending_of(trade)
    assert (None if ending is None else ending[0]) is ends


def test_a_cancel_tells_how_much_of_the_order_was_filled() -> None:
    """Executions may be told after the status that counts them."""
    trade = Trade(
        order=IbOrder(permId=WORKING, orderRef="A1"),
        orderStatus=OrderStatus(status="Cancelled", filled=30.0, remaining=70.0),
    )
    event = ended(trade, make_instrument(), NOW_NS)

    assert isinstance(event, ev.OrderCancelled)
    assert event.filled_lots == 30


def test_of_several_accounts_only_one_is_ours() -> None:
    """What is traded in another account of the same gateway is neither booked nor shown."""
    with hosted(accounts=("DU1", "DU2")) as host, official(host.port, client_id=9) as other:
        other.wait("nextValidId")
        broker = tcp_ib(host, account="DU1")
        other.placeOrder(1, stock("A"), official_order(account="DU2", orderRef="theirs"))
        other.placeOrder(2, stock("A"), official_order(kind="LMT", lmtPrice=90.0, account="DU2"))
        other.wait("commissionAndFeesReport")
        other.wait("openOrder", 3)
        account = broker.account()
        assert (account.fills, account.orders, dict(account.position_lots)) == ((), (), {})
        assert account.cash_minor == {"USD": to_minor(1_000_000)}
        broker.close()


@pytest.mark.parametrize("number", [5, 11, 61, 101])
def test_what_the_client_cannot_read_is_a_doubt_and_no_answer(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Open and completed orders, executions, positions: one that is not understood is there."""
    send = Outbox.send

    def garble(self: Outbox, fields: Sequence[Field]) -> None:
        send(self, fields[:9] if fields[0] == number else fields)

    with hosted() as host:
        broker = tcp_ib(host)
        done, order = make_order(decision_id="done"), make_order(decision_id="working")
        for sent in (done, order):
            broker.submit(sent, NOW_NS)
        fill(host, done.client_order_id)
        monkeypatch.setattr(Outbox, "send", garble)

        with pytest.raises(ConnectionError, match="must be readable"):
            broker.account()
        if number != 61:
            with pytest.raises(ConnectionError, match="must be readable"):
                broker.find(order.client_order_id)

        monkeypatch.setattr(Outbox, "send", send)
        wait_until(lambda: len(broker.account().orders) == 2)
        broker.close()


def test_what_is_said_unasked_and_cannot_be_read_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fill that the client drops has the account read again."""
    send = Outbox.send
    with hosted() as host:
        broker, order = tcp_ib(host), make_order()
        broker.submit(order, NOW_NS)
        before = broker.readings_asked
        monkeypatch.setattr(Outbox, "send", lambda s, f: send(s, f[:9] if f[0] == 11 else f))
        fill(host, order.client_order_id)
        wait_until(lambda: broker.readings_asked > before)
        broker.close()


def test_a_corrected_execution_is_a_correction_and_no_second_fill(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """Its id differs after the last point alone; a broker that restarts tells both, or the last."""
    order = make_order(lots=7)
    broker.submit(order, NOW_NS)
    gateway.fill(order.client_order_id, 7, 100.0, "0000e0d5.713f.01.01")
    first = gateway.fills[0]
    other = replace(first.execution, execId="0000e0d5.713f.01.02", price=100.5)
    second = first._replace(execution=other)
    gateway.tell("execDetailsEvent", Trade(first.contract), second)
    heard = broker.heard()
    gateway.fills[:] = [second]
    fresh = make_ib(gateway)

    prices = [e.price_ticks for e in heard if isinstance(e, ev.OrderFilled)]
    assert {e.execution_id for e in heard if isinstance(e, ev.OrderFilled)} == {
        "0000e0d5.713f.01.01"
    }
    assert prices[0] == 10_000
    for told in (heard, fresh.account().corrections):
        (correction,) = [e for e in told if isinstance(e, ev.ExecutionCorrected)]
        assert (correction.revision, correction.price_ticks, correction.lots) == (2, 10_050, 7)
        assert correction.execution_id == "0000e0d5.713f.01.01"
    fresh.close()
