"""The cycle as a whole: purity, equality of live and backtest, symmetry, and bad input."""

import dataclasses
import re

import numpy as np
import pytest

from swarm_core.colony import codec
from swarm_core.colony.cycle import run_cycle
from swarm_core.colony.engine import new_state, step
from swarm_core.colony.replay import run
from tests.swarm_core.colony.builders import (
    DAY_NS,
    make_panel,
    make_settings,
    observation_of,
    permuted,
)
from tests.swarm_core.colony.hostile import assert_finite

SETTINGS = make_settings()


def test_live_steps_give_the_bits_of_the_compiled_backtest() -> None:
    panel = make_panel(60)
    start = new_state(SETTINGS, panel.instrument_ids, 3)
    end, records = run(SETTINGS, start, panel)
    state = start
    for t in range(60):
        state, decision = step(SETTINGS, state, observation_of(panel, records, t))
        assert decision.target_weights.tobytes() == records.target_weights[t].tobytes()
        assert decision.conviction.tobytes() == records.conviction[t].tobytes()
    assert codec.digest(state) == codec.digest(end)
    assert end.scouts.births[0] > start.scouts.births[0]  # the lifecycle took part


def test_a_step_changes_nothing_that_it_was_given() -> None:
    panel = make_panel(5)
    state, records = run(SETTINGS, new_state(SETTINGS, panel.instrument_ids, 3), panel)
    before = codec.digest(state)
    later = dataclasses.replace(observation_of(panel, records, 4), time_ns=DAY_NS * 99)
    first = step(SETTINGS, state, later)
    second = step(SETTINGS, state, later)
    assert codec.digest(state) == before == first[1].state_digest_before
    assert first[1].decision_id == second[1].decision_id
    assert first[1].state_digest_after == second[1].state_digest_after == codec.digest(first[0])


def test_a_backtest_in_two_parts_knows_no_future() -> None:
    panel = make_panel(50)
    short = dataclasses.replace(
        panel,
        time_ns=panel.time_ns[:30],
        prices=panel.prices[:30],
        sigma=panel.sigma[:30],
        features={name: values[:30] for name, values in panel.features.items()},
        market={name: values[:30] for name, values in panel.market.items()},
    )
    start = new_state(SETTINGS, panel.instrument_ids, 3)
    whole, part = run(SETTINGS, start, panel)[1], run(SETTINGS, start, short)[1]
    np.testing.assert_array_equal(part.target_weights, whole.target_weights[:30])
    np.testing.assert_array_equal(part.trust, whole.trust[:30])


def test_permuted_instruments_give_permuted_decisions_bit_for_bit() -> None:
    panel = make_panel(40)
    order = np.random.default_rng(5).permutation(len(panel.instrument_ids))
    shuffled = permuted(panel, order)
    end, records = run(SETTINGS, new_state(SETTINGS, panel.instrument_ids, 3), panel)
    other_end, other = run(SETTINGS, new_state(SETTINGS, shuffled.instrument_ids, 3), shuffled)
    np.testing.assert_array_equal(other.target_weights, records.target_weights[:, order])
    assert codec.digest(end) == codec.digest(other_end)


def test_the_order_in_which_senses_are_listed_does_not_matter() -> None:
    panel = make_panel(30)
    reverse = make_settings(senses=list(reversed(SETTINGS.senses)))
    first = run(SETTINGS, new_state(SETTINGS, panel.instrument_ids, 3), panel)[1]
    second = run(reverse, new_state(reverse, panel.instrument_ids, 3), panel)[1]
    np.testing.assert_array_equal(first.target_weights, second.target_weights)
    np.testing.assert_array_equal(first.trust, second.trust)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 0.0, -5.0, 1e300, 1e-300])
def test_no_input_makes_the_state_infinite_or_a_weight_unknown(poison: float) -> None:
    panel = make_panel(40)
    rng = np.random.default_rng(8)
    for array in (panel.prices, panel.sigma, *panel.features.values()):
        array[rng.random(array.shape) < 0.15] = poison
    panel.market["vix"][::3] = poison
    end, records = run(SETTINGS, new_state(SETTINGS, panel.instrument_ids, 3), panel)
    assert_finite(end)
    assert np.isfinite(records.target_weights).all()
    assert np.isfinite(records.nav).all()
    assert abs(records.trust.sum(axis=1) - 1.0).max() < 1e-9


def test_instruments_may_come_and_go_and_are_held_while_they_are_away() -> None:
    panel = make_panel(3, 4)
    state = new_state(SETTINGS, panel.instrument_ids[:2], 3)
    _, records = run(SETTINGS, new_state(SETTINGS, panel.instrument_ids, 3), panel)
    full = observation_of(panel, records, 0)
    state, decision = step(SETTINGS, state, full)
    assert decision.instrument_ids == panel.instrument_ids
    part = dataclasses.replace(
        full,
        time_ns=2 * DAY_NS,
        instrument_ids=panel.instrument_ids[1:3],
        prices=full.prices[1:3],
        sigma=full.sigma[1:3],
        features={},
        weights=np.array([0.01, 0.0]),
        sectors=full.sectors[1:3],
        currencies=full.currencies[1:3],
    )
    state, decision = step(SETTINGS, state, part)
    assert len(decision.target_weights) == 2
    assert len(state.instrument_ids) == 4
    assert_finite(state)


