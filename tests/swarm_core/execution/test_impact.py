"""What fills of worked orders teach about impact, and how that changes the way of the next."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.execution.impact import PRIOR_PRECISION, ImpactEstimate, WorkingForecast
from swarm_core.execution.working import (
    CostAssumptions,
    ParentOrder,
    WorkingPlan,
    WorkingSettings,
    plan_working,
)

BEGUN = WorkingForecast(
    instrument_id="US.A", schedule="twap", lots=100, arrival_ticks=1_000, touch=1.0, impact=20.0,
    deviation=10.0,
)  # fmt: skip
LOT_TICK = 10**6  # a cent
PARENT = ParentOrder(lots=50_000, arrival_ticks=1_000, lot_value=10.0, daily_volume_lots=10**6)


def told(estimate: ImpactEstimate, forecast: WorkingForecast, worse_ticks: int, lots: int) -> None:
    """Let a plan of one buy order begin, fill and end."""
    estimate.start([forecast])
    estimate.fill("US.A", lots, forecast.arrival_ticks + worse_ticks, LOT_TICK)
    estimate.end()


def plan(coefficient: float = 1.0, parent: ParentOrder = PARENT, **costs: float) -> WorkingPlan:
    settings = WorkingSettings(kind=None, costs=CostAssumptions(**costs))
    return plan_working(
        "d", ("US.A",), (0.0,), (0.1,), parents={"US.A": parent}, settings=settings, start_ns=0,
        impact_coefficient=coefficient,
    )  # fmt: skip


def test_an_order_moves_the_coefficient_as_the_posterior_of_a_normal_prior_moves() -> None:
    estimate = ImpactEstimate()
    told(estimate, BEGUN, 41, 100)  # 41 dollars worse, one of them the touch: twice the impact
    information = (20.0 / 10.0) ** 2
    assert estimate.precision == PRIOR_PRECISION + information
    expected = (PRIOR_PRECISION * 1.0 + information * 2.0) / (PRIOR_PRECISION + information)
    assert estimate.coefficient == pytest.approx(expected)


def test_the_true_coefficient_is_found_within_its_own_error() -> None:
    rng, estimate = np.random.default_rng(3), ImpactEstimate()
    for _ in range(400):
        impact = float(rng.uniform(1.0, 20.0))
        cost = 1.0 + 2.5 * impact + 30.0 * rng.standard_normal()
        told(estimate, replace(BEGUN, impact=impact, deviation=30.0), round(cost), 100)
    assert abs(estimate.mean - 2.5) < 3.0 / np.sqrt(estimate.precision)
    assert estimate.precision > 10 * PRIOR_PRECISION


def test_an_order_that_is_small_beside_the_noise_says_next_to_nothing() -> None:
    estimate = ImpactEstimate()
    told(estimate, replace(BEGUN, impact=0.1, deviation=100.0), 500, 100)
    assert estimate.coefficient == pytest.approx(1.0, abs=0.01)


def test_half_an_order_is_held_against_a_quarter_of_the_impact() -> None:
    estimate = ImpactEstimate()
    told(estimate, BEGUN, 11, 50)  # 5.50 worse: half of the touch and a quarter of 20
    assert estimate.coefficient == pytest.approx(1.0)


def test_what_a_split_has_moved_or_is_of_no_plan_teaches_nothing() -> None:
    estimate = ImpactEstimate()
    estimate.start([BEGUN])
    estimate.fill("US.A", 100, 2_000, LOT_TICK)
    estimate.fill("US.B", 100, 2_000, LOT_TICK)
    estimate.forget("US.A")
    estimate.end()
    estimate.end()
    assert (estimate.mean, estimate.precision) == (1.0, PRIOR_PRECISION)


@given(st.lists(st.tuples(st.integers(-(10**9), 10**9), st.integers(1, 200)), max_size=30))
def test_whatever_fills_tell_the_coefficient_stays_within_a_tenth_and_ten(
    fills: list[tuple[int, int]],
) -> None:
    estimate = ImpactEstimate()
    for ticks, lots in fills:
        told(estimate, BEGUN, ticks, lots)
    assert 0.1 <= estimate.coefficient <= 10.0


def test_an_order_is_worked_only_where_that_is_expected_to_pay() -> None:
    """Impact spreads an order, a moving price hastens it; a lot or two leave at once."""
    (dear,) = plan(risk_aversion=0.0, impact_bps=50.0).forecasts
    (wild,) = plan(risk_aversion=1.0, volatility_bps=2_000.0).forecasts
    (small,) = plan(parent=replace(PARENT, lots=1)).forecasts
    assert dear.schedule in ("twap", "vwap")
    assert wild.schedule == "at_once"
    assert small.schedule == "at_once"
    assert plan(risk_aversion=1.0, volatility_bps=2_000.0).done_ppm == (10**6,) * 6


def test_a_market_that_is_not_known_is_not_waited_for() -> None:
    unknown = plan(parent=replace(PARENT, daily_volume_lots=None))
    assert unknown.forecasts == ()
    assert unknown.done_ppm == (10**6,) * 6


def test_a_dearer_impact_spreads_the_order_and_is_not_learned_twice() -> None:
    """The forecast on record is at a coefficient of 1, whatever the plan was made at."""
    cheap, dear = plan(0.1, risk_aversion=2e-5), plan(10.0, risk_aversion=2e-5)
    assert dear.done_ppm[0] < cheap.done_ppm[0]
    assert dear.impact_coefficient == 10.0
    (even,) = plan(10.0, risk_aversion=0.0).forecasts
    (same,) = plan(1.0, risk_aversion=0.0).forecasts
    assert even.impact == pytest.approx(same.impact)


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ({"impact_bps": 0.0}, r"impact_bps must be in \[0.01, 10000\], was 0.0"),
        ({"risk_aversion": float("nan")}, r"risk_aversion must be in \[0, 1\], was nan"),
        ({"day_minutes": 0.0}, r"day_minutes must be in \[1, 1440\], was 0.0"),
    ],
)
def test_assumptions_out_of_bounds_give_one_line(costs: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CostAssumptions(**costs)
