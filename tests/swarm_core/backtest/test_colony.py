"""The colony in the compiled loop decides and trades as step, sizing, gate and venue do live."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from swarm_core.actions.splits import Split
from swarm_core.backtest import columns as c
from swarm_core.backtest.bars import Bars
from swarm_core.backtest.columns import NONE
from swarm_core.backtest.engine import Backtest
from swarm_core.backtest.opening import Openings
from swarm_core.backtest.settings import EngineSettings
from swarm_core.backtest.stepwise import StepwiseBacktest
from swarm_core.colony import codec, purse
from swarm_core.colony.decision import Decision
from swarm_core.colony.engine import new_state, step
from swarm_core.colony.replay import Panel, Records
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import EMPTY, ColonyState
from swarm_core.commissions import IbFixedCommission
from swarm_core.instruments import Instrument
from swarm_core.orders import OrderKind, TimeInForce
from swarm_core.risk.limits import RiskLimits
from tests.swarm_core.backtest.stories import Story, assert_same, compiled_story, stepwise_story
from tests.swarm_core.colony.builders import make_panel, make_settings, observation_of

GTC = TimeInForce.GOOD_TILL_CANCELLED
COLONY = make_settings(worker={"engagement_prior": 0.95})  # it trades from the first day on
DESK = EngineSettings(
    starting_cash=Decimal(1_000_000),
    limits=RiskLimits(short_locate_required=False, quote_age_s_max=604_800.0),
)


def make_bars(panel: Panel, currencies: tuple[str, ...] = ("USD",), lots: int = 50_000) -> Bars:
    """Return the panel's prices as bars that open at the last close, of so many lots at most."""
    instruments = [
        Instrument(
            instrument_id=name,
            asset_class="equity",
            currency=currencies[at % len(currencies)],
            price_increment=Decimal("0.001"),
            sector=sector,
        )
        for at, (name, sector) in enumerate(zip(panel.instrument_ids, panel.sectors, strict=True))
    ]
    volume = np.random.default_rng(5).integers(lots // 50, lots, panel.prices.shape)
    opens = np.roll(panel.prices, 1, axis=0)
    opens[0] = np.nan
    return Bars.from_prices(
        instruments, panel.time_ns, panel.prices, open_=opens, volume=volume.astype(float)
    )


def walk_both_ways(
    panel: Panel, bars: Bars, desk: EngineSettings, colony: ColonySettings, openings: Openings
) -> tuple[Story, ColonyState, Records]:
    """Hold the loop to the steps: every row, every decision, and the state at the end."""
    start = new_state(colony, panel.instrument_ids, 3)
    looped: list[tuple[ColonyState, Records]] = []
    state, decisions = start, list[Decision]()

    def by_loop(test: Backtest, b: Bars) -> None:
        looped.append(test.trade_colony(b, colony, start, panel))

    def by_steps(test: StepwiseBacktest, b: Bars) -> None:
        def decide(
            t: int, weights: tuple[float, ...], nav: float, realised: tuple[float, float]
        ) -> Decision:
            nonlocal state
            shown = replace(
                observation_of(panel, looped[0][1], t),
                weights=np.array(weights),
                nav=nav,
                traded=realised[0],
                paid=realised[1],
            )
            state, decision = step(colony, state, shown)
            decisions.append(decision)
            return decision

        test.trade_decisions(b, decide)

    compiled = compiled_story(bars, desk, by_loop, openings=openings)
    assert_same(compiled, stepwise_story(bars, desk, by_steps, openings=openings))
    end, records = looped[0]
    targets = np.array([d.target_weights for d in decisions])
    np.testing.assert_array_equal(records.target_weights, targets)
    assert codec.digest(end) == codec.digest(state)
    return compiled, end, records


@pytest.mark.parametrize("seed", [0, 1])
def test_a_colony_in_the_loop_is_the_colony_stepped_to_the_bit(seed: int) -> None:
    panel = replace(make_panel(60, 8, seed), currencies=("USD",) * 8)
    compiled, end, _ = walk_both_ways(panel, make_bars(panel), DESK, COLONY, Openings())
    assert len(compiled.rows["fills"]) > 10
    assert end.book.friction.all()


def test_what_fills_cost_is_heard_alike_of_late_fills_foreign_currencies_and_a_split() -> None:
    panel = make_panel(50, 6, 4)
    bars = make_bars(panel, panel.currencies, lots=2_000)  # orders fill over many bars
    sizing = replace(DESK.sizing, kind=OrderKind.MARKET, time_in_force=GTC)
    desk = replace(DESK, sizing=sizing, commission=IbFixedCommission())
    actions = {
        int(bars.market.session[t]): [
            Split(action_id=f"{name}-{t}", instrument_id=name, numerator=2, denominator=1)
            for name in panel.instrument_ids
        ]
        for t in (20, 35)
    }
    compiled, end, _ = walk_both_ways(panel, bars, desk, COLONY, Openings(actions=actions))
    adjusted = [row for row in compiled.rows["actions"] if row[2] == c.ADJUSTED]
    sent = {row[0]: row[1] for row in compiled.rows["orders"]}
    late = [row for row in compiled.rows["fills"] if row[1] > sent[row[0]] + 2]
    assert adjusted
    assert late
    assert end.book.friction.all()


def _with_a_dear_instrument(panel: Panel) -> Panel:
    """Return the panel with a first instrument of a dollar that one sense turns over, and rightly:
    it goes up and down by a third of its volatility."""
    prices, features = panel.prices.copy(), dict(panel.features)
    up = np.arange(len(prices)) % 2 == 0
    prices[:, 0] = np.where(up, 1.0, 1.003)
    quick = np.full(prices.shape, np.nan)
    quick[:, 0] = np.where(up, 1.0, -1.0)
    features["rev_5d_rank"] = quick
    return replace(panel, prices=prices, features=features, currencies=("USD",) * prices.shape[1])


def test_a_dear_instrument_costs_the_senses_that_trade_it_their_trust_in_both_paths() -> None:
    """Its commission of a hundredth of the value is 20 times the cost that is set.

    Memories are charged as well: spared, they keep a sense that still pays after all of it.
    """
    panel = _with_a_dear_instrument(make_panel(150, 4, 2))
    bars, desk = make_bars(panel), replace(DESK, commission=IbFixedCommission())
    trust: dict[bool, float] = {}
    for heard in (True, False):
        worker = {
            "engagement_prior": 0.95,
            "engagement_stake": 1.0,
            "cost_prior_turnover": 0.1,
            "cost_feedback_enabled": heard,
        }
        charged = {
            "horizons": [1, 5], "horizon_weights": [0.7, 0.3], "cost_bps": 5.0,
            "memory_cost_part": 1.0,
        }  # fmt: skip
        colony = make_settings(trust=charged, worker=worker, lifecycle={"enabled": False})
        _, end, records = walk_both_ways(panel, bars, desk, colony, Openings())
        assert end.book.friction[purse.PAID] > 5e-4 * end.book.friction[purse.TRADED]
        column = end.scouts.column == end.columns.index("rev_5d_rank")
        places = np.flatnonzero(column & (end.scouts.status != EMPTY))
        trust[heard] = float(records.trust[75:, places].sum(axis=1).mean())
    assert trust[True] < 0.6 * trust[False]


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