def test_what_has_no_price_is_held_and_says_so() -> None:
    panel = make_panel(1, 3, prices=np.array([[100.0, np.nan, 0.0]]))
    _, records = run(SETTINGS, new_state(SETTINGS, panel.instrument_ids, 3), panel)
    seen = dataclasses.replace(
        observation_of(panel, records, 0), weights=np.array([0.0, 0.04, -0.03])
    )
    _, decision = step(SETTINGS, new_state(SETTINGS, panel.instrument_ids, 3), seen)
    assert decision.target_weights[1:].tolist() == [0.04, -0.03]
    assert decision.reasons[1].startswith("held: no usable price")
    assert {veto.instrument_id for veto in decision.vetoes} == set(panel.instrument_ids[1:])


@pytest.mark.parametrize("prior", [0.15, 0.9])
def test_a_colony_that_does_not_trust_its_own_convictions_says_so(prior: float) -> None:
    """Nothing is staked while it is less likely than not that they pay: no cost is to blame."""
    settings = make_settings(worker={"engagement_prior": prior})
    panel = make_panel(12)
    state, told = new_state(settings, panel.instrument_ids, 12), set[tuple[bool, bool]]()
    _, records = run(settings, state, panel)
    for t in range(len(panel.prices)):
        state, decision = step(settings, state, observation_of(panel, records, t))
        sides = decision.diagnostics["side"] != 0.0
        stakes = bool(decision.diagnostics["share"][0] > 0.0)
        for side, reason in zip(sides, decision.reasons, strict=True):
            if side and reason.startswith("no trade"):
                told.add((stakes, reason.endswith("is less likely than not")))
    assert {distrust == (not stakes) for stakes, distrust in told} == {True}
    assert (prior < 0.5) == ((False, True) in told)


def test_contributions_add_up_to_the_conviction() -> None:
    panel = make_panel(30)
    state, records = run(SETTINGS, new_state(SETTINGS, panel.instrument_ids, 3), panel)
    seen = dataclasses.replace(observation_of(panel, records, 29), time_ns=DAY_NS * 99)
    _, decision = step(SETTINGS, state, seen)
    for parts in (decision.sense_contributions, decision.scout_contributions):
        np.testing.assert_allclose(parts.sum(axis=0), decision.conviction, atol=1e-12)
    assert abs(decision.trust.sum() + decision.diagnostics["idle_trust"][0] - 1.0) < 1e-12
    assert len(decision.scout_names) == len(set(decision.scout_names)) == len(decision.trust)


def test_a_new_draw_of_the_foragers_and_what_each_sense_marks_are_told() -> None:
    panel = make_panel(32)
    for bars, is_drawn in ((30, True), (31, False)):  # shares are drawn every fifth bar
        cut = dataclasses.replace(
            panel,
            time_ns=panel.time_ns[:bars],
            prices=panel.prices[:bars],
            sigma=panel.sigma[:bars],
            features={name: values[:bars] for name, values in panel.features.items()},
            market={name: values[:bars] for name, values in panel.market.items()},
        )
        state, records = run(SETTINGS, new_state(SETTINGS, panel.instrument_ids, 3), cut)
        uneven = np.linspace(0.5, 1.5, len(state.sense_names))
        state = dataclasses.replace(state, queen=state.queen._replace(sense_allocation=uneven))
        seen = dataclasses.replace(observation_of(cut, records, bars - 1), time_ns=DAY_NS * 99)
        after, decision = step(SETTINGS, state, seen)
        told: dict[str, dict[str, float]] = {"ForagersAllocated": {}, "TrailsMarked": {}}
        for event in decision.events:
            told.setdefault(event.kind, {})[event.subject] = event.value
        shares = dict(zip(after.sense_names, after.queen.sense_allocation.tolist(), strict=True))
        assert told["ForagersAllocated"] == (shares if is_drawn else {})
        marked = np.abs(decision.sense_contributions).sum(axis=1).tolist()
        for name, size in zip(decision.sense_names, marked, strict=True):
            assert told["TrailsMarked"][name] == pytest.approx(shares[name] * size)


def test_settings_of_another_colony_are_refused() -> None:
    panel = make_panel(1)
    state = new_state(SETTINGS, panel.instrument_ids, 3)
    _, records = run(SETTINGS, state, panel)
    with pytest.raises(ValueError, match="settings must be those of the state"):
        step(make_settings(memory_bars=33), state, observation_of(panel, records, 0))


def test_time_must_move_on() -> None:
    panel = make_panel(2)
    state, records = run(SETTINGS, new_state(SETTINGS, panel.instrument_ids, 3), panel)
    with pytest.raises(ValueError, match="time_ns must be later"):
        step(SETTINGS, state, observation_of(panel, records, 1))


