"""Fills beside every way that a price may have gone through a bar: never better than the worst."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_core.fills import FillSettings, fill_of
from swarm_core.market import Bar
from swarm_core.orders import Order, OrderKind, OrderSide
from tests.swarm_core.builders import A, make_order

FREE = FillSettings(participation_fraction_max=1.0, slippage_bps=0, impact_bps=0)
KINDS = (OrderKind.MARKET, OrderKind.LIMIT, OrderKind.STOP, OrderKind.STOP_LIMIT)


def walks(bar: Bar) -> Iterator[list[int]]:
    """Give the two ways through a bar: low first or high first, tick by tick."""
    low, high, start = bar.low_ticks, bar.high_ticks, bar.open_ticks
    assert low is not None
    assert high is not None
    assert start is not None
    for turns in ((start, low, high, bar.close_ticks), (start, high, low, bar.close_ticks)):
        path = [turns[0]]
        for target in turns[1:]:
            step = 1 if target > path[-1] else -1
            path.extend(range(path[-1] + step, target + step, step) if target != path[-1] else [])
        yield path


def traded(order: Order, path: list[int]) -> int | None:
    """Return where an order trades along a path: a second author's reading of each kind."""
    buys = order.side is OrderSide.BUY
    waits = order.stop_price_ticks is not None
    limit, stop = order.limit_price_ticks, order.stop_price_ticks
    for tick in path:
        if waits and stop is not None and (tick >= stop if buys else tick <= stop):
            waits = False
        if not waits and (limit is None or (tick <= limit if buys else tick >= limit)):
            return tick
    return None


@st.composite
def drawn_bars(draw: st.DrawFn) -> Bar:
    prices = [draw(st.integers(80, 120)) for _ in range(4)]
    return Bar(
        instrument_id=A,
        time_ns=10,
        open_ticks=prices[0],
        high_ticks=max(prices),
        low_ticks=min(prices),
        close_ticks=prices[1],
    )


@st.composite
def drawn_orders(draw: st.DrawFn) -> Order:
    kind = draw(st.sampled_from(KINDS))
    return make_order(
        side=draw(st.sampled_from(OrderSide)),
        kind=kind,
        limit=draw(st.integers(78, 122)) if kind.has_limit else None,
        stop_price_ticks=draw(st.integers(78, 122)) if kind.has_stop else None,
    )


@settings(max_examples=300, deadline=None)
@given(order=drawn_orders(), bar=drawn_bars())
def test_a_fill_is_the_worst_of_the_ways_through_the_bar(order: Order, bar: Bar) -> None:
    fill = fill_of(order, 10, 0, bar, FREE)
    ways = [traded(order, path) for path in walks(bar)]

    if None in ways:  # some way leaves it unfilled, and that is the worst
        assert fill is None
    else:
        assert fill is not None
        worst = max if order.side is OrderSide.BUY else min
        assert fill.price_ticks == worst(way for way in ways if way is not None)
