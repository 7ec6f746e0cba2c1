"""Auctions and day orders in minute bars, by hand, in the loop and step by step alike."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from swarm_core.backtest import columns as c
from swarm_core.backtest.bars import Bars
from swarm_core.backtest.orders import OrderPlan
from swarm_core.backtest.settings import EngineSettings
from swarm_core.commissions import BpsCommission
from swarm_core.fills import FillSettings
from swarm_core.frictions.latency import Latency
from swarm_core.instruments import Instrument
from swarm_core.orders import Order, OrderKind, OrderSide, TimeInForce
from swarm_core.risk.limits import LOOSEST
from tests.swarm_core.backtest.markets import MINUTE_NS, NONE
from tests.swarm_core.backtest.stories import (
    Story,
    compiled_story,
    told_both_ways,
)

SHARES = [Instrument(instrument_id=n, asset_class="equity", currency="USD") for n in "AB"]
FREE = EngineSettings(
    starting_cash=Decimal(1_000_000),
    limits=replace(LOOSEST, duplicate_window_s=0.0),
    commission=BpsCommission(Decimal(0)),
    fills=FillSettings(participation_fraction_max=1.0, slippage_bps=0.0, impact_bps=0.0),
)
DAY, GTC = TimeInForce.DAY, TimeInForce.GOOD_TILL_CANCELLED
# Five minutes, a half day of three, four minutes; half an hour lies between two sessions. Bar k
# opens at 1000 + 10k and closes at 1005 + 10k.
LENGTHS = (5, 3, 4)
SENDS = Mapping[int, Sequence[Order]]


def minutes(*, missing: Sequence[tuple[int, int]] = (), volume: int = 1_000_000) -> Bars:
    count = sum(LENGTHS)
    day = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    time_ns = (1 + np.arange(count) + 30 * day) * MINUTE_NS
    open_ = np.repeat((1_000 + 10 * np.arange(count))[:, None], 2, axis=1)
    close = open_ + 5
    for t, i in missing:
        close[t, i] = NONE
    return Bars.of(
        SHARES, time_ns, close, open_=open_, high=open_ + 7, low=open_ - 2,
        volume=np.full(close.shape, volume), open_ns=time_ns - MINUTE_NS, session=100 + day,
    )  # fmt: skip


def order(
    t: int, lots: int, kind: OrderKind, force: TimeInForce = DAY, limit: int | None = None,
    name: str = "A",
) -> Order:  # fmt: skip
    return Order(
        decision_id=f"bar-{t}", instrument_id=name, side=OrderSide.BUY, quantity_lots=lots,
        kind=kind, time_in_force=force, limit_price_ticks=limit, slice_index=lots,
    )  # fmt: skip


def tell(bars: Bars, sends: SENDS, settings: EngineSettings = FREE) -> Story:
    """Return what becomes of orders that are sent at the closes of bars, told by both ways."""
    sent = [list(sends.get(t, ())) for t in range(len(bars.market.time_ns))]
    return told_both_ways(bars, settings, sent)


def fills(story: Story) -> list[tuple[int, int, int]]:
    """Return the bar, lots and ticks of each fill."""
    return [(row[1], row[4], row[5]) for row in story.rows["fills"]]


def expired(story: Story) -> list[tuple[int, int]]:
    """Return the bar and the lots of each order that expired."""
    return [(row[1], row[3]) for row in story.rows["changes"] if row[2] == c.EXPIRED]


def late(milliseconds: int = 0, bars: int = 0) -> EngineSettings:
    latency = Latency(milliseconds=milliseconds, bars=bars)
    return replace(FREE, fills=replace(FREE.fills, latency=latency))


def test_an_order_on_close_fills_at_the_last_minutes_close_of_its_session() -> None:
    """Sent in minute 1 it waits for minute 4; sent at that close, for the half day's, minute 7."""
    kind = OrderKind.MARKET_ON_CLOSE
    story = tell(minutes(), {1: [order(1, 10, kind)], 4: [order(4, 20, kind)]})
    assert fills(story) == [(4, 10, 1_045), (7, 20, 1_075)]
    assert expired(story) == []


def test_an_order_on_open_fills_at_the_first_minutes_open_of_the_next_session() -> None:
    kind = OrderKind.MARKET_ON_OPEN
    story = tell(minutes(), {1: [order(1, 10, kind)], 4: [order(4, 20, kind)]})
    assert fills(story) == [(5, 10, 1_050), (5, 20, 1_050)]


