"""Vetoes stand outside the dynamics: whatever the colony wants, a limit holds."""

from dataclasses import replace

import numpy as np
import pytest

from swarm_core.colony import drones
from swarm_core.colony.decision import Decision, VetoCode
from swarm_core.colony.engine import new_state, step
from swarm_core.colony.observation import Observation
from swarm_core.colony.parameters import parameters
from swarm_core.colony.settings import ColonySettings
from tests.swarm_core.colony.builders import DAY_NS

IDS = tuple(f"US.{i}" for i in range(6))
EAGER: dict[str, object] = {
    "recruitment": {"enabled": False},
    "worker": {"engagement_enabled": False, "band_enabled": False, "cost_bps": 0.0},
    "trust": {"cost_bps": 0.0},
}


def make_observation(bar: int = 1, **changes: object) -> Observation:
    """Return a bar on which every scout of the forecast is sure."""
    observation = Observation(
        time_ns=bar * DAY_NS,
        instrument_ids=IDS,
        prices=np.full(6, 100.0 + bar),
        sigma=np.full(6, 0.01),
        features={"forecast": np.array([2.0, 2.0, 2.0, -2.0, -2.0, -2.0])},
        market={},
        weights=np.zeros(6),
        nav=1_000.0,
        sectors=tuple("abcabc"),
    )
    return replace(observation, **changes)  # type: ignore[arg-type]  # a builder's free keywords


def decide(
    *observations: Observation, changes: dict[str, object] | None = None, **options: object
) -> Decision:
    settings = ColonySettings.from_mapping(EAGER | (changes or {}))
    state = new_state(settings, IDS, 1)
    for observation in observations[:-1]:
        state, _ = step(settings, state, observation)
    return step(settings, state, observations[-1], **options)[1]  # type: ignore[arg-type]


def codes(decision: Decision) -> set[VetoCode]:
    return {veto.code for veto in decision.vetoes}


def test_without_a_reason_nothing_is_vetoed_and_something_is_wanted() -> None:
    decision = decide(make_observation())
    assert decision.vetoes == ()
    assert np.abs(decision.target_weights).min() > 0.0


def test_after_a_drawdown_only_reductions_pass_until_it_is_lifted() -> None:
    held = np.array([0.05, -0.05, 0.0, 0.0, 0.0, 0.0])
    fallen = make_observation(2, nav=790.0, weights=held)
    decision = decide(make_observation(1), fallen)
    assert codes(decision) == {VetoCode.DRAWDOWN}
    assert (np.abs(decision.target_weights) <= np.abs(held)).all()
    assert decision.target_weights[2:].tolist() == [0.0] * 4
    better = make_observation(3, nav=850.0)
    assert VetoCode.DRAWDOWN in codes(decide(make_observation(1), fallen, better))
    healed = make_observation(3, nav=950.0)
    assert decide(make_observation(1), fallen, healed).vetoes == ()


@pytest.mark.parametrize("age", [6 * 86_400.0, float("nan"), float("inf")])
def test_stale_data_hold_the_instrument(age: float) -> None:
    ages = np.zeros(6)
    ages[1] = age
    held = np.array([0.0, 0.03, 0.0, 0.0, 0.0, 0.0])
    decision = decide(make_observation(data_age_s=ages, weights=held))
    assert codes(decision) == {VetoCode.STALE_DATA}
    assert decision.target_weights[1] == 0.03
    assert decision.reasons[1] == "held: the data are older than their limit"


def test_an_odd_bar_holds_the_instrument() -> None:
    decision = decide(make_observation(), anomaly=np.array([0.0, 0.0, 0.95, 0.0, 0.0, 0.0]))
    assert codes(decision) == {VetoCode.ANOMALY}
    assert decision.target_weights[2] == 0.0


def test_too_much_exposure_may_only_shrink() -> None:
    held = np.full(6, 0.2) * 2.0
    decision = decide(make_observation(weights=held))
    assert VetoCode.EXPOSURE in codes(decision)
    assert (np.abs(decision.target_weights) <= held).all()
    assert (decision.target_weights >= 0.0).all()


def test_value_at_risk_over_its_limit_lets_only_reductions_through() -> None:
    decision = decide(make_observation(), changes={"drone": {"var_max": 1e-4}})
    assert VetoCode.VALUE_AT_RISK in codes(decision)
    assert np.abs(decision.target_weights).max() == 0.0


