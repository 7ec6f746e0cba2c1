"""ib_async against the simulator, over TCP: contracts, data, history, news, orders."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from ib_async import CFD, IB, Contract, Crypto, Forex, Future, Index, LimitOrder, Option, Stock

from gateway_simulator.gateway import Gateway
from gateway_simulator.hosting import HostedGateway
from gateway_simulator.settings import GatewaySettings

_ANSWER_S_MAX = 30  # an answer takes milliseconds, and the machine may be busy


@pytest.fixture(scope="module")
def host() -> Iterator[HostedGateway]:
    settings = GatewaySettings(
        real_time_bar_s=0.2,
        market_every_s=0.05,
        messages_per_s_max=0,
        paces_history=False,
        unsubscribed=frozenset({"TSLA"}),
    )
    with HostedGateway(lambda: Gateway(settings)) as started:
        yield started


class Talk:
    """ib_async on a loop of its own, so that a test can wait for it step by step.

    The loop is this thread's while it lasts: what a test asks for between two waits is more than 45
    messages a second at times, and ib_async puts what it holds back on the loop of the thread.
    """

    def __init__(self, port: int, client_id: int) -> None:
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.ib = IB()
        self.run(lambda: self.ib.connectAsync("127.0.0.1", port, clientId=client_id, timeout=5))

    def run(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask on the loop and wait for the answer; TimeoutError where none comes."""

        async def answer() -> Any:
            return await asyncio.wait_for(ask(), _ANSWER_S_MAX)

        return self.loop.run_until_complete(answer())

    def until(self, holds: Any) -> None:
        async def wait() -> None:
            while not holds():  # the client speaks by its state
                await asyncio.sleep(0.01)

        self.run(lambda: wait())

    def qualify(self, contract: Contract) -> Contract:
        (found,) = self.run(lambda: self.ib.qualifyContractsAsync(contract))
        assert found is not None
        return found

    def close(self) -> None:
        self.ib.disconnect()
        asyncio.set_event_loop(None)
        self.loop.close()


@pytest.fixture(scope="module")
def talk(host: HostedGateway) -> Iterator[Talk]:
    made = Talk(host.port, 11)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("asked", "con_id"),
    [
        (Stock("AAPL", "SMART", "USD"), 265598),
        (Stock("SPY", "SMART", "USD"), 756733),
        (Forex("EURUSD"), 12087792),
        (Crypto("BTC", "PAXOS", "USD"), 479624278),
        (Index("SPX", "CBOE"), 416904),
    ],
    ids=["share", "fund", "currency", "coin", "index"],
)
def test_a_contract_is_qualified(talk: Talk, asked: Contract, con_id: int) -> None:
    assert talk.qualify(asked).conId == con_id


def test_what_is_not_named_in_full_has_several_answers(talk: Talk) -> None:
    """A share in three currencies, a future without its end, an option without its right."""
    assert len(talk.run(lambda: talk.ib.reqContractDetailsAsync(Stock("SHEL")))) == 3
    ends = talk.run(lambda: talk.ib.reqContractDetailsAsync(Future("ES", exchange="CME")))
    assert len(ends) == 4
    one = talk.qualify(Future("ES", ends[0].contract.lastTradeDateOrContractMonth, "CME"))
    assert (one.multiplier, one.localSymbol[:2]) == ("50", "ES")
    assert talk.qualify(CFD("IBM", "SMART", "USD")).secType == "CFD"


def test_an_option_chain_is_found_and_has_greeks(talk: Talk) -> None:
    """Ends and strikes by the underlying; then prices, implied volatility and greeks."""
    chains = talk.run(lambda: talk.ib.reqSecDefOptParamsAsync("AAPL", "", "STK", 265598))
    chain = next(c for c in chains if c.exchange == "SMART")
    strike = min(chain.strikes, key=lambda s: abs(s - 220))
    option = talk.qualify(Option("AAPL", chain.expirations[1], strike, "C", "SMART"))
    ticker = talk.ib.reqMktData(option)
    talk.until(lambda: ticker.modelGreeks is not None)

    greeks = ticker.modelGreeks
    assert 0 < greeks.delta < 1
    assert greeks.gamma > 0
    assert greeks.vega > 0
    assert greeks.theta < 0
    assert greeks.undPrice > 0
    talk.ib.cancelMktData(option)


