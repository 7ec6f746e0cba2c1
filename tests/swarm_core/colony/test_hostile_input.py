"""Properties of the public step and the compiled loop under input that no market ever sends."""

from dataclasses import replace

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swarm_core.colony import codec
from swarm_core.colony.engine import new_state, step
from swarm_core.colony.explain import explain
from swarm_core.colony.observation import Observation
from swarm_core.colony.replay import Panel, run
from swarm_core.colony.sense import Genome, Sense
from swarm_core.colony.senses.registry import register
from swarm_core.colony.settings import ColonySettings
from tests.swarm_core.colony.builders import DAY_NS, observation_of, permuted
from tests.swarm_core.colony.hostile import (
    CAREFUL,
    EAGER,
    assert_finite,
    assert_inside,
    assert_known,
    hostile_bars,
    hostile_panel,
)

SEEDS = st.integers(0, 2**32 - 1)
MANY, FEW = (settings(deadline=None, max_examples=n, derandomize=True) for n in (60, 20))


@MANY
@given(SEEDS, st.sampled_from([CAREFUL, EAGER]))
def test_whatever_is_observed_the_decision_is_known_and_inside_its_limits(
    seed: int, chosen: ColonySettings
) -> None:
    state = new_state(chosen, (), seed)
    for seen, anomaly, book in hostile_bars(seed):
        state, decision = step(chosen, state, seen, anomaly=anomaly)
        assert_finite(state)
        assert_known(decision)
        assert_inside(decision, seen, chosen)
        targets = decision.target_weights.tolist()
        book.update(zip(decision.instrument_ids, targets, strict=True))


@FEW
@given(SEEDS)
def test_an_explanation_holds_no_number_that_is_none(seed: int) -> None:
    state = new_state(EAGER, (), seed)
    *early, (seen, _, _) = hostile_bars(seed)
    for bar, _, _ in early:
        state, _ = step(EAGER, state, bar)
    before, (_, decision) = state, step(EAGER, state, seen)
    for name in seen.instrument_ids[:2]:
        told = explain(decision, name, settings=EAGER, state=before, observation=seen)
        numbers = [*told.senses.values(), *told.scouts.values(), *told.measures.values()]
        numbers += [other.target_weight for other in told.counterfactuals]
        assert np.isfinite(numbers).all()
        words = told.to_text().replace("%", " ").replace("+", " ").replace("-", " ").split()
        assert not {"nan", "inf"} & set(words)


@FEW
@given(SEEDS, st.sampled_from([CAREFUL, EAGER]))
def test_the_compiled_loop_gives_the_bits_of_live_steps(seed: int, chosen: ColonySettings) -> None:
    panel = hostile_panel(seed)
    state = start = new_state(chosen, panel.instrument_ids, seed)
    end, records = run(chosen, start, panel)
    for t in range(len(panel.time_ns)):
        state, decision = step(chosen, state, observation_of(panel, records, t))
        assert decision.target_weights.tobytes() == records.target_weights[t].tobytes()
        if t == 11:  # a state that was stored goes on like one that was not
            state = codec.decode(codec.encode(state))
    assert codec.digest(state) == codec.digest(end)
    assert np.isfinite(records.nav).all()
    assert (records.nav > 0.0).all()


def _until(panel: Panel, t: int) -> Panel:
    age = panel.data_age_s
    return replace(
        panel,
        time_ns=panel.time_ns[:t],
        prices=panel.prices[:t],
        sigma=panel.sigma[:t],
        features={name: values[:t] for name, values in panel.features.items()},
        market={name: values[:t] for name, values in panel.market.items()},
        data_age_s=None if age is None else age[:t],
    )


@FEW
@given(SEEDS, st.integers(1, 29))
def test_what_comes_later_changes_nothing_before(seed: int, t: int) -> None:
    panel = hostile_panel(seed)
    start = new_state(EAGER, panel.instrument_ids, seed)
    whole, part = run(EAGER, start, panel)[1], run(EAGER, start, _until(panel, t))[1]
    np.testing.assert_array_equal(part.target_weights, whole.target_weights[:t])
    np.testing.assert_array_equal(part.trust, whole.trust[:t])


@FEW
@given(SEEDS)
def test_instruments_in_another_order_get_the_same_bits(seed: int) -> None:
    panel = hostile_panel(seed)
    order = np.random.default_rng(seed).permutation(len(panel.instrument_ids))
    shuffled = permuted(panel, order)
    end, records = run(EAGER, new_state(EAGER, panel.instrument_ids, 3), panel)
    other_end, other = run(EAGER, new_state(EAGER, shuffled.instrument_ids, 3), shuffled)
    np.testing.assert_array_equal(other.target_weights, records.target_weights[:, order])
    assert codec.digest(end) == codec.digest(other_end)


