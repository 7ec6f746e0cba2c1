"""The official client against the simulator: what streams, what is refused, what faults do."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from ibapi.execution import ExecutionFilter
from ibapi.order_cancel import OrderCancel
from ibapi.ticktype import TickTypeEnum

from gateway_simulator.faults import FaultKind
from gateway_simulator.gateway import Gateway
from gateway_simulator.hosting import HostedGateway
from tests.gateway_simulator.gateways import A_ID, do, fill, hosted, wait_until
from tests.gateway_simulator.official import Official, official, order, stock


@pytest.fixture
def host() -> Iterator[HostedGateway]:
    with hosted(real_time_bar_s=0.1, unsubscribed=frozenset({"B"}), tickers_max=2) as started:
        yield started


@pytest.fixture
def client(host: HostedGateway) -> Iterator[Official]:
    with official(host.port) as connected:
        connected.wait("nextValidId")
        yield connected


def set_quote(host: HostedGateway, bid: str, ask: str) -> None:
    def act(gateway: Gateway) -> None:
        gateway.market.set_quote(A_ID, Decimal(bid), Decimal(ask))
        gateway.venue.on_market()

    host.call(act)


def test_quotes_stream_until_they_are_cancelled(host: HostedGateway, client: Official) -> None:
    """Prices with sizes first, then only what has changed; a snapshot ends by itself."""
    client.reqMktData(1, stock(), "233,165", False, False, [])
    client.wait("tickReqParams")
    client.wait("tickString", 2)
    prices = {kind: price for _, kind, price, _ in client.told("tickPrice")}
    assert (prices[TickTypeEnum.BID], prices[TickTypeEnum.ASK]) == (99.99, 100.01)
    before = len(client.told("tickPrice"))
    set_quote(host, "99.99", "100.03")
    client.wait("tickPrice", before + 1)
    assert (1, TickTypeEnum.ASK, 100.03) in [words[:3] for words in client.told("tickPrice")]
    client.cancelMktData(1)
    client.cancelMktData(1)
    client.reqMktData(2, stock(), "", True, False, [])
    client.wait("tickSnapshotEnd")
    assert client.error_codes(1) == [300]


def test_data_have_their_limits(client: Official) -> None:
    """No subscription, an unknown contract, an id that is taken, one ticker too many."""
    client.reqMktData(1, stock("B"), "", False, False, [])
    client.reqMktData(2, stock("NOBODY"), "", False, False, [])
    client.reqMktData(3, stock(), "", False, False, [])
    client.reqMktData(3, stock(), "", False, False, [])
    client.reqMktData(4, stock(), "", False, False, [])
    client.reqMktData(5, stock(), "", False, False, [])
    client.reqMarketDataType(3)
    client.cancelMktData(4)
    client.reqMktData(6, stock("B"), "", False, False, [])
    wait_until(lambda: 10167 in client.error_codes(6))
    assert [client.error_codes(n) for n in (1, 2, 3, 5)] == [[354], [200], [322], [101]]
    wait_until(lambda: any(w[1] == TickTypeEnum.DELAYED_BID for w in client.told("tickPrice")))


def test_bars_and_ticks_come(client: Official) -> None:
    """Five-second bars, ticks one by one, and bars of the past in the form asked for."""
    client.reqRealTimeBars(1, stock(), 5, "TRADES", False, [])
    client.reqTickByTickData(2, stock(), "BidAsk", 0, False)
    client.reqTickByTickData(3, stock(), "Last", 0, False)
    client.reqTickByTickData(4, stock(), "MidPoint", 0, False)
    bar = client.wait("realtimeBar")[0]
    assert bar[2:6] == (100.0,) * 4
    assert client.wait("tickByTickBidAsk")[0][2:4] == (99.99, 100.01)
    assert client.wait("tickByTickAllLast")[0][3] == 100.0
    assert client.wait("tickByTickMidPoint")[0][2] == 100.0
    end = "20260605 20:00:00 UTC"
    client.reqHistoricalData(5, stock(), end, "1 D", "1 hour", "TRADES", 1, 2, False, [])
    client.wait("historicalDataEnd")
    days = [words[1] for words in client.told("historicalData")]
    assert len(days) == 7
    assert int(days[0].date) == 1_780_666_200  # 13:30 UTC, the opening in New York
    client.reqHeadTimeStamp(6, stock(), "TRADES", 1, 1)
    assert client.wait("headTimestamp") == [(6, "20100104-14:30:00")]


def test_a_long_history_keeps_nobody_waiting(client: Official) -> None:
    """It was worked out at one go, for seconds in which no order of any client was heard."""
    end = "20260605 20:00:00 UTC"
    client.reqHistoricalData(5, stock(), end, "5 D", "1 min", "TRADES", 1, 2, False, [])
    client.reqCurrentTime()
    client.wait("historicalDataEnd")

    names = [name for name, _ in client.heard]
    assert names.index("currentTime") < names.index("historicalData")
    assert names.count("historicalData") == 5 * 390
    client.cancelHistoricalData(5)
    client.wait("error", len(client.told("error")) + 1)
    assert client.error_codes(5) == [366]  # nothing of it is left to be cancelled


def test_history_asked_for_too_often_is_refused(client: Official) -> None:
    """The same request twice within fifteen seconds: 162, with the words of the gateway."""
    asked = (stock(), "20260605 20:00:00 UTC", "1 D", "1 hour", "TRADES", 1, 2, False, [])
    client.reqHistoricalData(1, *asked)
    client.wait("historicalDataEnd")
    client.reqHistoricalData(2, *asked)
    wait_until(lambda: 162 in client.error_codes(2))
    (told,) = [w for w in client.told("error") if w[0] == 2]
    assert "pacing violation" in told[3]


def test_who_asks_too_fast_is_warned_and_thrown_out() -> None:
    with hosted(messages_per_s_max=50) as host, official(host.port) as client:
        client.wait("nextValidId")
        for _ in range(80):
            client.reqIds(1)
        client.wait("connectionClosed")
        assert 100 in client.error_codes(-1)


def test_what_filled_while_away_is_told_afterwards(host: HostedGateway) -> None:
    """Cut off with an order at work: executions and completed orders say what became of it."""
    with official(host.port) as client:
        client.wait("nextValidId")
        client.placeOrder(1, stock(), order(kind="LMT", lmtPrice=90.0, orderRef="away"))
        client.wait("openOrder")
        do(host, FaultKind.FILL_WHILE_AWAY)
        client.wait("connectionClosed")
    with official(host.port) as again:
        assert again.wait("nextValidId") == [(2,)]
        again.reqExecutions(1, ExecutionFilter())
        again.wait("execDetailsEnd")
        ((_, __, done),) = again.told("execDetails")
        assert (done.orderRef, done.shares, done.price) == ("away", 10, 90.0)
        narrow = ExecutionFilter()
        narrow.symbol, narrow.side = "A", "SELL"
        again.reqExecutions(2, narrow)
        again.wait("execDetailsEnd", 2)
        assert len(again.told("execDetails")) == 1


def test_a_restart_rolls_order_ids_back(host: HostedGateway) -> None:
    """Id 1 comes again, and names another order with another lasting id."""
    with official(host.port) as client:
        client.wait("nextValidId")
        client.placeOrder(1, stock(), order(orderRef="first"))
        client.wait("commissionAndFeesReport")
        do(host, FaultKind.RESTART)
        client.wait("connectionClosed")
    with official(host.port) as again:
        assert again.wait("nextValidId") == [(1,)]
        again.placeOrder(1, stock(), order(orderRef="second"))
        again.wait("commissionAndFeesReport")
        again.reqExecutions(1, ExecutionFilter())
        again.wait("execDetailsEnd")
        told = {words[2].orderRef: words[2] for words in again.told("execDetails")}
    assert {done.orderId for done in told.values()} == {1}
    assert told["first"].permId != told["second"].permId


def test_an_order_by_hand_has_no_id(host: HostedGateway, client: Official) -> None:
    """Client 0 hears of it once it binds; others see it when they ask for all that is open."""
    with official(host.port, client_id=0) as zero:
        zero.wait("nextValidId")
        zero.reqAutoOpenOrders(True)
        client.reqAutoOpenOrders(True)
        wait_until(lambda: 327 in client.error_codes(-1))
        do(host, FaultKind.MANUAL_ORDER, symbol="A", quantity=Decimal(3), limit=Decimal(90))
        shown = zero.wait("openOrder")[0]
    assert (shown[0], shown[2].orderId, shown[2].clientId) == (0, 0, 0)
    client.reqAllOpenOrders()
    client.wait("openOrderEnd")
    assert client.told("openOrder")[0][2].permId == shown[2].permId
    client.reqOpenOrders()
    client.wait("openOrderEnd", 2)
    assert len(client.told("openOrder")) == 1
    client.reqGlobalCancel(OrderCancel())
    wait_until(lambda: not host.call(lambda g: g.venue.working))


def test_a_lost_way_to_the_broker_is_told_and_found_again(
    host: HostedGateway, client: Official
) -> None:
    """1100, silence, 1102 with what happened meanwhile; 1101 ends the subscriptions."""
    client.reqMktData(1, stock(), "", False, False, [])
    client.placeOrder(1, stock(), order(kind="LMT", lmtPrice=90.0, orderRef="r"))
    client.wait("openOrder")
    client.wait("tickPrice", 3)
    do(host, FaultKind.UPSTREAM_LOST)
    fill(host, "r", price="90")
    wait_until(lambda: 1100 in client.error_codes(-1))
    assert client.told("execDetails") == []
    do(host, FaultKind.UPSTREAM_BACK)
    client.wait("execDetails")
    do(host, FaultKind.UPSTREAM_BACK_DATA_LOST)
    wait_until(lambda: {1101, 1102} <= set(client.error_codes(-1)))
    client.cancelMktData(1)
    wait_until(lambda: 300 in client.error_codes(1))
