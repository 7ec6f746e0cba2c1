"""The live feed over TCP: quotes, bars, what is halted or delayed, and what survives a loss."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.brokers.ib_session import IbSettings
from adapters.feeds.five_second_bars import BarBuilder, Piece
from adapters.feeds.ib_feed import IbFeed, IbFeedSettings
from gateway_simulator.error_codes import Code
from gateway_simulator.faults import Fault, FaultKind
from gateway_simulator.gateway import Gateway
from gateway_simulator.listings import Asked, Listing
from swarm_core.market import Bar, Quote
from tests.gateway_simulator.gateways import A_ID, make_gateway
from tests.swarm_core.builders import INSTRUMENTS, NOW_NS, A, B, make_instrument

Items = AsyncIterator[Bar | Quote]


@asynccontextmanager
async def streaming(
    settings: IbFeedSettings | None = None, **fields: object
) -> AsyncIterator[tuple[Gateway, IbFeed, Items]]:
    """Start a gateway and a feed of A and B on it."""
    gateway = make_gateway(**fields)
    await gateway.start()
    reach = IbSettings(
        port=gateway.port,
        client_id=12,
        answer_s_max=2.0,
        backoff_s_min=0.01,
        backoff_s_max=0.05,
        pulse_s=0.2,
    )
    shown = {i: INSTRUMENTS[i] for i in (A, B)}
    feed = IbFeed(reach, shown, now_ns=lambda: NOW_NS, settings=settings)
    items = feed.stream()
    try:
        yield gateway, feed, items
    finally:
        await items.aclose()  # type: ignore[attr-defined]  # a generator
        await gateway.stop()


async def wait_for(items: Items, wanted: Callable[[Bar | Quote], bool]) -> Bar | Quote:
    """Return the first item that is wanted; TimeoutError where none comes."""

    async def search() -> Bar | Quote:
        async for item in items:
            if wanted(item):
                return item
        raise AssertionError("the feed must not end")

    return await asyncio.wait_for(search(), 10)


def quoted(instrument_id: str, bid: int) -> Callable[[Bar | Quote], bool]:
    return lambda i: (
        isinstance(i, Quote) and i.instrument_id == instrument_id and i.bid_ticks == bid
    )


def test_quotes_are_told_with_both_sides() -> None:
    """Bid, ask, their middle, a typical day's volume, and the moment they were heard at."""

    async def play() -> None:
        async with streaming() as (_, __, items):
            quote = await wait_for(items, quoted(A, 9_999))
            assert isinstance(quote, Quote)
            assert (quote.ask_ticks, quote.reference_ticks) == (10_001, 10_000)
            assert (quote.time_ns, quote.session_open) == (NOW_NS, None)
            whole = await wait_for(
                items, lambda i: isinstance(i, Quote) and i.daily_volume_lots is not None
            )
            assert isinstance(whole, Quote)
            assert whole.daily_volume_lots == 5_000_000

    asyncio.run(play())


@pytest.mark.parametrize("loss", ["1101", "restart", "half open"])
def test_subscriptions_are_made_again_after_a_loss(loss: str) -> None:
    """What moves afterwards is told, whichever way the connection was lost."""

    async def play() -> None:
        async with streaming() as (gateway, _, items):
            await wait_for(items, quoted(A, 9_999))
            kinds = {
                "1101": (FaultKind.UPSTREAM_LOST, FaultKind.UPSTREAM_BACK_DATA_LOST),
                "restart": (FaultKind.RESTART,),
                "half open": (FaultKind.HALF_OPEN,),
            }
            for kind in kinds[loss]:
                gateway.faults.add(Fault(kind=kind))
            gateway.market.set_quote(A_ID, Decimal(110), Decimal("110.02"))
            await wait_for(items, quoted(A, 11_000))

    asyncio.run(play())