@FEW
@given(SEEDS)
def test_scouts_in_another_order_get_the_same_bits(seed: int) -> None:
    panel = hostile_panel(seed)
    genomes = [
        Genome(column=name, gain=gain) for name in sorted(panel.features) for gain in (0.5, -2.0)
    ]
    found: list[np.ndarray] = []
    for sense_name, order in (
        (f"as_listed_{seed}", range(len(genomes))),
        (f"shuffled_{seed}", np.random.default_rng(seed).permutation(len(genomes))),
    ):
        listed = tuple(genomes[k] for k in order)
        register(Sense(name=sense_name, source="made up 2026", genomes=listed))
        chosen = ColonySettings.from_mapping(EAGER.to_mapping() | {"senses": [sense_name]})
        records = run(chosen, new_state(chosen, panel.instrument_ids, 3), panel)[1]
        found += [records.target_weights, records.trust]
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1], found[3])


@FEW
@given(SEEDS, st.floats(1e-9, 1e9))
@example(52, 1e-3)  # the limits close a weight, but for rounding in one of the units
def test_the_unit_that_prices_are_quoted_in_does_not_matter(seed: int, unit: float) -> None:
    # A logarithm of another unit rounds differently, and scouts look in single precision.
    panel = hostile_panel(seed)
    prices = np.where((panel.prices > 1e-3) & (panel.prices < 1e6), panel.prices, np.nan)
    found = [
        run(EAGER, new_state(EAGER, panel.instrument_ids, 3), replace(panel, prices=quoted))[1]
        for quoted in (prices, unit * prices)
    ]
    np.testing.assert_allclose(found[0].conviction, found[1].conviction, atol=1e-5)
    np.testing.assert_allclose(found[0].target_weights, found[1].target_weights, atol=1e-5)


def _without(seen: Observation, gone: int) -> Observation:
    """Return the observation without the instrument at this place."""
    stay = [i for i in range(len(seen.instrument_ids)) if i != gone]
    age = seen.data_age_s
    return replace(
        seen,
        instrument_ids=tuple(seen.instrument_ids[i] for i in stay),
        prices=seen.prices[stay],
        sigma=seen.sigma[stay],
        features={name: values[stay] for name, values in seen.features.items()},
        weights=seen.weights[stay],
        sectors=tuple(seen.sectors[i] for i in stay),
        currencies=tuple(seen.currencies[i] for i in stay),
        data_age_s=None if age is None else age[stay],
    )


@FEW
@given(SEEDS)
def test_a_delisted_instrument_is_one_that_has_no_price(seed: int) -> None:
    """Left out of the observation or unknown there: the decisions are the same, also later on."""
    panel = hostile_panel(seed)
    ids, n = panel.instrument_ids, len(panel.instrument_ids)
    gone = seed % n
    prices = panel.prices.copy()
    prices[10:20, gone] = np.nan
    panel = replace(panel, prices=prices)
    rows = {name: values.copy() for name, values in panel.features.items()}
    for values in rows.values():
        values[10:20, gone] = np.nan
    panel = replace(panel, features=rows, data_age_s=None)
    nobody = replace(panel, prices=np.full(prices.shape, np.nan))
    records = run(EAGER, new_state(EAGER, ids, 3), nobody)[1]  # a book that stays flat
    told, silent = new_state(EAGER, ids, 3), new_state(EAGER, (), 3)
    for t in range(len(panel.time_ns)):
        seen = observation_of(panel, records, t)
        told, whole = step(EAGER, told, seen)
        absent = 10 <= t < 20
        silent, part = step(EAGER, silent, _without(seen, gone) if absent else seen)
        stay = [i for i in range(n) if not (absent and i == gone)]
        # Its volatility is the colony's own then, and the limits are scaled by their mean.
        np.testing.assert_allclose(part.target_weights, whole.target_weights[stay], atol=1e-9)


def test_no_scout_no_instrument_and_one_of_each_decide() -> None:
    register(Sense(name="alone", source="made up 2026", genomes=(Genome(column="forecast"),)))
    for senses in (["alone"], list(CAREFUL.senses)):
        chosen = ColonySettings.from_mapping(EAGER.to_mapping() | {"senses": senses})
        for n in (0, 1):
            panel = hostile_panel(7)
            some = replace(permuted(panel, np.arange(n)), features={})  # no scout sees anything
            end, records = run(chosen, new_state(chosen, some.instrument_ids, 1), some)
            assert_finite(end)
            assert records.target_weights.shape == (len(panel.time_ns), n)
            assert np.isfinite(records.target_weights).all()


def test_a_position_that_nobody_knows_is_held_at_the_last_target() -> None:
    panel = hostile_panel(3)
    state, records = run(EAGER, new_state(EAGER, panel.instrument_ids, 1), panel)
    last = records.target_weights[-1]
    seen = replace(
        observation_of(panel, records, 29),
        time_ns=99 * DAY_NS,
        prices=np.full(len(last), 100.0),
        weights=np.full(len(last), np.nan),
        data_age_s=None,
    )
    _, decision = step(EAGER, state, seen)
    np.testing.assert_array_equal(decision.target_weights, last)
    assert set(decision.reasons) == {"held: what is held is not known"}
