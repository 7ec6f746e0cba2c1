"""The semi-Markov filter learns how long regimes last; where that is random it does no harm."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.decision_quality.markets import Market, generate
from benchmarks.decision_quality.scouts import net_payoff
from benchmarks.decision_quality.synthetic import colony_on, settings_for
from swarm_core.colony import tempo
from swarm_core.colony.engine import new_state
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import Trust


def _taught(durations: list[float]) -> np.ndarray:
    found = tempo.found_tempo()
    for bars in durations:
        tempo.learn_duration(found, bars)
    return found


def _founding() -> Trust:
    return new_state(ColonySettings.from_mapping({"senses": ["carry"]}), ("US.A",), 1).trust


@pytest.mark.parametrize("period", [20, 100, 500, 1_000])
def test_after_five_regular_regimes_the_end_of_the_sixth_is_expected_when_it_comes(
    period: int,
) -> None:
    rng = np.random.default_rng(period)
    found = _taught([period + float(rng.integers(-1, 2)) for _ in range(5)])
    ends = np.array([tempo.hazard(found, float(age)) for age in range(2 * period)])
    assert abs(int(ends[: int(1.2 * period)].argmax()) - period) <= max(4, 0.1 * period)
    assert ends[period] > 20.0 * ends[period // 2]


def test_where_durations_are_random_the_chance_to_end_stays_near_one_over_their_mean() -> None:
    rng = np.random.default_rng(4)
    found = _taught([1.0 + float(d) for d in rng.geometric(1 / 80, 40)])
    ends = np.array([tempo.hazard(found, float(age)) for age in range(1, 160)])
    assert ends.min() > 0.25 / 80
    assert ends.max() < 4.0 / 80


@settings(max_examples=60, deadline=None)
@given(
    durations=st.lists(st.floats(1.0, 1e6), max_size=12),
    age=st.floats(0.0, 1e7),
)
def test_a_hazard_is_a_chance_and_the_mixture_sums_to_one(
    durations: list[float], age: float
) -> None:
    found = _taught(durations)
    assert np.isfinite(found).all()
    assert abs(found[tempo.MIXTURE :].sum() - 1.0) < 1e-9
    assert 0.0 < tempo.hazard(found, age) <= 0.9


def test_who_followed_before_is_expected_to_follow_again() -> None:
    trust = _founding()
    trust.tempo[tempo.HELD] = 0.0
    trust.succession[0] = [0.0, 0.0, 6.0, 1.0]
    row = np.array([1.0, 0.0, 0.0, 0.0])
    tempo.foretell(trust, row)
    assert row[2] > 3.0 * row[3] > 3.0 * row[1] > 0.0
    assert row.sum() == pytest.approx(1.0, abs=1e-12)


def test_a_regime_that_is_noticed_late_is_dated_from_its_beginning() -> None:
    trust = _founding()
    row = np.array([0.999, 0.001, 0.0, 0.0])
    tempo.watch_reign(trust, row, np.array([1.0, -1.0, 0.0, 0.0]), 1.0)
    for _ in range(50):
        tempo.watch_reign(trust, row, np.array([1.0, -1.0, 0.0, 0.0]), 1.0)
    for _ in range(6):
        tempo.watch_reign(trust, row, np.array([-1.0, 1.0, 0.0, 0.0]), 1.0)
    row = np.array([0.001, 0.999, 0.0, 0.0])
    tempo.watch_reign(trust, row, np.array([-1.0, 1.0, 0.0, 0.0]), 1.0)
    assert trust.tempo[tempo.HELD] == 1.0
    assert trust.tempo[tempo.AGE] == 7.0
    assert np.exp(trust.tempo[tempo.LOG_MEAN]) == pytest.approx(51.0)
    assert trust.succession[0, 1] == 1.0


def test_the_memory_that_keeps_takes_over_the_reign_of_the_one_that_is_folded() -> None:
    trust = _founding()
    trust.tempo[tempo.HELD] = 2.0
    trust.succession[2, 1], trust.succession[1, 2] = 3.0, 2.0
    tempo.fold(trust, 0, 2)
    assert trust.tempo[tempo.HELD] == 0.0
    assert trust.succession[0, 1] == 3.0
    assert trust.succession[1, 0] == 2.0
    assert not trust.succession[2].any()


def test_the_ablation_shows_what_the_tempo_of_a_regular_market_is_worth() -> None:
    market = Market(family="flip", flip_bars=100, bars=2_500, seed=83)
    truth = generate(market)
    with_tempo = colony_on(truth, settings_for(market))
    without = colony_on(truth, settings_for(market, {"trust": {"tempo_enabled": False}}))
    gain = net_payoff(with_tempo.conviction, truth.outcome, 0.0).mean()
    assert gain > 1.02 * net_payoff(without.conviction, truth.outcome, 0.0).mean()
