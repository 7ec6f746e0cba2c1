"""Queen, lifecycle, drift and trails, each on its own."""

import numpy as np
import pytest

from swarm_core.colony.drones import watch_forecast
from swarm_core.colony.engine import new_state
from swarm_core.colony.lifecycle import count_floor, review
from swarm_core.colony.option_chain import COLUMNS
from swarm_core.colony.parameters import parameters
from swarm_core.colony.queen import allocate, filter_regime
from swarm_core.colony.replay import run
from swarm_core.colony.senses.registry import get_sense
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import ACTIVE, DORMANT, EMPTY, REGIMES
from swarm_core.colony.trails import deposit, evaporate
from tests.swarm_core.colony.builders import make_panel, make_settings

SETTINGS = ColonySettings()
MARKET = {
    "calm_trend": [-0.5, np.nan, np.nan, np.nan, np.nan, -0.5, -0.5, 1.0],
    "stress_chop": [1.5, np.nan, np.nan, np.nan, np.nan, 1.0, 1.5, -1.0],
}


def test_the_queen_finds_the_regime_that_the_market_shows_and_holds_it_for_a_while() -> None:
    queen = new_state(SETTINGS, ("A",), 1).queen
    p = parameters(SETTINGS).queen
    for _ in range(20):
        filter_regime(queen, np.array(MARKET["calm_trend"]), p)
    assert queen.posterior.argmax() == REGIMES.index("calm_trend")
    filter_regime(queen, np.array(MARKET["stress_chop"]), p)
    assert queen.held[0] == REGIMES.index("calm_trend")
    for _ in range(20):
        filter_regime(queen, np.array(MARKET["stress_chop"]), p)
    assert queen.held[0] == REGIMES.index("stress_chop")
    assert queen.posterior.sum() == pytest.approx(1.0)


def test_what_is_not_known_of_the_market_leaves_the_belief_alone() -> None:
    queen = new_state(SETTINGS, ("A",), 1).queen
    filter_regime(queen, np.full(8, np.nan), parameters(SETTINGS).queen)
    np.testing.assert_allclose(queen.posterior, 0.25)


def test_the_bandit_gives_more_to_what_paid_and_never_starves_the_rest() -> None:
    queen = new_state(SETTINGS, ("A",), 1).queen
    queen.sense_weight[:] = 500.0
    queen.sense_payoff[0, 3] = 500.0
    p = parameters(SETTINGS).queen
    shares = []
    for step in range(50):
        allocate(queen, 1, step, p)
        shares.append(queen.sense_allocation.copy())
    mean = np.mean(shares, axis=0)
    assert mean.argmax() == 3
    assert np.min(shares) >= p.budget_min
    np.testing.assert_allclose(np.mean(shares, axis=1), 1.0)


@pytest.mark.parametrize(("low", "high"), [(0.5, 1.5), (0.0, 10.0), (1.0, 1.0), (0.9, 1.0)])
def test_no_share_passes_its_bounds_whoever_paid(low: float, high: float) -> None:
    settings = make_settings(queen={"budget_min": low, "budget_max": high})
    queen, p = new_state(settings, ("A",), 1).queen, parameters(settings).queen
    rng = np.random.default_rng(5)
    uneven = 0
    for step in range(60):
        queen.sense_weight[:] = 200.0
        queen.sense_payoff[:] = 200.0 * rng.choice([-0.5, 0.0, 0.5], queen.sense_payoff.shape)
        queen.sense_square[:] = 60.0
        allocate(queen, 1, step, p)
        shares = queen.sense_allocation
        assert shares.min() >= low
        assert shares.max() <= high
        assert shares.mean() == pytest.approx(1.0, abs=1e-12)
        uneven += bool(np.ptp(shares) > 0.1)
    assert uneven > 30 or high == 1.0


def test_a_forecast_that_stops_paying_is_found_and_one_that_pays_is_not() -> None:
    rng = np.random.default_rng(1)
    book, p = new_state(SETTINGS, ("A",), 1).book, parameters(SETTINGS).drone
    steady = [watch_forecast(book, 0.5 + rng.standard_normal() * 0.3, True, p) for _ in range(400)]
    assert max(steady) < 4.0
    broken = [watch_forecast(book, -0.5 + rng.standard_normal() * 0.3, True, p) for _ in range(40)]
    assert max(broken) > 4.0


@pytest.mark.parametrize("readings", [22, 40, 200])
def test_a_drift_is_measured_in_its_own_standard_errors_from_the_first_reading_on(
    readings: int,
) -> None:
    """Where nothing changes, one measurement in forty is above 1.96, however few are known."""
    rng, p = np.random.default_rng(readings), parameters(SETTINGS).drone
    state, count = new_state(SETTINGS, ("A",), 1), 3_000
    found = np.zeros(count)
    for i in range(count):
        state.book.drift[:] = 0.0
        for earned in 0.05 + rng.standard_normal(readings):
            found[i] = watch_forecast(state.book, earned, True, p)
    share = (found > 1.96).mean()
    assert share == pytest.approx(0.025, abs=4.0 * np.sqrt(0.025 * 0.975 / count))
    assert (found > 0.0).mean() == pytest.approx(0.5, abs=0.04)


