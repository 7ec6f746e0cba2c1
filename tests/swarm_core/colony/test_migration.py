"""A colony under other settings goes on with what it knows, to the same bits each time."""

from dataclasses import dataclass

import numpy as np
import pytest

from swarm_core.colony import codec
from swarm_core.colony.engine import new_state
from swarm_core.colony.migration import migrate, take_up
from swarm_core.colony.replay import run
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import EMPTY, ColonyState
from tests.swarm_core.colony.builders import make_panel, make_settings

OLD = make_settings(senses=["carry", "model_forecast", "breakout"])
CHANGES: dict[str, dict[str, object]] = {
    "a number": {"worker": {"volatility_target": 0.05}},
    "a sense more": {"senses": ["breakout", "carry", "model_forecast", "time_series_momentum"]},
    "a sense less": {"senses": ["carry", "breakout"]},
    "another sense": {"senses": ["short_term_reversal", "model_forecast"]},
    "a longer memory": {"memory_bars": 48},
    "a shorter memory": {"memory_bars": 16},
    "less room": {"scouts_max": 12},
    "no births": {"lifecycle": {"enabled": False}},
    "other learners": {"trust": {"edges": [0.1, 0.4], "shares": [0.01, 0.001]}},
    "fewer memories": {"trust": {"memory_slots": 2}},
    "one horizon": {"trust": {"horizons": [1], "horizon_weights": [1.0]}},
}


def _changed(name: str) -> ColonySettings:
    mapping = OLD.to_mapping()
    for key, value in CHANGES[name].items():
        before = mapping[key]
        mapping[key] = (before | value) if isinstance(before, dict) else value  # type: ignore[operator]
    return ColonySettings.from_mapping(mapping)


@pytest.fixture(scope="module")
def lived() -> ColonyState:
    panel = make_panel(60, 6)
    return run(OLD, new_state(OLD, panel.instrument_ids, 3), panel)[0]


def test_the_same_settings_change_no_bit(lived: ColonyState) -> None:
    assert codec.digest(migrate(OLD, lived)) == codec.digest(lived)


@pytest.mark.parametrize("name", CHANGES)
def test_it_goes_on_under_other_settings_the_same_way_each_time(
    lived: ColonyState, name: str
) -> None:
    settings = _changed(name)
    state = migrate(settings, lived)
    again = migrate(settings, codec.decode(codec.encode(lived)))
    assert codec.digest(state) == codec.digest(again)
    for vectors in (state.trust.weight, state.trust.learner, state.trust.memory):
        np.testing.assert_allclose(vectors.sum(axis=-1), 1.0, atol=1e-9)
    identities = state.scouts.identity[state.scouts.status != EMPTY]
    assert len(set(identities.tolist())) == len(identities) <= settings.scouts_max
    later = make_panel(40, 6, seed=2, time_ns=make_panel(40, 6).time_ns + 10**18)
    end, records = run(settings, state, later)
    assert np.isfinite(records.target_weights).all()
    assert codec.digest(run(settings, again, later)[0]) == codec.digest(end)


def test_the_trust_in_those_who_stay_keeps_its_proportions(lived: ColonyState) -> None:
    state = migrate(_changed("a sense more"), lived)

    def trusted(s: ColonyState) -> dict[int, float]:
        living = np.flatnonzero(s.scouts.status != EMPTY)
        return {int(s.scouts.identity[k]): float(s.trust.weight[k]) for k in living}

    before, after = trusted(lived), trusted(state)
    shared = sorted(set(before) & set(after))
    assert len(shared) == len(before)
    ratio = [after[k] / before[k] for k in shared if before[k] > 1e-12]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
    assert all(after[k] > 0.0 for k in set(after) - set(before))
    np.testing.assert_array_equal(state.field.trails, lived.field.trails)
    np.testing.assert_array_equal(state.book.engagement, lived.book.engagement)


@dataclass(frozen=True)
class Change:
    settings: str
    digest_after: str


def _signed(settings: ColonySettings) -> Change:
    return Change(settings.text(), settings.digest())


def test_only_the_newest_signed_off_change_lets_a_new_decision_go_by_other_settings(
    lived: ColonyState,
) -> None:
    first, second = _changed("a number"), _changed("a longer memory")
    with pytest.raises(ValueError, match="apiary colony apply"):
        take_up(lived, first, [])
    with pytest.raises(ValueError, match="apiary colony apply"):
        take_up(lived, first, [_signed(first), _signed(second)])
    settings, state = take_up(lived, second, [_signed(first), _signed(second)])
    assert (settings, state.settings_digest) == (second, second.digest())


def test_what_was_decided_before_a_change_is_decided_by_what_held_then(lived: ColonyState) -> None:
    new = _changed("a number")
    settings, state = take_up(lived, new, [_signed(new)], OLD.digest())
    assert (settings, state) == (OLD, lived)
    settings, state = take_up(lived, OLD, [_signed(new)], new.digest())
    assert settings == new
    assert state.settings_digest == new.digest()
    with pytest.raises(ValueError, match="must stand in the log"):
        take_up(lived, OLD, [], "0" * 64)