def test_a_name_that_grew_too_large_may_only_shrink() -> None:
    held = np.array([0.3, 0.0, 0.0, 0.0, 0.0, 0.0])
    decision = decide(make_observation(weights=held))
    assert VetoCode.CONCENTRATION in codes(decision)
    assert 0.0 <= decision.target_weights[0] <= 0.3


def test_danger_is_deposited_before_the_limit_is_reached() -> None:
    calm = decide(make_observation(1), make_observation(2, nav=990.0))
    tense = decide(make_observation(1), make_observation(2, nav=830.0))
    assert tense.vetoes == ()
    assert tense.trails[2].min() > calm.trails[2].max() == 0.0
    assert tense.diagnostics["threshold"].min() > calm.diagnostics["threshold"].max()


def test_a_name_that_nears_its_limit_is_in_danger_and_the_others_are_not() -> None:
    held = np.array([-0.2, 0.0, 0.1, 0.0, 0.0, 0.0])
    decision = decide(make_observation(weights=held))
    assert decision.vetoes == ()
    assert decision.trails[2, 0] > 0.0 == decision.trails[2, 1:].max()


@pytest.mark.parametrize("level", [0.5, 0.9, 0.975, 0.99, 0.999])
def test_before_there_are_bars_to_replay_the_tail_is_the_normal_laws_at_the_level_set(
    level: float,
) -> None:
    settings = ColonySettings.from_mapping({"drone": {"tail_level": level}})
    memory, numbers = new_state(settings, IDS, 1).memory, parameters(settings).drone
    found = drones.tail_risk(memory, 5, np.ones(6), numbers, 1.0)
    draws = np.sort(np.random.default_rng(1).standard_normal(2_000_000))
    tail = draws[int(level * len(draws)) :]
    np.testing.assert_allclose(found, (tail[0], tail.mean()), atol=0.03)


@pytest.mark.parametrize(
    ("weight", "ratio", "simple", "loss"),
    [
        (-1.0, 2.0, True, 1.0),  # a short through a doubling loses all that it was worth
        (1.0, 0.5, True, 0.5),
        (0.2, 0.95, True, 0.01),
        (-1.0, 2.0, False, np.log(2.0)),
        (1.0, 0.5, False, np.log(2.0)),
    ],
)
def test_the_tail_replays_what_a_book_would_have_lost(
    weight: float, ratio: float, simple: bool, loss: float
) -> None:
    settings = ColonySettings.from_mapping({"drone": {"simple_returns_enabled": simple}})
    memory, numbers = new_state(settings, ("A", "B"), 1).memory, parameters(settings).drone
    memory.log_price[:] = 0.0
    memory.log_price[15:, 0] = np.log(ratio)  # once, after bar 14; B has no price at all
    memory.log_price[:, 1] = np.nan
    found = drones.tail_risk(memory, 30, np.array([weight, 1.0]), numbers, 1.0)
    assert found == pytest.approx((loss, loss), rel=1e-14)


def test_camps_that_stand_alike_decide_nothing_whatever_the_quorum() -> None:
    """Without trails both camps are equal, and neither of the two sides may be taken for that."""
    alike: dict[str, object] = {"recruitment": {"quorum": 0.0}, "trails": {"deposit": 0.0}}
    decision = decide(make_observation(1), make_observation(2), changes=alike)
    assert np.abs(decision.conviction).min() > 0.0
    assert not decision.target_weights.any()


def test_what_cannot_be_priced_is_held_even_without_drones() -> None:
    prices = np.array([np.nan, 101.0, 101.0, 101.0, 101.0, 101.0])
    decision = decide(make_observation(prices=prices), changes={"drone": {"enabled": False}})
    assert codes(decision) == {VetoCode.NO_PRICE}
    assert decision.target_weights[0] == 0.0


@pytest.mark.parametrize("level", [0.6, 0.8, 0.9, 0.95, 0.975])
@pytest.mark.parametrize("bars", [20, 40, 60])
def test_the_tail_is_the_share_of_the_bars_that_the_level_leaves(level: float, bars: int) -> None:
    settings = ColonySettings.from_mapping({"drone": {"tail_level": level}})
    memory = new_state(settings, ("A",), 1).memory
    returns = np.random.default_rng(bars).permutation(np.linspace(-0.2, 0.1, bars))
    memory.log_price[: bars + 1, 0] = np.cumsum(np.log1p(np.append(0.0, returns)))
    found = drones.tail_risk(memory, bars, np.ones(1), parameters(settings).drone, 1.0)
    worst = np.sort(-returns)[::-1][: max(round((1.0 - level) * bars - 0.49), 1)]
    np.testing.assert_allclose(found, (worst[-1], worst.mean()), atol=1e-12)
