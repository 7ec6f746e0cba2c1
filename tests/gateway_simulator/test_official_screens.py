"""The official client asks what looks over the market: scans, histograms, options, refusals."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from xml.etree import ElementTree

import pytest
from ibapi.contract import Contract
from ibapi.scanner import ScannerSubscription

from gateway_simulator.default_listings import default_listings
from gateway_simulator.gateway import Gateway
from gateway_simulator.greeks import black_scholes, implied_volatility
from gateway_simulator.hosting import HostedGateway
from gateway_simulator.message_ids import In
from gateway_simulator.requests_screens import SCANS
from gateway_simulator.settings import GatewaySettings
from gateway_simulator.wire import frame
from tests.gateway_simulator.gateways import wait_until
from tests.gateway_simulator.official import Official, official, order, stock


@pytest.fixture(scope="module")
def host() -> Iterator[HostedGateway]:
    settings = GatewaySettings(messages_per_s_max=0, market_every_s=0.0)
    with HostedGateway(lambda: Gateway(settings)) as started:
        yield started


_client_ids = count(50)  # the gateway lets go of an id a moment after its client has left


@pytest.fixture
def client(host: HostedGateway) -> Iterator[Official]:
    with official(host.port, next(_client_ids)) as connected:
        connected.wait("nextValidId")
        yield connected


def subscription(code: str, **fields: object) -> ScannerSubscription:
    made = ScannerSubscription()
    made.instrument, made.locationCode, made.scanCode = "STK", "STK.US.MAJOR", code
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def set_change(host: HostedGateway, con_id: int, last: str) -> None:
    """Let a share stand far above what it closed at: its path goes on behind it."""

    def act(gateway: Gateway) -> None:
        price = Decimal(last)
        gateway.market.set_quote(con_id, price - Decimal("0.01"), price + Decimal("0.01"))

    host.call(act)


def test_a_scan_orders_what_is_listed(host: HostedGateway, client: Official) -> None:
    """Gainers backwards are losers; rows, prices and the exchange narrow it."""
    for number, code in ((1, "TOP_PERC_GAIN"), (2, "TOP_PERC_LOSE")):
        client.reqScannerSubscription(number, subscription(code), [], [])
    client.wait("scannerDataEnd", 2)
    told = {
        n: [w[2].contract.symbol for w in client.told("scannerData") if w[0] == n] for n in (1, 2)
    }
    listed = {
        item.symbol
        for item in default_listings(date(2026, 6, 5))
        if item.sec_type == "STK" and item.currency == "USD"
    }
    assert set(told[1]) == set(told[2]) == listed
    assert told[1][0] == told[2][-1]
    assert [w[1] for w in client.told("scannerData") if w[0] == 1] == list(range(len(listed)))
    set_change(host, 265598, "99999")
    narrow = subscription("MOST_ACTIVE_USD", numberOfRows=3, abovePrice=90_000.0)
    client.reqScannerSubscription(3, narrow, [], [])
    arca = subscription("MOST_ACTIVE", locationCode="STK.US.ARCA", instrument="ETF.EQ.US")
    client.reqScannerSubscription(4, arca, [], [])
    client.wait("scannerDataEnd", 4)
    rows = {
        n: {w[2].contract.symbol for w in client.told("scannerData") if w[0] == n} for n in (3, 4)
    }
    assert rows == {3: {"AAPL"}, 4: {"SPY", "IWM", "GLD"}}
    for _ in range(2):
        client.cancelScannerSubscription(1)
    wait_until(lambda: client.error_codes(1) == [365])
    host.call(lambda gateway: gateway.market.release_quote(265598))


def test_a_scan_says_what_it_may_be(client: Official) -> None:
    """A code that is none, and a scan that finds nothing; the parameters name what there is."""
    client.reqScannerSubscription(1, subscription("BY_LUCK"), [], [])
    client.reqScannerSubscription(2, subscription("MOST_ACTIVE", abovePrice=1e9), [], [])
    wait_until(lambda: client.error_codes(1) == [162] and client.error_codes(2) == [165])
    (text,) = [w[3] for w in client.told("error") if w[0] == 1]
    assert "scan code must be one of TOP_PERC_GAIN" in text
    assert "BY_LUCK" in text
    client.reqScannerParameters()
    ((parameters,),) = client.wait("scannerParameters")
    root = ElementTree.fromstring(parameters)
    assert [found.text for found in root.iter("scanCode")] == list(SCANS)


def test_a_histogram_holds_what_the_bars_traded(client: Official) -> None:
    """Each price once, upwards, where the days have been; a bad period gets its error."""
    client.reqHistogramData(1, stock("AAPL"), True, "3 days")
    ((_, rows),) = client.wait("histogramData")
    prices = [row.price for row in rows]
    assert len(prices) > 20
    assert prices == sorted(set(prices))
    client.reqHistoricalData(2, stock("AAPL"), "", "3 D", "1 day", "TRADES", 1, 1, False, [])
    client.wait("historicalDataEnd")
    bars = [words[1] for words in client.told("historicalData")]
    low, high = min(float(bar.low) for bar in bars), max(float(bar.high) for bar in bars)
    assert low * 0.97 < prices[0] < prices[-1] < high * 1.03
    client.reqHistogramData(3, stock("AAPL"), True, "a while")
    client.reqHistogramData(4, stock("NOBODY"), True, "3 days")
    wait_until(lambda: client.error_codes(3) == [321] and client.error_codes(4) == [200])


def option(symbol: str = "SPY", strike: float = 540.0) -> Contract:
    contract = stock(symbol)
    contract.secType, contract.right, contract.strike = "OPT", "C", strike
    contract.lastTradeDateOrContractMonth = f"{datetime.now(UTC).year + 2}12"
    return contract


def test_prices_and_volatilities_of_options_agree(client: Official) -> None:
    """The price at a volatility, asked back, gives it again; what cannot be has its error."""
    client.calculateOptionPrice(1, option(), 0.35, 560.0, [])
    asked = client.wait("tickOptionComputation")[0]
    assert (asked[0], asked[1], asked[10]) == (1, 53, 560.0)
    assert asked[3] == pytest.approx(0.35)
    assert 0.5 < asked[4] < 0.9  # the delta of a call near its strike, two years before its end
    client.calculateImpliedVolatility(2, option(), asked[5], 560.0, [])
    back = client.wait("tickOptionComputation", 2)[1]
    assert back[3] == pytest.approx(0.35, abs=1e-6)
    assert back[5] == pytest.approx(asked[5], rel=1e-9)
    client.calculateImpliedVolatility(3, option(), 600.0, 560.0, [])
    client.calculateImpliedVolatility(4, option(), -1.0, 560.0, [])
    client.calculateOptionPrice(5, stock("AAPL"), 0.3, 200.0, [])
    client.cancelCalculateImpliedVolatility(2)
    wait_until(lambda: [client.error_codes(n) for n in (3, 4, 5)] == [[321], [321], [200]])


@pytest.mark.parametrize("volatility", [0.01, 0.2, 3.0])
def test_implied_volatility_undoes_the_price(volatility: float) -> None:
    for right in "CP":
        price = black_scholes(100.0, 95.0, 0.5, volatility, right).price
        found = implied_volatility(price, 100.0, 95.0, 0.5, right)
        assert found is not None
        assert black_scholes(100.0, 95.0, 0.5, found, right).price == pytest.approx(price, abs=1e-9)


def test_what_the_account_may_not_have_is_refused(client: Official) -> None:
    """Fundamentals, the calendar of events, advisors' data, exercise: an error for each."""
    # Newer clients do not ask for fundamentals any more, older ones do.
    client.conn.sendMsg(frame([In.REQ_FUNDAMENTALS, 2, 1, 265598, "AAPL", *[""] * 5, "RESC", 0]))
    client.conn.sendMsg(frame([In.CANCEL_FUNDAMENTALS, 1, 1]))
    client.reqWshMetaData(2)
    client.cancelWshMetaData(2)
    client.requestFA(1)
    client.exerciseOptions(3, option(), 1, 1, "DU1234567", 0, "", "", False)
    wait_until(lambda: [client.error_codes(n) for n in (1, 2, 3)] == [[10358], [10276], [322]])
    wait_until(lambda: 321 in client.error_codes(-1))
    assert 505 not in client.error_codes(-1)
    client.reqCurrentTime()
    client.wait("currentTime")


