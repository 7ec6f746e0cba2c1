"""Orders for auctions that came after the cut-off, by hand, in the loop and step by step alike.

The market is that of `test_sessions`: minutes 0 to 4, a half day of 5 to 7, then 8 to 11. Bar k
closes at minute k + 1 of its day and opens at 1000 + 10k.
"""

from dataclasses import replace

import numpy as np
import pytest

from swarm_core.backtest.bars import Bars
from swarm_core.backtest.settings import EngineSettings
from swarm_core.fills import FillSettings
from swarm_core.frictions.auction_cutoffs import CUTOFFS, AuctionCutoffs
from swarm_core.frictions.latency import Latency
from swarm_core.instruments import Instrument
from swarm_core.orders import OrderKind
from tests.swarm_core.backtest.markets import DAY_NS, MINUTE_NS
from tests.swarm_core.backtest.test_sessions import FREE, expired, fills, minutes, order, tell

ON_CLOSE, ON_OPEN = OrderKind.MARKET_ON_CLOSE, OrderKind.MARKET_ON_OPEN


def with_cutoffs(milliseconds: int = 0, **given: object) -> EngineSettings:
    fills_of: FillSettings = replace(
        FREE.fills,
        cutoffs=AuctionCutoffs(**given),  # type: ignore[arg-type]  # fields of the class
        latency=Latency(milliseconds=milliseconds),
    )
    return replace(FREE, fills=fills_of)


@pytest.mark.parametrize(
    ("sent", "milliseconds", "bar"), [(2, 0, 4), (2, 1, 7), (3, 0, 7), (5, 0, 7), (5, 1, 11)]
)
def test_what_comes_after_the_cut_off_waits_for_the_next_sessions_close(
    sent: int, milliseconds: int, bar: int
) -> None:
    """Two minutes before the close of minute 4 are the close of minute 2, not a ms later.

    The half day closes with minute 7, so its cut-off is the close of minute 5.
    """
    story = tell(
        minutes(), {sent: [order(sent, 10, ON_CLOSE)]}, with_cutoffs(milliseconds, close_s=120)
    )
    assert fills(story) == [(bar, 10, 1_005 + 10 * bar)]
    assert expired(story) == []


def test_what_is_refused_ends_unfilled_at_the_auction_that_it_missed() -> None:
    refusing = with_cutoffs(close_s=120, late_expires=True)
    story = tell(minutes(), {2: [order(2, 10, ON_CLOSE)], 3: [order(3, 20, ON_CLOSE)]}, refusing)
    assert fills(story) == [(4, 10, 1_045)]
    assert expired(story) == [(4, 20)]


def test_an_opening_has_a_cut_off_of_its_own() -> None:
    """Sent at the close of minute 4 an order comes half an hour before the next day's opening.

    That is in time for a cut-off of 29 minutes, and just so for one of 30; with a second more it
    meets the third day's opening, bar 8.
    """
    for open_s, bar in ((29 * 60, 5), (30 * 60, 5), (30 * 60 + 1, 8)):
        story = tell(minutes(), {4: [order(4, 10, ON_OPEN)]}, with_cutoffs(open_s=open_s))
        assert fills(story) == [(bar, 10, 1_000 + 10 * bar)]
    refusing = with_cutoffs(open_s=30 * 60 + 1, late_expires=True)
    story = tell(minutes(), {4: [order(4, 10, ON_OPEN)]}, refusing)
    assert fills(story) == []
    assert expired(story) == [(5, 10)]


def test_limits_for_auctions_and_other_orders_are_told_apart() -> None:
    """A late limit on close is late as well; a market or a limit order knows no cut-off."""
    sends = {
        3: [
            order(3, 10, OrderKind.LIMIT_ON_CLOSE, limit=2_000),
            order(3, 20, OrderKind.MARKET),
            order(3, 30, OrderKind.LIMIT, limit=1_041),
        ]
    }
    story = tell(minutes(), sends, with_cutoffs(close_s=120, open_s=7_200, late_expires=True))
    assert fills(story) == [(4, 20, 1_040), (4, 30, 1_040)]
    assert expired(story) == [(4, 10)]


def daily(venue: str) -> Bars:
    """Return three sessions of one bar, from 14:30 to 21:00 UTC."""
    share = Instrument(instrument_id="A", asset_class="equity", currency="USD", venue=venue)
    time_ns = (20_000 + np.arange(3)) * DAY_NS + 21 * 60 * MINUTE_NS
    close = np.array([[1_005], [1_015], [1_025]])
    return Bars.of([share], time_ns, close, open_=close - 5, open_ns=time_ns - 390 * MINUTE_NS)


@pytest.mark.parametrize(
    ("venue", "kind", "before_s", "bar"),
    [
        ("XNYS", ON_CLOSE, 600, 1),
        ("XNYS", ON_CLOSE, 599, 2),
        ("XNAS", ON_CLOSE, 300, 1),
        ("XNAS", ON_CLOSE, 299, 2),
        ("ARCX", ON_CLOSE, 60, 1),
        ("ARCX", ON_CLOSE, 59, 2),
        ("XNAS", ON_OPEN, 120, 1),
        ("XNAS", ON_OPEN, 119, 2),
        ("XNYS", ON_OPEN, 1, 1),
        ("XLON", ON_CLOSE, 30, 1),
        ("XLON", ON_CLOSE, 29, 2),
    ],
)
def test_each_exchange_has_its_own_and_others_what_is_given(
    venue: str, kind: OrderKind, before_s: int, bar: int
) -> None:
    """Sent at the first close, an order arrives so long before the second session's auction.

    London is not in the table: its orders must come half a minute before, as is given here.
    """
    bars = daily(venue)
    auction = bars.market.open_ns if kind is ON_OPEN else bars.market.time_ns
    lag = int(auction[1] - bars.market.time_ns[0]) / 1e9 - before_s
    chosen = with_cutoffs(by_exchange=True, close_s=30, open_s=30)
    story = tell(bars, {0: [order(0, 10, kind)]}, replace(chosen, decision_lag_s=lag))
    ticks = (1_000 if kind is ON_OPEN else 1_005) + 10 * bar
    assert fills(story) == [(bar, 10, ticks)]


def test_without_cut_offs_the_auction_takes_what_comes_before_it() -> None:
    bars = daily("XNYS")
    story = tell(bars, {0: [order(0, 10, ON_CLOSE)]}, replace(FREE, decision_lag_s=86_399.0))
    assert fills(story) == [(1, 10, 1_015)]


def test_the_table_has_whole_seconds_of_at_most_an_hour() -> None:
    assert {"XNYS", "XNAS"} <= set(CUTOFFS)
    for venue, cutoffs in CUTOFFS.items():
        assert len(venue) == 4
        assert all(0 <= seconds <= 3_600 for seconds in cutoffs)


def test_a_cut_off_that_does_not_hold_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"close_s of auction_cutoffs must be in 0..86400, was -1"):
        AuctionCutoffs(close_s=-1)
