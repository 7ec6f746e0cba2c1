"""The official client against the simulator, over TCP."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from ibapi.execution import ExecutionFilter
from ibapi.order_cancel import OrderCancel

from gateway_simulator.hosting import HostedGateway
from tests.gateway_simulator.gateways import A_ID, hosted
from tests.gateway_simulator.official import Official, official, order, stock


@pytest.fixture
def host() -> Iterator[HostedGateway]:
    with hosted() as started:
        yield started


@pytest.fixture
def client(host: HostedGateway) -> Iterator[Official]:
    with official(host.port) as connected:
        connected.wait("nextValidId")
        yield connected


def test_it_is_taken_in(client: Official) -> None:
    """Version 176, the accounts, the first order id and the state of the farms."""
    assert client.serverVersion() == 176
    assert client.told("managedAccounts") == [("DU1",)]
    assert client.told("nextValidId") == [(1,)]
    client.wait("error", 4)
    assert {2104, 2106, 2158} <= set(client.error_codes(-1))


def test_a_contract_is_told_in_full(client: Official) -> None:
    client.reqContractDetails(7, stock())
    ((_, details),) = client.wait("contractDetails")
    assert (details.contract.conId, details.contract.primaryExchange) == (A_ID, "NASDAQ")
    assert (details.minTick, details.minSize, details.marketRuleIds[:2]) == (0.01, 1, "26")
    client.wait("contractDetailsEnd")
    client.reqContractDetails(8, stock("NOBODY"))
    client.wait("error", 5)
    assert client.error_codes(8) == [200]


def test_a_market_order_fills(client: Official) -> None:
    """It is open, executed, filled and charged; afterwards all of it is told again."""
    client.placeOrder(1, stock(), order(orderRef="mine"))
    ((_, contract, done),) = client.wait("execDetails")
    ((report,),) = client.wait("commissionAndFeesReport")

    assert (done.shares, done.price, done.side, done.orderRef) == (10, 100.01, "BOT", "mine")
    assert (contract.conId, report.execId, report.commissionAndFees) == (A_ID, done.execId, 1.0)
    assert client.wait("orderStatus", 2)[-1][1:4] == ("Filled", Decimal(10), Decimal(0))

    client.reqExecutions(9, ExecutionFilter())
    client.wait("execDetailsEnd")
    assert client.told("execDetails")[-1][2].execId == done.execId
    client.reqCompletedOrders(False)
    client.wait("completedOrdersEnd")
    ((_, completed, state),) = client.told("completedOrder")
    assert (completed.orderRef, completed.filledQuantity, state.status) == ("mine", 10, "Filled")
    client.reqPositions()
    client.wait("positionEnd")
    assert client.told("position")[-1][2:] == (Decimal(10), 100.01)


def test_an_order_is_changed_and_cancelled(client: Official) -> None:
    """The same id changes it; a cancel ends it with error 202; what has ended stays ended."""
    client.placeOrder(1, stock(), order(kind="LMT", lmtPrice=90.0))
    client.wait("openOrder")
    client.placeOrder(1, stock(), order(kind="LMT", lmtPrice=91.0, quantity=20))
    changed = client.wait("openOrder", 2)[-1][2]
    assert (changed.lmtPrice, changed.totalQuantity) == (91.0, 20)

    client.cancelOrder(1, OrderCancel())
    client.wait("orderStatus", 3)
    client.cancelOrder(1, OrderCancel())
    client.cancelOrder(99, OrderCancel())
    client.placeOrder(1, stock(), order())
    client.reqCurrentTime()
    client.wait("currentTime")
    assert client.told("orderStatus")[-1][1] == "Cancelled"
    assert client.error_codes(1) == [202, 10148, 103]
    assert client.error_codes(99) == [10147]


def test_every_field_of_an_order_comes_back(client: Official) -> None:
    """What the market does not act on is kept and told as it was sent."""
    sent = order(
        kind="LMT",
        lmtPrice=90.0,
        tif="GTC",
        orderRef="r",
        account="DU1",
        ocaGroup="g",
        ocaType=2,
        outsideRth=True,
        goodTillDate="",
        minQty=5,
        displaySize=3,
        discretionaryAmt=0.25,
        algoStrategy="",
        cashQty=0,
    )
    client.placeOrder(1, stock(), sent)
    shown = client.wait("openOrder")[0][2]

    for name in ("lmtPrice", "tif", "orderRef", "account", "ocaGroup", "ocaType", "outsideRth"):
        assert getattr(shown, name) == getattr(sent, name), name
    assert (shown.minQty, shown.displaySize, shown.discretionaryAmt) == (5, 3, 0.25)


def test_a_second_client_with_the_same_id_is_turned_away(
    host: HostedGateway, client: Official
) -> None:
    with official(host.port, client_id=5) as second:
        second.wait("connectionClosed")
        assert 326 in second.error_codes(-1)
    with official(host.port, client_id=6) as third:
        third.wait("nextValidId")
    assert client.isConnected()


def test_a_size_beyond_every_number_is_an_error_and_ends_nothing(client: Official) -> None:
    """The gateway hung up with a traceback: its division had no room for so many digits."""
    client.placeOrder(1, stock(), order(totalQuantity=Decimal("1e30")))
    client.wait("error", 5)
    assert 320 in client.error_codes(-1)

    client.reqCurrentTime()
    client.wait("currentTime")


def test_the_ledger_tells_cash_and_rates_of_the_currency_that_is_asked_for(
    client: Official,
) -> None:
    for request, tag, expected in ((5, "$LEDGER", 2), (6, "$LEDGER:ALL", 3), (7, "$LEDGER:EUR", 0)):
        client.reqAccountSummary(request, "All", tag)
        client.wait("accountSummaryEnd", request - 4)
        told = [row[2:] for row in client.told("accountSummary") if row[0] == request]
        assert len(told) == expected

    told = [row[2:] for row in client.told("accountSummary") if row[0] == 5]
    assert told == [("CashBalance", "1000000", "USD"), ("ExchangeRate", "1", "USD")]