def test_quotes_stream_and_stop(talk: Talk) -> None:
    share = talk.qualify(Stock("MSFT", "SMART", "USD"))
    ticker = talk.ib.reqMktData(share, "233")
    talk.until(lambda: ticker.bid > 0 and ticker.ask > ticker.bid and ticker.rtVolume > 0)
    assert ticker.marketDataType == 1
    assert ticker.low <= ticker.last <= ticker.high
    talk.ib.cancelMktData(share)
    (once,) = talk.run(lambda: talk.ib.reqTickersAsync(share))
    assert once.bid > 0


def test_data_that_are_not_subscribed_come_delayed(talk: Talk) -> None:
    """Error 354 for live data; with type 3 the delayed ticks come under their own numbers."""
    share = talk.qualify(Stock("TSLA", "SMART", "USD"))
    with errors_heard(talk) as codes:
        talk.ib.reqMktData(share)
        talk.until(lambda: 354 in codes)
        talk.ib.cancelMktData(share)
        talk.ib.reqMarketDataType(3)
        ticker = talk.ib.reqMktData(share)
        talk.until(lambda: ticker.last > 0)
    assert ticker.marketDataType == 3
    assert 10167 in codes
    talk.ib.cancelMktData(share)
    talk.ib.reqMarketDataType(1)


def test_ticks_and_bars_stream(talk: Talk) -> None:
    share = talk.qualify(Stock("NVDA", "SMART", "USD"))
    seen: list[Any] = []
    ticker = talk.ib.reqTickByTickData(share, "BidAsk")
    ticker.updateEvent += lambda t: seen.extend(t.tickByTicks)
    bars = talk.ib.reqRealTimeBars(share, 5, "TRADES", useRTH=False)
    talk.until(lambda: seen and len(bars) >= 2)
    assert seen[0].askPrice > seen[0].bidPrice
    assert bars[0].low <= bars[0].close <= bars[0].high
    talk.ib.cancelTickByTickData(share, "BidAsk")
    talk.ib.cancelRealTimeBars(bars)


def ask_history(talk: Talk, contract: Contract, **asked: Any) -> Coroutine[Any, Any, Any]:
    values = {
        "endDateTime": datetime(2026, 6, 5, 20, 0, tzinfo=UTC),
        "durationStr": "2 D",
        "barSizeSetting": "5 mins",
        "whatToShow": "TRADES",
        "useRTH": True,
        **asked,
    }
    return talk.ib.reqHistoricalDataAsync(contract, **values)


def history(talk: Talk, contract: Contract, **asked: Any) -> Any:
    return talk.run(lambda: ask_history(talk, contract, **asked))


def test_history_is_the_same_whenever_it_is_asked_for(talk: Talk) -> None:
    """156 bars of five minutes in two sessions; a longer request holds the same bars."""
    share = talk.qualify(Stock("IBM", "SMART", "USD"))
    short, long = history(talk, share), history(talk, share, durationStr="3 D")
    assert len(short) == 156
    assert list(long[-156:]) == list(short)
    assert all(bar.low <= min(bar.open, bar.close) for bar in short)
    assert all(bar.high >= max(bar.open, bar.close) for bar in short)
    days = history(talk, share, durationStr="1 M", barSizeSetting="1 day")
    assert all(day.date.weekday() < 5 for day in days)
    assert days[-1].close == short[-1].close


@contextmanager
def errors_heard(talk: Talk) -> Iterator[list[int]]:
    """Write down the numbers of the errors that come within the block."""
    heard: list[int] = []

    def note(_: int, code: int, *__: object) -> None:
        heard.append(code)

    talk.ib.errorEvent += note
    try:
        yield heard
    finally:
        talk.ib.errorEvent -= note


def test_a_currency_has_no_trades(talk: Talk) -> None:
    """162 for its trades; its middle prices are there around the clock."""
    pair = talk.qualify(Forex("EURUSD"))
    with errors_heard(talk) as heard:
        assert not list(history(talk, pair))
    assert heard == [162]
    assert len(history(talk, pair, whatToShow="MIDPOINT", durationStr="1 D")) == 192


@pytest.mark.parametrize("asked", [{"barSizeSetting": "7 mins"}, {"durationStr": "long"}])
def test_history_in_no_known_form_is_refused(talk: Talk, asked: dict[str, Any]) -> None:
    """Error 321; ib_async takes it for a warning and goes on waiting."""
    pair = talk.qualify(Forex("EURUSD"))
    with errors_heard(talk) as heard:
        waiting = talk.loop.create_task(ask_history(talk, pair, **asked))
        talk.until(lambda: heard)
        assert not waiting.done()
        waiting.cancel()
        talk.run(lambda: asyncio.wait([waiting]))
    assert heard == [321]


