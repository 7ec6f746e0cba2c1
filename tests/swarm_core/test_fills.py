"""Simulated fills: never more than the market carries, never better than it offers."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from swarm_core.fills import FillSettings, fill_of, waits_for_auction
from swarm_core.market import Bar
from swarm_core.orders import Order, OrderKind, OrderSide
from tests.swarm_core.builders import A, make_order

FREE = FillSettings(participation_fraction_max=1.0, slippage_bps=0, impact_bps=0)


@st.composite
def bars(draw: st.DrawFn) -> Bar:
    prices = sorted(draw(st.lists(st.integers(1, 20_000), min_size=4, max_size=4)))
    first, last = draw(st.permutations(prices[1:3]))
    return Bar(
        instrument_id=A,
        time_ns=10,
        open_ticks=first,
        high_ticks=prices[3],
        low_ticks=prices[0],
        close_ticks=last,
        volume_lots=draw(st.none() | st.integers(0, 10_000)),
    )


orders = st.builds(
    make_order,
    lots=st.integers(1, 2_000),
    side=st.sampled_from(OrderSide),
    limit=st.none() | st.integers(1, 20_000),
)
settings_ = st.builds(
    FillSettings,
    participation_fraction_max=st.floats(0, 1),
    slippage_bps=st.floats(0, 100),
    impact_bps=st.floats(0, 1_000),
)


@given(order=orders, bar=bars(), settings=settings_)
def test_a_fill_is_no_larger_than_the_order_and_its_share_of_the_volume(
    order: Order, bar: Bar, settings: FillSettings
) -> None:
    fill = fill_of(order, order.quantity_lots, 0, bar, settings)
    if fill is None:
        return
    assert 0 < fill.lots <= order.quantity_lots
    if bar.volume_lots is not None:
        assert fill.lots <= bar.volume_lots * (settings.participation_fraction_max + 1e-6)


@given(order=orders, bar=bars(), settings=settings_)
def test_a_fill_is_never_better_than_the_market_nor_worse_than_the_limit(
    order: Order, bar: Bar, settings: FillSettings
) -> None:
    fill = fill_of(order, order.quantity_lots, 0, bar, settings)
    if fill is None:
        return
    sign, limit = order.side.sign, order.limit_price_ticks
    assert bar.open_ticks is not None
    assert fill.price_ticks >= 1
    if limit is None:
        assert sign * fill.price_ticks >= sign * bar.open_ticks or fill.price_ticks == 1
    else:
        assert sign * fill.price_ticks <= sign * limit


@given(bar=bars(), small=st.integers(1, 100), more=st.integers(0, 900))
def test_more_lots_never_pay_less(bar: Bar, small: int, more: int) -> None:
    settings = FillSettings(participation_fraction_max=1.0)
    prices = []
    for lots in (small, small + more):
        fill = fill_of(make_order(lots=lots), lots, 0, bar, settings)
        if fill is None or fill.lots < lots:
            return
        prices.append(fill.price_ticks)
    assert prices[0] <= prices[1]


def test_the_square_root_of_the_share_sets_the_impact() -> None:
    settings = FillSettings(participation_fraction_max=1.0, slippage_bps=1, impact_bps=10)
    bar = Bar(instrument_id=A, time_ns=10, close_ticks=1, open_ticks=100_000, volume_lots=10_000)

    fill = fill_of(make_order(lots=2_500), 2_500, 0, bar, settings)

    assert fill is not None
    assert fill.price_ticks == 100_060  # 1 bp + 10 bps x sqrt(1/4)


def test_a_series_of_closes_trades_at_its_next_close() -> None:
    bar = Bar(instrument_id=A, time_ns=10, close_ticks=777)

    fill = fill_of(make_order(lots=5), 5, 0, bar, FREE)

    assert fill is not None
    assert (fill.lots, fill.price_ticks) == (5, 777)


def test_an_open_that_passed_before_the_order_came_is_not_traded() -> None:
    bar = Bar(instrument_id=A, time_ns=10, open_ticks=100, close_ticks=110, open_time_ns=3)

    prices = [fill_of(make_order(), 10, at, bar, FREE) for at in (2, 4)]

    assert [f.price_ticks for f in prices if f is not None] == [100, 110]


def test_a_missed_opening_is_waited_for_in_minutes_and_not_where_a_bar_is_the_session() -> None:
    first = Bar(instrument_id=A, time_ns=10, open_time_ns=3, close_ticks=110, closes_session=False)
    order = make_order(kind=OrderKind.MARKET_ON_OPEN)

    def waits(bar: Bar, received_ns: int) -> bool:
        return waits_for_auction(order, received_ns, bar)

    assert [waits(first, at) for at in (2, 4)] == [False, True]
    assert waits(replace(first, opens_session=False), 2)
    assert not waits(replace(first, closes_session=True), 4)
    assert waits(replace(first, opens_session=False, closes_session=True), 4)


def test_a_limit_is_reached_within_the_bar_or_not_at_all() -> None:
    bar = Bar(
        instrument_id=A, time_ns=10, open_ticks=100, high_ticks=105, low_ticks=95, close_ticks=101
    )

    def price(limit: int, side: OrderSide) -> int | None:
        order = make_order(side=side, limit=limit, kind=OrderKind.LIMIT)
        fill = fill_of(order, 10, 0, bar, FREE)
        return None if fill is None else fill.price_ticks

    assert [price(x, OrderSide.BUY) for x in (94, 95, 97, 103)] == [None, 95, 97, 100]
    assert [price(x, OrderSide.SELL) for x in (106, 105, 103, 97)] == [None, 105, 103, 100]


def test_a_falling_price_stays_above_zero_but_a_negative_one_may_fall() -> None:
    settings = FillSettings(slippage_bps=1_000, participation_fraction_max=1.0)
    sell = make_order(side=OrderSide.SELL)

    fills = [
        fill_of(sell, 10, 0, Bar(instrument_id=A, time_ns=10, close_ticks=t), settings)
        for t in (1, -3_763)
    ]

    assert [f.price_ticks for f in fills if f is not None] == [1, -4_140]
