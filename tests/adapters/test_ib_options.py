"""Option chains over TCP: terms, a snapshot with greeks, and a stream that survives a loss."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import date
from decimal import Decimal

import pytest
from ib_async import Contract

from adapters.brokers.ib_session import IbSession, IbSettings
from adapters.feeds.ib_options import IbOptionChains, OptionQuote
from gateway_simulator.clock import Clock
from gateway_simulator.faults import FaultKind
from gateway_simulator.gateway import Gateway
from gateway_simulator.hosting import HostedGateway
from gateway_simulator.settings import GatewaySettings
from tests.gateway_simulator.gateways import do
from tests.swarm_core.builders import NOW_NS

AAPL = Contract(conId=265598, symbol="AAPL", secType="STK")
JULY_S = 1_783_000_000
END = date(2026, 9, 18)


@pytest.fixture
def host() -> Iterator[HostedGateway]:
    begun_ns = time.time_ns()
    clock = Clock(lambda: JULY_S * 10**9 + time.time_ns() - begun_ns)
    asked = GatewaySettings(market_every_s=0.0, messages_per_s_max=0)
    with HostedGateway(lambda: Gateway(asked, clock=clock)) as started:
        set_share(started, 200)
        yield started


@pytest.fixture
def chains(host: HostedGateway) -> Iterator[IbOptionChains]:
    reach = IbSettings(
        port=host.port, client_id=14, answer_s_max=5.0, backoff_s_min=0.01, backoff_s_max=0.05
    )
    session = IbSession(reach, trades=False)
    session.open()
    yield IbOptionChains(session, lambda: NOW_NS)
    session.close()


def set_share(host: HostedGateway, price: int) -> None:
    bid = Decimal(price) - Decimal("0.01")
    host.call(lambda g: g.market.set_quote(AAPL.conId, bid, bid + Decimal("0.02")))


def test_a_chain_names_its_ends_and_strikes(chains: IbOptionChains) -> None:
    (smart,) = [t for t in chains.terms(AAPL) if t.exchange == "SMART"]
    assert (smart.underlying_id, smart.multiplier) == (265598, "100")
    assert END in smart.expirations
    assert Decimal(200) in smart.strikes
    assert list(smart.strikes) == sorted(smart.strikes)


def test_a_snapshot_has_greeks_that_fit_each_other(chains: IbOptionChains) -> None:
    """Delta falls with the strike; call and put of one strike differ by one; none is made up."""
    strikes = [Decimal(n) for n in (180, 200, 220, 999)]
    quotes = chains.snapshot("AAPL", END, strikes)
    calls = [q for q in quotes if q.right == "C"]
    puts = {q.strike: q for q in quotes if q.right == "P"}
    assert [q.strike for q in calls] == [180, 200, 220]  # 999 is not listed
    deltas = [q.delta for q in calls if q.delta is not None]
    assert deltas == sorted(deltas, reverse=True)
    for call in calls:
        put = puts[call.strike]
        assert call.delta is not None
        assert put.delta is not None
        assert call.delta - put.delta == pytest.approx(1.0)
        assert call.underlying_price == pytest.approx(200.0)
        assert call.bid is not None
        assert call.ask is not None
        assert call.bid < call.ask


@pytest.mark.parametrize("loss", [None, FaultKind.UPSTREAM_BACK_DATA_LOST, FaultKind.RESTART])
def test_greeks_stream_through_a_loss(
    host: HostedGateway, chains: IbOptionChains, loss: FaultKind | None
) -> None:
    """The share rises, and so does the call's delta, whatever became of the subscription."""

    async def first(stream: AsyncIterator[OptionQuote], spot: float) -> OptionQuote:
        async for quote in stream:
            if quote.underlying_price == pytest.approx(spot):
                return quote
        raise AssertionError("the stream must not end")

    async def play() -> tuple[OptionQuote, OptionQuote]:
        stream = chains.stream("AAPL", END, [Decimal(200)], ["C"])
        before = await asyncio.wait_for(first(stream, 200.0), 10)
        if loss is not None:
            await asyncio.to_thread(do, host, loss)
        await asyncio.to_thread(set_share, host, 220)
        after = await asyncio.wait_for(first(stream, 220.0), 10)
        await stream.aclose()  # type: ignore[attr-defined]  # a generator
        return before, after

    before, after = asyncio.run(play())
    assert before.delta is not None
    assert after.delta is not None
    assert after.delta > before.delta