def test_a_forecast_that_always_pays_the_same_has_not_drifted() -> None:
    """The fast mean of few readings is near nothing until it is told of how many it is."""
    p = parameters(SETTINGS).drone
    before = parameters(ColonySettings.from_mapping({"drone": {"drift_weights_enabled": False}}))
    for drone, most in ((p, 1e-9), (before.drone, 2.2)):
        book = new_state(SETTINGS, ("A",), 1).book
        found = [watch_forecast(book, 0.5, True, drone) for _ in range(400)]
        assert max(found) < most
    assert max(found) > 2.0


def test_the_trusted_have_young_within_bounds() -> None:
    settings, panel = make_settings(), make_panel(150, 6)
    state, records = run(settings, new_state(settings, panel.instrument_ids, 1), panel)
    first = new_state(settings, panel.instrument_ids, 1)
    living = state.scouts.status != EMPTY
    identities = state.scouts.identity[living].tolist()
    assert len(identities) == len(set(identities))
    assert state.scouts.births[0] > first.scouts.births[0]
    low, high = np.array([get_sense(name).gain_range for name in state.sense_names]).T
    size, sense = np.abs(state.scouts.gain[living]), state.scouts.sense[living]
    born = state.scouts.born_step[living] > 0
    assert ((size >= low[sense]) & (size <= high[sense]))[born].all()
    assert (records.trust[:, :-1][:, ~living][-1] == 0.0).all()


def test_a_line_of_children_never_wanders_where_a_column_says_the_same_whatever_it_is() -> None:
    state = new_state(SETTINGS, ("A", "B"), 1)
    scouts, trust = state.scouts, state.trust
    ranges = np.tile([0.05, 20.0], (len(state.sense_names), 1))
    p = parameters(SETTINGS).lifecycle._replace(mutation=1.0, births_per_review=1)
    founders = np.abs(scouts.gain * scouts.center).max()
    reach = np.zeros(2_000)
    for step in range(reach.size):
        newest = int(np.argmax(scouts.identity))
        trust.weight[:] = 0.0
        trust.weight[newest] = 1.0  # only the youngest has young
        scouts.status[step % 2] = EMPTY if step % 2 != newest else scouts.status[newest]
        review(scouts, trust, ranges, 1, step, p)
        reach[step] = np.abs(scouts.gain * scouts.center).max()
    assert scouts.births[0] > 900
    assert founders < 3.9 < reach.max() <= 4.0 * (1.0 + 1e-12)


def test_a_scout_at_the_floor_falls_asleep_then_dies_and_its_place_is_taken() -> None:
    state = new_state(SETTINGS, ("A", "B"), 1)
    scouts, trust, p = state.scouts, state.trust, parameters(SETTINGS).lifecycle
    ranges = np.tile([0.05, 20.0], (len(state.sense_names), 1))
    for vectors in (trust.learner, trust.regime, trust.memory):
        vectors[:, 5] = 1e-9
        vectors /= vectors.sum(axis=1, keepdims=True)
    for _ in range(p.dormant_after_bars):
        count_floor(scouts, trust)
    review(scouts, trust, ranges, 1, 21, p._replace(births_per_review=0))
    assert scouts.status[5] == DORMANT
    assert (np.delete(scouts.status[scouts.identity >= 0], 5) == ACTIVE).all()
    identity = int(scouts.identity[5])
    for _ in range(p.dead_after_bars):
        count_floor(scouts, trust)
    review(scouts, trust, ranges, 1, 42, p)
    assert scouts.status[5] == ACTIVE  # the first empty place went to a child
    assert scouts.identity[5] != identity
    for vectors in (trust.learner, trust.regime, trust.memory):
        np.testing.assert_allclose(vectors.sum(axis=1), 1.0)


def test_trails_halve_in_their_half_life_of_event_time() -> None:
    trails = np.ones((5, 2))
    half_life = np.array([10.0, 20.0, 40.0, 10.0, 5.0])
    evaporate(trails, 20.0, half_life)
    np.testing.assert_allclose(trails[:, 0], [0.25, 0.5, 2.0**-0.5, 0.25, 0.0625])


def test_trails_stay_between_their_bounds() -> None:
    trails = np.zeros((5, 3))
    conviction = np.array([1.0, -1.0, 0.0])
    for _ in range(50):
        deposit(
            trails, conviction, conviction, np.array([3.0, 3.0, np.nan]), np.ones(3), 0.5, 0.1, 0.9
        )
    assert trails.min() == 0.1
    assert trails.max() == 0.9
    assert trails[:, 2].tolist() == [0.1, 0.1, 0.9, 0.1, 0.1]


def test_the_options_sense_reads_what_a_chain_tells() -> None:
    assert set(get_sense("options_flow").columns()) == set(COLUMNS)


def test_arms_that_differ_by_luck_alone_get_even_shares() -> None:
    queen = new_state(SETTINGS, ("A",), 1).queen
    rng = np.random.default_rng(3)
    p, even = parameters(SETTINGS).queen, 0
    senses = queen.sense_payoff.shape[1]
    for step in range(50):
        rewards = rng.standard_normal((120, senses))
        queen.sense_weight[:] = 120.0
        queen.sense_payoff[:] = rewards.sum(axis=0)
        queen.sense_square[:] = (rewards**2).sum(axis=0)
        allocate(queen, 1, step, p)
        even += bool((queen.sense_allocation == 1.0).all())
    assert even > 40
