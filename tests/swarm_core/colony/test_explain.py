"""Why an order: contributions that add up, and conditions of no trade that hold when tried."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from swarm_core.colony.decision import Decision
from swarm_core.colony.engine import new_state, step
from swarm_core.colony.explain import Condition, Explanation, explain
from swarm_core.colony.observation import Observation
from swarm_core.colony.state import ColonyState
from tests.swarm_core.colony.builders import DAY_NS, make_panel, make_settings

SETTINGS = make_settings(worker={"engagement_enabled": False})


@dataclasses.dataclass(frozen=True)
class Taken:
    """A decision with all that it was taken from."""

    before: ColonyState
    seen: Observation
    decision: Decision

    def explain(self, at: int) -> Explanation:
        return explain(
            self.decision, self.seen.instrument_ids[at], settings=SETTINGS, state=self.before,
            observation=self.seen,
        )  # fmt: skip


def _taken(seed: int, bars: int = 40) -> Iterator[Taken]:
    """Yield the decisions on a market of trends that the forecast sees."""
    panel, rng = make_panel(bars, 6, seed), np.random.default_rng(seed)
    moves = rng.standard_normal((bars, 6))
    for t in range(1, bars):
        moves[t] += 0.6 * moves[t - 1]
    panel.features["forecast"][:] = moves + rng.standard_normal((bars, 6))
    panel.prices[:] = 100.0 * np.exp(0.01 * np.cumsum(moves, axis=0))
    state, book = new_state(SETTINGS, panel.instrument_ids, seed), np.zeros(6)
    for t in range(bars):
        seen = Observation(
            time_ns=int(panel.time_ns[t]), instrument_ids=panel.instrument_ids,
            prices=panel.prices[t], sigma=panel.sigma[t],
            features={name: values[t] for name, values in panel.features.items()},
            market={"vix": float(panel.market["vix"][t])}, weights=book, nav=1.0,
            sectors=panel.sectors, currencies=panel.currencies,
        )  # fmt: skip
        before = state
        state, decision = step(SETTINGS, before, seen)
        yield Taken(before, seen, decision)
        book = decision.target_weights


def _trades_under(condition: Condition, taken: Taken, at: int) -> bool:
    """Take the decision again with what the condition names, by public means alone."""
    seen, before, settings = taken.seen, taken.before, SETTINGS
    if condition.name == "weight_held":
        weights = seen.weights.copy()
        weights[at] = condition.value
        seen = dataclasses.replace(seen, weights=weights)
    elif condition.name == "price":
        prices = seen.prices.copy()
        prices[at] = condition.value
        seen = dataclasses.replace(seen, prices=prices)
    elif condition.name == "conviction":
        blank = before.scouts._replace(gain=np.zeros_like(before.scouts.gain))
        before = dataclasses.replace(before, scouts=blank)
    else:
        worker, recruitment = settings.worker, settings.recruitment
        if condition.name == "cost_bps":
            worker = dataclasses.replace(
                worker, cost_bps=condition.value, cost_feedback_enabled=False
            )
        else:
            recruitment = dataclasses.replace(recruitment, quorum=condition.value)
        settings = dataclasses.replace(settings, worker=worker, recruitment=recruitment)
        before = dataclasses.replace(
            before, settings=settings.text(), settings_digest=settings.digest()
        )
    _, other = step(settings, before, seen)
    return abs(float(other.target_weights[at] - seen.weights[at])) > 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_what_would_have_meant_no_trade_does_so_when_it_is_tried(seed: int) -> None:
    tried = set[tuple[str, bool]]()
    for taken in list(_taken(seed))[25::4]:
        for at in range(6):
            told, held = taken.explain(at), float(taken.seen.weights[at])
            traded = abs(told.target_weight - held) > 1e-12
            assert bool(told.conditions) == traded
            for condition in told.conditions:
                assert not _trades_under(condition, taken, at), condition
                assert f"no trade if {condition.text}" in told.to_text()
                tried.add((condition.name, held != 0.0))
    assert {("weight_held", True), ("cost_bps", True), ("price", True)} <= tried


def test_a_first_position_is_stopped_by_the_quorum_and_by_silence() -> None:
    found = set[str]()
    for taken in _taken(0):
        for at in np.flatnonzero(
            (taken.seen.weights == 0.0) & (taken.decision.target_weights != 0)
        ):
            found |= {condition.name for condition in taken.explain(int(at)).conditions}
    assert found == {"weight_held", "cost_bps", "quorum", "conviction", "price"}


def test_contributions_add_up_and_each_sense_is_silenced_in_turn() -> None:
    for taken in list(_taken(5))[20::5]:
        for at in range(6):
            told = taken.explain(at)
            assert abs(sum(told.senses.values()) - told.conviction) < 1e-12
            assert abs(sum(told.scouts.values()) - told.conviction) < 1e-12
            spoke = [name for name, part in told.senses.items() if part != 0.0]
            silenced = [other.changed for other in told.counterfactuals]
            assert sorted(silenced) == sorted(f"had {name} abstained" for name in spoke)
            assert told.instrument_id in told.to_text()


def test_without_what_it_was_taken_from_nothing_is_said_of_other_worlds() -> None:
    taken = list(_taken(1))[-1]
    told = explain(taken.decision, taken.seen.instrument_ids[0])
    assert told.conditions == ()
    assert told.counterfactuals == ()


def test_another_state_observation_or_instrument_is_refused() -> None:
    first, *_, last = _taken(0)
    name = last.seen.instrument_ids[0]
    with pytest.raises(ValueError, match="instrument_id must be one of"):
        explain(last.decision, "US.NONE")
    with pytest.raises(ValueError, match="state must be the one before the decision"):
        explain(last.decision, name, settings=SETTINGS, state=first.before, observation=last.seen)
    later = dataclasses.replace(last.seen, time_ns=last.seen.time_ns + DAY_NS)
    with pytest.raises(ValueError, match="observation, solver and anomaly must be those"):
        explain(last.decision, name, settings=SETTINGS, state=last.before, observation=later)
    odd = np.full(6, 1.0)  # bars that look like nothing seen before: all is held
    with pytest.raises(ValueError, match="observation, solver and anomaly must be those"):
        explain(
            last.decision, name, settings=SETTINGS, state=last.before, observation=last.seen,
            anomaly=odd,
        )  # fmt: skip


def test_scouts_that_are_silenced_have_silent_young() -> None:
    """Or what is said of a bar of births without them would be the word of their children."""
    born = 0
    for taken in _taken(1, 22):
        blank = taken.before.scouts._replace(gain=np.zeros_like(taken.before.scouts.gain))
        silent = dataclasses.replace(taken.before, scouts=blank)
        after, decision = step(SETTINGS, silent, taken.seen)
        born += int(after.scouts.births[0] - blank.births[0])
        assert not decision.conviction.any()
    assert born > 0