def test_limits_of_the_auctions_hold_at_the_auction_alone() -> None:
    """1,045 at the close and 1,050 at the open: a tick less trades nothing, minutes may pass it."""
    on_close, on_open = OrderKind.LIMIT_ON_CLOSE, OrderKind.LIMIT_ON_OPEN
    sends = {
        1: [
            order(1, 10, on_close, limit=1_045),
            order(1, 11, on_close, limit=1_044),
            order(1, 12, on_open, limit=1_050),
            order(1, 13, on_open, limit=1_049),
            order(1, 14, on_close, GTC, limit=1_044),
        ]
    }
    story = tell(minutes(), sends)
    assert fills(story) == [(4, 10, 1_045), (5, 12, 1_050)]
    assert expired(story) == [(4, 11), (5, 13)]


def test_a_day_order_lives_to_the_end_of_its_session_and_no_longer() -> None:
    """A limit of 900 is never reached: it ends with minute 4, sent later with the half day's 7."""
    sends = {
        0: [order(0, 10, OrderKind.LIMIT, limit=900), order(0, 11, OrderKind.LIMIT, limit=1_018)],
        4: [order(4, 20, OrderKind.LIMIT, limit=900)],
        5: [order(5, 30, OrderKind.LIMIT, GTC, limit=900)],
    }
    story = tell(minutes(), sends)
    assert fills(story) == [(1, 11, 1_010)]
    assert expired(story) == [(4, 10), (7, 20)]


def test_what_the_auctions_volume_does_not_carry_expires() -> None:
    tenth = replace(FREE, fills=replace(FREE.fills, participation_fraction_max=0.1))
    sends = {
        1: [order(1, 30, OrderKind.MARKET_ON_OPEN), order(1, 40, OrderKind.MARKET_ON_CLOSE)],
        2: [order(2, 25, OrderKind.MARKET)],
    }
    story = tell(minutes(volume=100), sends, tenth)
    assert fills(story) == [(3, 10, 1_030), (4, 10, 1_040), (5, 10, 1_050)]
    assert expired(story) == [(4, 5), (4, 40), (5, 20)]


@pytest.mark.parametrize(
    ("milliseconds", "bar", "ticks"), [(59_999, 4, 1_045), (60_000, 7, 1_075), (60_001, 7, 1_075)]
)
def test_what_arrives_at_the_close_is_too_late_for_it(
    milliseconds: int, bar: int, ticks: int
) -> None:
    sends = {3: [order(3, 10, OrderKind.MARKET_ON_CLOSE)]}
    assert fills(tell(minutes(), sends, late(milliseconds))) == [(bar, 10, ticks)]


@pytest.mark.parametrize(("milliseconds", "bar", "ticks"), [(0, 5, 1_050), (1, 8, 1_080)])
def test_what_arrives_after_the_opening_waits_for_the_next(
    milliseconds: int, bar: int, ticks: int
) -> None:
    """Half an hour after the close of minute 4 minute 5 opens."""
    pause = 30 * 60_000
    sends = {4: [order(4, 10, OrderKind.MARKET_ON_OPEN)]}
    assert fills(tell(minutes(), sends, late(pause + milliseconds))) == [(bar, 10, ticks)]


@pytest.mark.parametrize(("sent", "bar", "ticks"), [(2, 4, 1_045), (3, 7, 1_075)])
def test_an_order_that_misses_a_bar_misses_its_auction(sent: int, bar: int, ticks: int) -> None:
    sends = {sent: [order(sent, 10, OrderKind.MARKET_ON_CLOSE)]}
    assert fills(tell(minutes(), sends, late(bars=1))) == [(bar, 10, ticks)]


def test_without_a_last_minute_there_is_no_closing_auction_and_the_day_is_over() -> None:
    """B has no minute 4: its orders for the day end there, and on open it meets its own first."""
    bars = minutes(missing=[(4, 1), (5, 1)])
    sends = {
        1: [
            order(1, 10, OrderKind.MARKET_ON_CLOSE, name="B"),
            order(1, 11, OrderKind.LIMIT, limit=900, name="B"),
            order(1, 12, OrderKind.MARKET_ON_OPEN, name="B"),
            order(1, 13, OrderKind.MARKET_ON_CLOSE, GTC, name="B"),
        ]
    }
    story = tell(bars, sends)
    assert expired(story) == [(4, 10), (4, 11)]
    assert fills(story) == [(6, 12, 1_060), (7, 13, 1_075)]


def test_bars_walked_in_parts_know_their_sessions() -> None:
    """Cut in the middle of sessions, the auctions stay where they are."""
    bars, sends = minutes(), {1: [order(1, 10, OrderKind.MARKET_ON_OPEN)]}
    sent = [list(sends.get(t, ())) for t in range(12)]

    def walk(test, b):  # type: ignore[no-untyped-def]  # a test's own
        for at, part in enumerate(b.parts(2)):
            test.place_orders(part, OrderPlan.of(sent[2 * at : 2 * at + 2], ["A", "B"]))

    assert fills(compiled_story(bars, FREE, walk)) == [(5, 10, 1_050)]
