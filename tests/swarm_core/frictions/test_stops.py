"""Stop orders worked by hand: gaps, worst cases inside a bar, and what follows a trigger."""

import pytest

from swarm_core.fills import FillSettings, bar_rank, fill_of, find_trigger_ticks
from swarm_core.market import Bar
from swarm_core.orders import OrderKind, OrderSide
from tests.swarm_core.builders import A, make_order

FREE = FillSettings(participation_fraction_max=1.0, slippage_bps=0, impact_bps=0)
BUY, SELL = OrderSide.BUY, OrderSide.SELL


def bar(open_: int | None, high: int | None, low: int | None, close: int, **fields: object) -> Bar:
    return Bar(
        instrument_id=A,
        time_ns=10,
        open_ticks=open_,
        high_ticks=high,
        low_ticks=low,
        close_ticks=close,
        **fields,  # type: ignore[arg-type]  # a builder of any field
    )


def price(
    side: OrderSide, stop: int, seen: Bar, limit: int | None = None, **fields: bool
) -> int | None:
    kind = OrderKind.STOP if limit is None else OrderKind.STOP_LIMIT
    order = make_order(side=side, stop_price_ticks=stop, limit=limit, kind=kind)
    fill = fill_of(order, 10, 5, seen, FREE, **fields)
    return None if fill is None else fill.price_ticks


@pytest.mark.parametrize(
    ("side", "stop", "expected"),
    [
        (BUY, 106, None),  # the high of 105 is below the stop
        (BUY, 105, 105),
        (BUY, 103, 103),
        (BUY, 98, 100),  # opened beyond the stop: a gap fills at the open
        (SELL, 94, None),
        (SELL, 95, 95),
        (SELL, 97, 97),
        (SELL, 103, 100),
    ],
)
def test_a_stop_trades_at_its_price_or_at_the_open_beyond_it(
    side: OrderSide, stop: int, expected: int | None
) -> None:
    assert price(side, stop, bar(100, 105, 95, 101)) == expected


@pytest.mark.parametrize(
    ("stop", "limit", "seen", "expected"),
    [
        (103, 104, bar(100, 105, 95, 101), 103),  # triggers inside, within the limit
        (98, 99, bar(100, 105, 95, 101), 99),  # gap over the limit, then comes back to it
        (98, 94, bar(100, 105, 95, 101), None),  # gap over the limit, never comes back
        (103, 97, bar(100, 105, 95, 101), None),  # the low may have come before the trigger
        (103, 101, bar(100, 105, 95, 101), 101),  # the close came after it for certain
        (110, 111, bar(100, 105, 95, 101), None),  # never triggered
        (101, 102, bar(None, None, None, 101), 101),  # closes alone: at the close
        (101, 102, bar(None, None, None, 103), None),
    ],
)
def test_a_stop_limit_takes_the_worst_that_the_bar_allows(
    stop: int, limit: int, seen: Bar, expected: int | None
) -> None:
    assert price(BUY, stop, seen, limit) == expected


def test_a_stop_that_triggered_before_is_a_market_or_limit_order() -> None:
    later = bar(90, 92, 88, 91)

    assert price(BUY, 103, later, is_triggered=True) == 90
    assert price(BUY, 103, later, 89, is_triggered=True) == 89
    assert price(BUY, 103, later, 87, is_triggered=True) is None


def test_a_stop_that_came_after_the_open_sees_the_close_alone() -> None:
    seen = bar(100, 105, 95, 101, open_time_ns=3)  # the order came at 5

    assert price(BUY, 104, seen) is None
    assert price(BUY, 101, seen) == 101


def test_a_stop_of_a_halted_instrument_does_not_trigger() -> None:
    order = make_order(kind=OrderKind.STOP, stop_price_ticks=90)

    assert find_trigger_ticks(order, 0, bar(100, 105, 95, 101, is_halted=True)) is None


def test_the_stop_of_a_bracket_trades_before_its_limit() -> None:
    stop = make_order(side=SELL, kind=OrderKind.STOP, stop_price_ticks=95)
    limit = make_order(side=SELL, limit=105, kind=OrderKind.LIMIT)
    close = make_order(side=SELL, kind=OrderKind.MARKET_ON_CLOSE)
    first = make_order(side=SELL)

    assert sorted([close, limit, stop, first], key=bar_rank) == [first, stop, limit, close]


@pytest.mark.parametrize(("limit", "expected"), [(100, None), (101, 101), (150, 101)])
def test_a_limit_on_close_trades_at_the_close_within_its_limit(
    limit: int, expected: int | None
) -> None:
    order = make_order(limit=limit, kind=OrderKind.LIMIT_ON_CLOSE)
    fill = fill_of(order, 10, 0, bar(90, 105, 80, 101), FREE)

    assert (None if fill is None else fill.price_ticks) == expected


def test_slippage_is_paid_on_a_stop_and_capped_by_the_limit_of_a_stop_limit() -> None:
    slips = FillSettings(participation_fraction_max=1.0, slippage_bps=100, impact_bps=0)
    seen = bar(10_000, 10_500, 9_500, 10_100)
    stop = make_order(kind=OrderKind.STOP, stop_price_ticks=10_200)
    capped = make_order(kind=OrderKind.STOP_LIMIT, stop_price_ticks=10_200, limit=10_250)

    fills = [fill_of(order, 10, 0, seen, slips) for order in (stop, capped)]

    assert [f.price_ticks for f in fills if f is not None] == [10_302, 10_250]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"kind": OrderKind.STOP}, "stop_price_ticks must be given exactly"),
        ({"stop_price_ticks": 5}, "stop_price_ticks must be given exactly"),
        ({"kind": OrderKind.STOP, "stop_price_ticks": 0}, "stop_price_ticks must be in 1"),
        ({"kind": OrderKind.STOP_LIMIT, "stop_price_ticks": 5}, "limit_price_ticks must be given"),
    ],
)
def test_a_stop_order_needs_its_prices(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make_order(**fields)  # type: ignore[arg-type]  # what is refused