def test_a_continuous_future_is_the_first_contract(client: Official) -> None:
    """It has the id and the history of the contract that ends first, and cannot be traded."""
    contract = stock("ES")
    contract.exchange, contract.secType = "CME", "CONTFUT"
    client.reqContractDetails(1, contract)
    client.wait("contractDetailsEnd")
    contract.secType = "FUT"
    client.reqContractDetails(2, contract)
    client.wait("contractDetailsEnd", 2)
    contract.secType = "FUT+CONTFUT"
    client.reqContractDetails(3, contract)
    client.wait("contractDetailsEnd", 3)
    told = {
        n: [w[1].contract for w in client.told("contractDetails") if w[0] == n] for n in (1, 2, 3)
    }
    assert len(told[2]) > 1
    first = min(told[2], key=lambda item: item.lastTradeDateOrContractMonth)
    ((only,), both) = told[1], told[3]
    assert (only.secType, only.conId) == ("CONTFUT", first.conId)
    assert [item.secType for item in both] == ["FUT"] * len(told[2]) + ["CONTFUT"]
    client.reqHistoricalData(4, only, "", "2 D", "1 day", "TRADES", 0, 1, False, [])
    client.wait("historicalDataEnd")
    client.placeOrder(5, only, order())
    wait_until(lambda: client.error_codes(5) != [])
    assert client.told("orderStatus") == []


def test_weeks_and_months_are_dated_by_their_last_session(client: Official) -> None:
    """As the gateway dates them: Friday for a whole week, the day before the end for a cut one."""
    end = "20230905 18:00:00 UTC"
    for number, size in ((1, "1 week"), (2, "1 month")):
        client.reqHistoricalData(number, stock("SPY"), end, "6 W", size, "TRADES", 1, 1, False, [])
    client.wait("historicalDataEnd", 2)
    told = {n: [w[1].date for w in client.told("historicalData") if w[0] == n] for n in (1, 2)}
    assert told[1][-3:] == ["20230825", "20230901", "20230905"]
    assert told[2][-2:] == ["20230831", "20230905"]
