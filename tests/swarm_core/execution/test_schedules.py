"""Schedules: whole lots that add up, the published optimum, and costs that order them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from swarm_core.execution.costs import (
    ImpactModel,
    MarketSlice,
    expected_cost,
    implementation_shortfall,
)
from swarm_core.execution.schedules import (
    ScheduleKind,
    almgren_chriss,
    at_once,
    best_kappa,
    choose,
    pov,
    twap,
    vwap,
    whole_lots,
)

MODEL = ImpactModel(spread_half=0.01, temporary_per_lot=2e-4, permanent_per_lot=2e-5)


@given(
    st.lists(st.floats(0.0, 1e6), min_size=1, max_size=40).filter(lambda v: sum(v) > 1e-3),
    st.integers(0, 10**9),
)
def test_lots_add_up_and_no_slice_is_more_than_one_off(shape: list[float], total: int) -> None:
    weights = np.array(shape)
    lots = whole_lots(weights, total)
    assert lots.sum() == total
    assert (lots >= 0).all()
    assert np.abs(lots - weights / weights.sum() * total).max() <= 1.0 + 1e-6 * total


def test_twap_is_even_and_vwap_follows_the_volume() -> None:
    assert twap(10, 4).lots.tolist() == [2, 3, 3, 2]
    assert vwap(100, np.array([1.0, 3.0, 0.0, 1.0])).lots.tolist() == [20, 60, 0, 20]


def test_participation_is_never_passed_and_what_is_left_is_told() -> None:
    volume = np.array([105.0, 50.0, 300.0])
    schedule = pov(60, volume, 0.1)
    assert schedule.lots.tolist() == [10, 5, 30]
    assert schedule.unfilled == 15
    assert pov(20, volume, 0.1).unfilled == 0
    assert pov(29, np.array([100.0]), 0.29).unfilled == 0


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, -7.0])
def test_volume_that_is_none_gives_a_share_of_it_no_room(broken: float) -> None:
    assert pov(60, np.array([105.0, broken, 300.0]), 0.1).lots.tolist() == [10, 0, 30]
    assert pov(60, np.array([1e300, 5.0]), 1.0).lots.tolist() == [60, 0]


def test_more_lots_than_a_double_counts_leave_no_slice_negative() -> None:
    for seed in range(100, 400):
        shape = np.random.default_rng(seed).random(15) ** 8
        lots = whole_lots(shape, 2**53 - 1)
        assert (lots >= 0).all()
        assert lots.sum() == 2**53 - 1


def test_almgren_chriss_is_the_optimum_of_its_own_objective() -> None:
    """A free numerical minimisation of cost + lambda variance finds the published trajectory."""
    lots, slices, risk = 100_000, 8, 3e-5
    market = MarketSlice(volume=np.ones(slices) * 1e6, sigma_slice=0.5)
    kappa = best_kappa(MODEL, market.sigma_slice, risk)

    def objective(share: np.ndarray) -> float:
        q = np.append(share, 1.0 - share.sum()) * lots
        cost = expected_cost(q, market, MODEL)
        return (cost.mean + risk * cost.variance) / 1e6

    found = minimize(objective, np.full(slices - 1, 1.0 / slices), tol=1e-14).x
    ours = almgren_chriss(lots, slices, kappa).lots / lots
    np.testing.assert_allclose(ours[:-1], found, atol=2e-4)


def test_more_aversion_trades_earlier_and_none_is_even() -> None:
    calm, hasty = almgren_chriss(10_000, 10, 0.05), almgren_chriss(10_000, 10, 1.0)
    assert hasty.lots[0] > calm.lots[0] > 1_000
    assert almgren_chriss(10_000, 10, 0.0).lots.tolist() == [1_000] * 10
    assert almgren_chriss(10_000, 10, 500.0).lots.tolist() == [10_000] + [0] * 9


def test_the_cheapest_schedule_is_chosen() -> None:
    volume = np.array([9_000.0, 1_000.0, 1_000.0, 9_000.0])
    quiet = MarketSlice(volume=volume, sigma_slice=0.0)
    best, cost = choose(5_000, quiet, MODEL, risk_aversion=0.0)
    assert best.kind is ScheduleKind.VWAP
    for other in (twap(5_000, 4), almgren_chriss(5_000, 4, 0.5)):
        assert cost.mean < expected_cost(other.lots, quiet, MODEL).mean
    wild = MarketSlice(volume=np.full(4, 5_000.0), sigma_slice=3.0)
    assert choose(5_000, wild, MODEL, risk_aversion=1e-3)[0].kind is ScheduleKind.ALMGREN_CHRISS


def test_shortfall_is_what_the_fills_lost_against_arrival() -> None:
    prices, lots = np.array([10.1, 10.3]), np.array([100, 50])
    assert implementation_shortfall(10.0, prices, lots, buy=True) == pytest.approx(25.0)
    assert implementation_shortfall(10.0, prices, lots, buy=False, fees=2.0) == pytest.approx(-23.0)


def test_an_order_that_gains_nothing_by_waiting_leaves_at_once() -> None:
    market = MarketSlice(volume=np.full(4, 1e6), sigma_slice=0.5)
    assert choose(1, market, MODEL)[0].kind is ScheduleKind.AT_ONCE
    assert at_once(7, 3).lots.tolist() == [7, 0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: twap(1, 0), "slices must be at least 1, was 0"),
        (lambda: pov(1, np.ones(2), 0.0), r"participation must be in \(0, 1\], was 0.0"),
        (lambda: whole_lots(np.array([-1.0, 2.0]), 3), "shape must be non-negative"),
        (lambda: almgren_chriss(1, 2, float("nan")), "kappa must be finite"),
        (
            lambda: MarketSlice(volume=np.zeros(3), sigma_slice=0.1),
            "volume must be finite, non-neg",
        ),
        (lambda: MarketSlice(volume=np.array([np.inf]), sigma_slice=0.1), "volume must be finite"),
        (lambda: pov(-5, np.ones(2), 0.1), "lots must not be negative, were -5"),
        (lambda: best_kappa(MODEL, 0.1, -1e-9), "risk_aversion must be finite and not negative"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]  # a table of thunks
