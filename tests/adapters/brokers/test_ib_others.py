"""What other clients and other accounts of one login do is theirs, whatever it is named."""

import pytest
from ib_async import (
    CommissionReport,
    Contract,
    Execution,
    Fill,
    OrderStatus,
    Position,
    Trade,
    TradeLogEntry,
)
from ib_async import Order as IbOrder

from adapters.brokers.ib import IbBroker
from adapters.brokers.ib_account import lots_of
from adapters.brokers.ib_orders import ending_of, reference_of
from swarm_core.order_states import OrderState
from swarm_core.orders import Order
from swarm_core.ports import OutOfReachError
from tests.adapters.brokers.gateway_double import START, GatewayDouble
from tests.swarm_core.builders import NOW_NS, A, make_order

STRANGER = 999  # the number of another contract


def theirs(order: Order, **fields: object) -> IbOrder:
    """Return an order of somebody else, under the same reference."""
    values = {"clientId": 7, "orderId": 3, "permId": 70, "account": "DU1", **fields}
    return IbOrder(orderRef=order.client_order_id, **values)  # type: ignore[arg-type]  # a builder


def test_the_end_of_another_accounts_order_is_not_that_of_ours(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """Two desks that follow the same targets give their orders the same references."""
    order = make_order(lots=100, limit=9_000)
    broker.submit(order, NOW_NS)
    broker.heard()

    status = OrderStatus(status="Cancelled")
    gateway.tell("orderStatusEvent", Trade(Contract(), theirs(order, account="DU2"), status))

    assert not broker.heard()


def test_another_accounts_commission_is_not_charged(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """The gateway tells one login the executions of all its accounts, and what they cost."""
    execution = Execution(execId="0001.01.01", time=START, acctNumber="DU2", permId=70, shares=10)
    report = CommissionReport("0001.01.01", 1.0, "USD")
    fill = Fill(Contract(), execution, report, START)

    gateway.tell("commissionReportEvent", Trade(), fill, report)

    assert not broker.heard()


def test_an_order_of_another_client_is_said_to_be_out_of_reach(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """A desk whose client_id was changed took its earlier orders for cancelled, or nearly so."""
    order, contract = make_order(lots=100, limit=9_000), Contract(symbol="A")
    gateway.open.append(Trade(contract, theirs(order), OrderStatus(status="Submitted")))

    with pytest.raises(OutOfReachError, match="client 7 has placed it"):
        broker.cancel(order.client_order_id, NOW_NS)

    assert len(gateway.open) == 1


def test_a_cancel_leaves_another_accounts_order_alone(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """Of two orders under one reference, ours is cancelled."""
    order = make_order(lots=100, limit=9_000)
    other = Trade(
        Contract(symbol="A"), theirs(order, account="DU2"), OrderStatus(status="Submitted")
    )
    gateway.open.append(other)
    broker.submit(order, NOW_NS)

    broker.cancel(order.client_order_id, NOW_NS)

    assert gateway.open == [other]
    assert reference_of(order.client_order_id, 0) == gateway.completed[0].order.orderRef


def test_another_share_of_the_same_symbol_is_not_ours(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """Its position stood for ours, which was gone."""
    broker.submit(make_order(lots=100, limit=9_000), NOW_NS)
    ours = gateway.open[0].contract
    other = Contract(
        conId=STRANGER, symbol=ours.symbol, secType=ours.secType, currency=ours.currency
    )

    held = [Position("DU1", ours, 100.0, 0.0), Position("DU1", other, 40.0, 0.0)]

    assert lots_of(held, broker.contracts.find) == {A: 100, f"ib-contract-{STRANGER}": 40}


def test_contracts_that_answer_to_one_instrument_count_together(broker: IbBroker) -> None:
    """Which of them is meant is not known yet: neither hides the other."""
    held = [
        Position("DU1", Contract(conId=n, symbol="A", secType="STK", currency="USD"), lots, 0.0)
        for n, lots in ((11, 60.0), (STRANGER, 40.0), (11, 100.0))
    ]

    assert lots_of(held, broker.contracts.find) == {A: 140}


def test_the_account_shows_the_terms_that_a_person_gave_an_order(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """Somebody makes an order of ours smaller in TWS, at another price."""
    broker.submit(make_order(lots=100, limit=9_000), NOW_NS)
    gateway.open[0].order.totalQuantity, gateway.open[0].order.lmtPrice = 40.0, 91.0

    assert broker.account().orders[0].terms == (40, 9_100, None)


def test_a_completed_order_is_over_however_often_its_fills_are_read() -> None:
    """The client notes a fill in it when the executions are read first: it seemed to work."""
    for status, state in (("Filled", OrderState.FILLED), ("Cancelled", OrderState.CANCELLED)):
        noted = [TradeLogEntry(START, status, "Fill 40.0@90.0")]
        trade = Trade(Contract(), IbOrder(), OrderStatus(status=status), [], noted)

        ending = ending_of(trade)

        assert ending is not None
        assert ending[0] is state


def test_a_change_by_another_hand_is_looked_at_at_once(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """What it means for the book stands in the account, which is read again."""
    order = make_order(lots=100, limit=9_000)
    broker.submit(order, NOW_NS)
    before, trade = broker.readings_asked, gateway.open[0]

    gateway.tell("openOrderEvent", trade)
    assert broker.readings_asked == before
    trade.order.totalQuantity = 40.0
    gateway.tell("openOrderEvent", trade)

    assert (broker.readings_asked, broker.connection_count) == (before + 1, 1)


def test_an_order_in_a_contract_that_there_is_not_has_it_looked_up_anew(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    first, second = make_order(decision_id="d1"), make_order(decision_id="d2")
    broker.submit(first, NOW_NS)
    (trade,) = gateway.open

    gateway.tell("errorEvent", trade.order.orderId, 200, "No security definition", None)
    broker.submit(second, NOW_NS)

    assert gateway.lookups == 2