def test_times_seeds_and_whole_numbers_of_an_array_are_kept_as_plain_ones() -> None:
    panel = make_panel(1)
    plain, of_array = (new_state(SETTINGS, panel.instrument_ids, s) for s in (3, np.int64(3)))
    seen = dataclasses.replace(
        observation_of(panel, run(SETTINGS, plain, panel)[1], 0), nav=1.0, traded=1.0, paid=0.0
    )
    expected, _ = step(SETTINGS, plain, seen)
    compiled = len(run_cycle.signatures)  # type: ignore[attr-defined]  # a numba dispatcher
    other = dataclasses.replace(seen, time_ns=np.int64(seen.time_ns), nav=1, traded=1, paid=0)
    state, decision = step(SETTINGS, of_array, other)
    assert codec.encode(state) == codec.encode(expected)
    assert type(decision.time_ns) is int
    assert len(run_cycle.signatures) == compiled  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"^seed must be a whole number .*, was 1.5"):
        new_state(SETTINGS, panel.instrument_ids, 1.5)  # type: ignore[arg-type]


def test_memory_is_bounded_by_the_state_and_not_by_history() -> None:
    panel = make_panel(150, 4)
    state = new_state(SETTINGS, panel.instrument_ids, 3)
    early = len(codec.encode(run(SETTINGS, state, make_panel(5, 4))[0]))
    late = len(codec.encode(run(SETTINGS, state, panel)[0]))
    assert late <= early + 64  # the header's counters may grow by digits


def test_arrays_that_may_not_be_written_to_are_read_and_nothing_is_compiled_for_them() -> None:
    panel = make_panel(1)
    state = new_state(SETTINGS, panel.instrument_ids, 3)
    seen = observation_of(panel, run(SETTINGS, state, panel)[1], 0)
    first = step(SETTINGS, state, seen)[1]
    compiled = len(run_cycle.signatures)  # type: ignore[attr-defined]  # a numba dispatcher
    for array in (seen.prices, seen.sigma, seen.weights, *seen.features.values()):
        array.flags.writeable = False
    assert step(SETTINGS, state, seen)[1].decision_id == first.decision_id
    assert len(run_cycle.signatures) == compiled  # type: ignore[attr-defined]


@pytest.mark.parametrize("shape", [(3,), (9,), (5, 1)])
def test_anomaly_scores_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    panel = make_panel(1, 5)
    state = new_state(SETTINGS, panel.instrument_ids, 3)
    _, records = run(SETTINGS, state, panel)
    with pytest.raises(ValueError, match=r"anomaly must have the shape \(5,\), was"):
        step(SETTINGS, state, observation_of(panel, records, 0), anomaly=np.zeros(shape))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time_ns": 1.5}, "time_ns must be a whole number in 0 .. 2^63 - 1, was 1.5"),
        ({"time_ns": 2**63}, "time_ns must be a whole number in 0 .. 2^63 - 1, was"),
        ({"prices": [1.0, 2.0]}, "prices must have the shape (2,), was list"),
        ({"sectors": ("a", None)}, "sectors must be texts, had ['NoneType']"),
        ({"currencies": ("EUR",)}, "currencies must have 2 entries or none, had 1"),
        ({"currencies": ["EUR", "USD"]}, "currencies must be a tuple, was list"),
        ({"nav": "1"}, "nav must be a number, was '1'"),
        ({"nav": 10**400}, "nav must be finite and positive, was 1000"),
        ({"traded": None}, "traded must be a number, was None"),
        ({"instrument_ids": (1, 2)}, "instrument_ids must be texts, had ['int']"),
    ],
)
def test_a_broken_observation_is_refused_in_one_line(
    changes: dict[str, object], message: str
) -> None:
    panel = make_panel(1, 2)
    records = run(SETTINGS, new_state(SETTINGS, panel.instrument_ids, 3), panel)[1]
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        dataclasses.replace(observation_of(panel, records, 0), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instrument_ids": ("A", "A")}, "instrument_ids must be unique, was doubled: ['A']"),
        ({"sectors": ("a", "b", "c")}, "sectors must have 2 entries or none, had 3"),
        ({"data_age_s": np.zeros(2)}, "data_age_s must have the shape (3, 2), was (2,)"),
        ({"anomaly": np.zeros((3, 1))}, "anomaly must have the shape (3, 2), was (3, 1)"),
        ({"time_ns": np.arange(-1, 2)}, "time_ns must be a whole number in 0 .. 2^63 - 1, was"),
        ({"time_ns": np.arange(1.0, 4.0)}, "time_ns must be a whole number in 0 .. 2^63 - 1, was"),
        ({"time_ns": np.array([3, 2, 1], np.uint64)}, "time_ns must rise from bar to bar, did not"),
        ({"paid": None}, "paid must be a number, was None"),
        ({"cost_bps": float("nan")}, "cost_bps must be between 0 and 10000, was nan"),
        ({"cost_bps": -1.0}, "cost_bps must be between 0 and 10000, was -1.0"),
    ],
)
def test_a_broken_panel_is_refused_in_one_line(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        dataclasses.replace(make_panel(3, 2), **changes)