def test_history_goes_on_with_the_newest_bar(talk: Talk) -> None:
    coin = talk.qualify(Crypto("BTC", "PAXOS", "USD"))  # it trades at any hour
    bars = history(
        talk, coin, endDateTime="", durationStr="60 S", barSizeSetting="5 secs",
        whatToShow="MIDPOINT", useRTH=False, keepUpToDate=True,
    )  # fmt: skip
    told: list[bool] = []
    bars.updateEvent += lambda _, has_new: told.append(has_new)
    talk.until(lambda: told)
    talk.ib.cancelHistoricalData(bars)


def test_news_are_told_newest_first(talk: Talk) -> None:
    """Providers, headlines of a contract within a window, and the text of one."""
    providers = talk.run(lambda: talk.ib.reqNewsProvidersAsync())
    codes = "+".join(provider.code for provider in providers)
    start, end = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 8, tzinfo=UTC)
    news = talk.run(lambda: talk.ib.reqHistoricalNewsAsync(265598, codes, start, end, 10))
    times = [item.time for item in news]
    assert len(news) == 10
    assert times == sorted(times, reverse=True)
    assert all(datetime(2026, 5, 1) <= t < datetime(2026, 5, 8) for t in times)  # noqa: DTZ001
    article = talk.run(lambda: talk.ib.reqNewsArticleAsync(news[0].providerCode, news[0].articleId))
    assert news[0].headline in article.articleText


def test_what_an_order_would_do_is_told(talk: Talk) -> None:
    """Margin before, change and after; nothing is placed."""
    share = talk.qualify(Stock("AAPL", "SMART", "USD"))
    state = talk.run(lambda: talk.ib.whatIfOrderAsync(share, LimitOrder("BUY", 100, 300)))
    before, after = float(state.initMarginBefore), float(state.initMarginAfter)
    assert after - before == pytest.approx(float(state.initMarginChange))
    assert after > before
    assert state.commission == 1.0
    assert talk.run(lambda: talk.ib.reqAllOpenOrdersAsync()) == []


def test_a_bracket_takes_its_profit_and_drops_its_stop(host: HostedGateway, talk: Talk) -> None:
    """Nothing is sent before the last child; the filled target cancels the stop."""
    share = talk.qualify(Stock("GLD", "SMART", "USD"))
    host.call(lambda g: g.market.set_quote(share.conId, Decimal(200), Decimal("200.02")))
    bracket = talk.ib.bracketOrder("BUY", 10, 201, 210, 190)
    entry, target, stop = (talk.ib.placeOrder(share, order) for order in bracket)
    talk.until(lambda: entry.orderStatus.status == "Filled")
    talk.until(lambda: target.orderStatus.status == "Submitted")
    assert stop.orderStatus.status == "PreSubmitted"

    def rise(gateway: Gateway) -> None:
        gateway.market.set_quote(share.conId, Decimal(211), Decimal("211.02"))
        gateway.venue.on_market()

    host.call(rise)
    talk.until(lambda: target.orderStatus.status == "Filled")
    talk.until(lambda: stop.orderStatus.status == "Cancelled")
    assert target.orderStatus.avgFillPrice == 211
    held = {p.contract.conId: p.position for p in talk.run(lambda: talk.ib.reqPositionsAsync())}
    assert not held.get(share.conId)


def test_what_a_client_holds_back_for_its_pace_is_sent_in_the_end(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message in a twentieth of a second: the second is asked for while no loop runs."""
    monkeypatch.setattr(talk.ib.client, "MaxRequests", 1)
    monkeypatch.setattr(talk.ib.client, "RequestsInterval", 0.05)
    shares = [talk.qualify(Stock(name, "SMART", "USD")) for name in ("MSFT", "NVDA")]
    tickers = [talk.ib.reqMktData(share) for share in shares]
    talk.until(lambda: all(ticker.bid > 0 for ticker in tickers))
    for share in shares:
        talk.ib.cancelMktData(share)


def test_the_account_adds_up(talk: Talk) -> None:
    """Cash and positions make the net liquidation value, in updates and in the summary."""
    talk.run(lambda: talk.ib.accountSummaryAsync())
    summary = {v.tag: v.value for v in talk.run(lambda: talk.ib.accountSummaryAsync())}
    total = Decimal(summary["TotalCashValue"]) + Decimal(summary["GrossPositionValue"])
    assert Decimal(summary["NetLiquidation"]) == total
    pnl = talk.ib.reqPnL("DU1234567")
    talk.until(lambda: pnl.dailyPnL == pnl.dailyPnL)  # no longer NaN
    talk.ib.cancelPnL("DU1234567")