@pytest.mark.parametrize("kind", [FaultKind.UPSTREAM_BACK_DATA_LOST, FaultKind.RESTART])
def test_every_tick_is_told_through_a_loss(kind: FaultKind) -> None:
    """Each change of the quote, one after the other, before and after."""

    async def play() -> None:
        async with streaming(IbFeedSettings(every_tick=True)) as (gateway, _, items):
            await wait_for(items, quoted(A, 9_999))
            assert any(key[0] == "tick" for s in gateway.sessions for key in s.tasks)
            gateway.faults.add(Fault(kind=kind))
            gateway.market.set_quote(A_ID, Decimal(101), Decimal("101.02"))
            await wait_for(items, quoted(A, 10_100))
            assert any(key[0] == "tick" for s in gateway.sessions for key in s.tasks)

    asyncio.run(play())


def test_a_loss_while_subscriptions_are_made_leaves_one_of_each() -> None:
    """The first round waits for the contract when the data are lost: it does not go on."""

    async def play() -> None:
        settings = IbFeedSettings(bar_s=5)
        async with streaming(settings, real_time_bar_s=3_600.0) as (gateway, _, items):
            asked = gateway.find_listings
            answers = 0

            def lose_data_at_the_first(description: Asked) -> list[Listing]:
                nonlocal answers
                answers += 1
                if answers == 1:
                    gateway.set_upstream(Code.UPSTREAM_BACK_DATA_LOST)
                return asked(description)

            gateway.find_listings = lose_data_at_the_first  # type: ignore[method-assign]
            await wait_for(items, quoted(B, 9_999))
            await asyncio.sleep(0.1)  # nothing more may come
            (session,) = gateway.sessions
            kinds = sorted(kind for kind, _ in session.tasks)
            assert kinds == ["bars", "bars", "market", "market"]

    asyncio.run(play())


def test_bars_are_put_together_while_they_come() -> None:
    async def play() -> None:
        settings = IbFeedSettings(bar_s=5)
        async with streaming(settings, real_time_bar_s=0.1) as (_, __, items):
            bar = await wait_for(items, lambda i: isinstance(i, Bar))
            assert isinstance(bar, Bar)
            assert (bar.close_ticks, bar.high_ticks, bar.low_ticks) == (10_000,) * 3
            assert bar.time_ns - (bar.open_time_ns or 0) == 5 * 10**9

    asyncio.run(play())


def test_delayed_data_are_dated_back() -> None:
    """Without a subscription nothing is told; where delayed data are allowed they are old."""

    async def play() -> None:
        settings = IbFeedSettings(delayed=True)
        async with streaming(settings, unsubscribed=frozenset({"A"})) as (_, __, items):
            quote = await wait_for(
                items, lambda i: isinstance(i, Quote) and i.time_ns == NOW_NS - 900 * 10**9
            )
            assert isinstance(quote, Quote)
            assert quote.instrument_id == A

    asyncio.run(play())


def test_an_unknown_instrument_is_named_and_the_others_are_told() -> None:
    async def play() -> None:
        async with streaming() as (_, feed, items):
            feed.contracts.instruments["US.NOBODY"] = make_instrument("US.NOBODY")
            await wait_for(items, quoted(B, 9_999))
            assert "one contract must answer" in feed.refused["US.NOBODY"]

    asyncio.run(play())


PIECES = st.lists(st.integers(0, 400), min_size=1, max_size=60, unique=True).map(sorted)


@given(PIECES, st.sampled_from([5, 15, 60]))
def test_no_piece_is_lost_and_none_counts_twice(numbers: list[int], bar_s: int) -> None:
    """Volumes of the bars and of what is still open sum up to the pieces', gaps or not."""
    builder = BarBuilder(INSTRUMENTS[A], bar_s)
    bars: list[Bar] = []
    for number in numbers:
        piece = Piece(number * 5, 100.0, 101.0, 99.0, 100.5, 10.0)
        bars += builder.add(piece)
        assert builder.add(replace(piece, close=1.0)) == []  # told again: left out
    open_pieces = len(builder._pieces)
    assert sum(bar.volume_lots or 0 for bar in bars) == 10 * (len(numbers) - open_pieces)
    times = [bar.time_ns for bar in bars]
    assert times == sorted(set(times))
    assert all(time_ns % (bar_s * 10**9) == 0 for time_ns in times)
