"""Slippage, latency and price limits: worked by hand, and beside exact decimals."""

from decimal import ROUND_CEILING, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.fills import FillSettings, fill_of
from swarm_core.frictions.latency import Latency
from swarm_core.frictions.price_limits import PriceLimits
from swarm_core.frictions.slippage import (
    BpsSlippage,
    SlippageModel,
    SquareRootSlippage,
    TickSlippage,
    VolumeShareSlippage,
)
from swarm_core.market import Bar
from swarm_core.orders import OrderKind, OrderSide
from tests.swarm_core.builders import A, make_order

MODELS = st.one_of(
    st.builds(BpsSlippage, st.decimals(0, 1_000, places=2)),
    st.builds(TickSlippage, st.integers(0, 1_000)),
    st.builds(VolumeShareSlippage, st.decimals(0, 10, places=3)),
    st.builds(
        SquareRootSlippage, st.decimals(0, 1_000, places=2), st.decimals(0, 10_000, places=2)
    ),
)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (BpsSlippage(Decimal(5)), 50),  # 100,000 ticks x 0.0005
        (TickSlippage(3), 3),
        (VolumeShareSlippage(Decimal("0.1")), 625),  # 100,000 x 0.1 x (1/4)^2
        (SquareRootSlippage(Decimal(1), Decimal(10)), 60),  # 1 bp + 10 bps x sqrt(1/4)
    ],
)
def test_what_2500_of_10000_lots_cost_at_100000_ticks(model: SlippageModel, expected: int) -> None:
    assert model.cost_ticks(100_000, 2_500, 10_000) == expected


def test_a_fraction_of_a_tick_is_rounded_against_the_order() -> None:
    assert BpsSlippage(Decimal(1)).cost_ticks(9_999, 1, None) == 1
    assert BpsSlippage(Decimal(1)).cost_ticks(10_001, 1, None) == 2


@given(model=MODELS, base=st.integers(-(10**9), 10**9), lots=st.integers(1, 10**9))
def test_slippage_is_never_negative_and_grows_with_the_lots(
    model: SlippageModel, base: int, lots: int
) -> None:
    costs = [model.cost_ticks(base, n, 10**9) for n in (max(1, lots // 2), lots)]

    assert 0 <= costs[0] <= costs[1]


@given(
    impact=st.decimals("0.001", 1, places=3),
    base=st.integers(1, 10**6),
    lots=st.integers(1, 10**4),
)
def test_volume_share_is_the_decimal_formula_to_the_tick(
    impact: Decimal, base: int, lots: int
) -> None:
    share = Decimal(lots * 10**6 // 10**4) / 10**6
    exact = (base * impact * share * share).to_integral_value(ROUND_CEILING)

    assert VolumeShareSlippage(impact).cost_ticks(base, lots, 10**4) == int(exact)


def test_without_a_reported_volume_only_the_fixed_part_is_paid() -> None:
    assert VolumeShareSlippage().cost_ticks(10_000, 5, None) == 0
    assert SquareRootSlippage(Decimal(2)).cost_ticks(10_000, 5, None) == 2


def test_a_chosen_model_takes_the_place_of_the_square_root() -> None:
    settings = FillSettings(participation_fraction_max=1.0, slippage=TickSlippage(7))
    fill = fill_of(make_order(), 10, 0, Bar(instrument_id=A, time_ns=9, close_ticks=100), settings)

    assert fill is not None
    assert fill.price_ticks == 107


def test_orders_of_one_bar_share_its_volume() -> None:
    settings = FillSettings(participation_fraction_max=0.1, slippage=TickSlippage(0))
    seen = Bar(instrument_id=A, time_ns=9, close_ticks=100, volume_lots=1_000)
    fills = [fill_of(make_order(lots=80), 80, 0, seen, settings, taken_lots=n) for n in (0, 80)]

    assert [f.lots for f in fills if f is not None] == [80, 20]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: BpsSlippage(Decimal(-1)), r"bps must be in \[0, 1000\], was -1"),
        (lambda: BpsSlippage(Decimal("NaN")), r"bps must be in \[0, 1000\], was NaN"),
        (lambda: TickSlippage(1_001), r"ticks must be in \[0, 1000\], was 1001"),
        (lambda: VolumeShareSlippage(Decimal(11)), r"price_impact must be in \[0, 10\], was 11"),
        (lambda: Latency(bars=-1), r"bars of a latency must be in 0\.\.1000, was -1"),
        (lambda: PriceLimits(Decimal(0)), r"fraction of price limits must be in \(0, 1\], was 0"),
    ],
)
def test_a_setting_out_of_bounds_gives_one_line(make: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make()  # type: ignore[operator]  # a builder of what is refused


def test_the_band_of_a_price_limit_is_rounded_inward() -> None:
    assert PriceLimits(Decimal("0.1")).band(1_005) == (905, 1_105)  # 904.5 and 1105.5


@pytest.mark.parametrize(
    ("side", "kind", "limit", "close", "expected"),
    [
        (OrderSide.BUY, OrderKind.MARKET, None, 1_100, None),  # limit up: nobody sells
        (OrderSide.SELL, OrderKind.MARKET, None, 1_100, 1_099),
        (OrderSide.SELL, OrderKind.MARKET, None, 900, None),  # limit down: nobody buys
        (OrderSide.BUY, OrderKind.MARKET, None, 900, 901),
        (OrderSide.BUY, OrderKind.LIMIT, 1_200, 1_100, None),
        (OrderSide.BUY, OrderKind.MARKET, None, 1_099, 1_100),  # slippage stops at the band
    ],
)
def test_at_a_price_limit_only_one_side_trades(
    side: OrderSide, kind: OrderKind, limit: int | None, close: int, expected: int | None
) -> None:
    seen = PriceLimits(Decimal("0.1")).bounded(
        Bar(instrument_id=A, time_ns=9, close_ticks=close), reference_ticks=1_000
    )
    settings = FillSettings(participation_fraction_max=1.0, slippage=TickSlippage(1))
    fill = fill_of(make_order(side=side, kind=kind, limit=limit), 10, 0, seen, settings)

    assert (None if fill is None else fill.price_ticks) == expected


def test_nothing_trades_in_a_halted_bar() -> None:
    seen = Bar(instrument_id=A, time_ns=9, close_ticks=100, is_halted=True)

    assert fill_of(make_order(), 10, 0, seen, FillSettings()) is None
