"""The colony in the compiled loop decides and trades as step, sizing, gate and venue do live."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from swarm_core.backtest.bars import Bars
from swarm_core.backtest.columns import NONE
from swarm_core.backtest.engine import Backtest
from swarm_core.backtest.settings import EngineSettings
from swarm_core.backtest.stepwise import StepwiseBacktest
from swarm_core.colony import codec
from swarm_core.colony.decision import Decision
from swarm_core.colony.engine import new_state, step
from swarm_core.colony.replay import Panel, Records
from swarm_core.instruments import Instrument
from swarm_core.risk.limits import RiskLimits
from tests.swarm_core.backtest.stories import assert_same, compiled_story, stepwise_story
from tests.swarm_core.colony.builders import make_panel, make_settings, observation_of

COLONY = make_settings(worker={"engagement_prior": 0.95})  # it trades from the first day on
DESK = EngineSettings(
    starting_cash=Decimal(1_000_000),
    limits=RiskLimits(short_locate_required=False, quote_age_s_max=604_800.0),
)


def make_bars(panel: Panel) -> Bars:
    instruments = [
        Instrument(instrument_id=name, asset_class="equity", currency="USD", sector=sector)
        for name, sector in zip(panel.instrument_ids, panel.sectors, strict=True)
    ]
    volume = np.random.default_rng(5).integers(1_000, 50_000, panel.prices.shape)
    return Bars.from_prices(instruments, panel.time_ns, panel.prices, volume=volume.astype(float))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_colony_in_the_loop_is_the_colony_stepped_to_the_bit(seed: int) -> None:
    panel = replace(make_panel(60, 8, seed), currencies=("USD",) * 8)
    bars, start = make_bars(panel), new_state(COLONY, panel.instrument_ids, 3)
    ends: list[str] = []
    seen: list[Records] = []
    decisions: list[Decision] = []

    def looped(test: Backtest, b: Bars) -> None:
        end, records = test.trade_colony(b, COLONY, start, panel)
        ends.append(codec.digest(end))
        seen.append(records)

    def stepped(test: StepwiseBacktest, b: Bars) -> None:
        state = start

        def decide(t: int, weights: tuple[float, ...], nav: float) -> Decision:
            nonlocal state
            seen_then = observation_of(panel, seen[0], t)
            shown = replace(
                seen_then, weights=np.array(weights), nav=nav, traded=np.nan, paid=np.nan
            )
            state, decision = step(COLONY, state, shown)
            decisions.append(decision)
            return decision

        test.trade_decisions(b, decide)
        ends.append(codec.digest(state))

    compiled = compiled_story(bars, DESK, looped)
    assert_same(compiled, stepwise_story(bars, DESK, stepped))
    assert ends[0] == ends[1]
    targets = np.array([d.target_weights for d in decisions])
    np.testing.assert_array_equal(seen[0].target_weights, targets)
    assert len(compiled.rows["fills"]) > 20


def test_a_colony_that_is_walked_in_two_parts_ends_where_one_walk_does() -> None:
    panel = replace(make_panel(40, 6), currencies=("USD",) * 6)
    bars, start = make_bars(panel), new_state(COLONY, panel.instrument_ids, 3)
    whole = Backtest(bars, DESK, lambda *_: None)
    end, _ = whole.trade_colony(bars, COLONY, start, panel)
    parts, state = Backtest(bars, DESK, lambda *_: None), start
    for low, high in ((0, 17), (17, 40)):
        cut = replace(
            panel,
            time_ns=panel.time_ns[low:high],
            prices=panel.prices[low:high],
            sigma=panel.sigma[low:high],
            features={name: values[low:high] for name, values in panel.features.items()},
            market={name: values[low:high] for name, values in panel.market.items()},
        )
        state, _ = parts.trade_colony(bars.part(low, high), COLONY, state, cut)
    assert codec.digest(state) == codec.digest(end)
    assert parts.standing() == whole.standing()


def test_a_panel_of_other_instruments_is_refused() -> None:
    panel = make_panel(5, 3)
    bars = make_bars(panel)
    other = replace(panel, instrument_ids=("US.A", "US.B", "US.C"))
    test = Backtest(bars, DESK, lambda *_: None)
    with pytest.raises(ValueError, match="panel must be of the bars' instruments"):
        test.trade_colony(bars, COLONY, new_state(COLONY, other.instrument_ids, 3), other)
    assert NONE not in test.standing().lots
