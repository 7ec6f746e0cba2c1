"""An experiment over two exchanges: their calendars, what is seen, and both ways to walk it."""

from datetime import date

import numpy as np
import pytest

from adapters.brokers.simulated import SimulatedBroker
from adapters.workers.line import ProcessLine
from features.calendars import day_of
from models.experiments.account import desk_of, walk, weights_of
from models.experiments.backtest import compute
from models.experiments.guard import trial_decides, trial_peeks
from models.experiments.market import Market
from models.experiments.market_arrays import from_arrays, to_arrays
from models.experiments.trials import Trial
from swarm_core.backtest.columns import FILL_TAPE, NONE
from swarm_core.backtest.engine import Backtest
from swarm_core.backtest.opening import Openings
from swarm_core.backtest.stepwise import StepwiseBacktest
from swarm_core.instruments import to_minor
from tests.models.experiments.two_exchanges import (
    END,
    HOURS,
    LONDON,
    NEW_YORK,
    make_market,
    make_spec,
    make_trial,
)

pytestmark = pytest.mark.xdist_group("experiments")
REVERSAL = """
import numpy as np

def decide(market):
    change = market.features["change"]
    return np.clip(-8.0 * change, -0.4, 0.4)
"""
PEEK = """
import numpy as np

def decide(market):
    close = market.close
    later = np.vstack([close[1:], close[-1:]])
    return np.clip(8.0 * (later / close - 1.0), -0.4, 0.4)
"""
FUNCTION = {"source": REVERSAL, "function": "decide"}


def session_days(exchange: str) -> set[date]:
    days = HOURS[exchange]["session"]
    return {day for day in days if day <= END}


def row_of(market: Market, day: date) -> int:
    return [day_of(close) for close in market.closes].index(day)


def test_a_day_is_decided_once_after_its_last_close() -> None:
    """A row for each day on which either is open; the hour is London's where New York rests."""
    market = make_market(make_spec(FUNCTION))
    days = [day_of(close) for close in market.closes]
    assert days == sorted(session_days("L") | session_days("A"))
    hours = dict(zip(days, market.closes, strict=True))
    assert hours[date(2020, 5, 8)].hour == 20  # New York in summer; London rests
    assert (hours[date(2020, 7, 3)].hour, hours[date(2020, 7, 3)].minute) == (15, 30)
    assert date(2020, 5, 25) not in hours, "both rest"
    floor = market.floor
    assert floor is not None
    assert floor.decided is not None
    told = [len(session_days("L")), len(session_days("A"))]
    assert len(floor.bars.market.time_ns) == sum(told)
    assert set(market.panel.time_ns - floor.bars.market.time_ns[floor.decided]) == {7_200 * 10**9}


def test_each_is_seen_at_its_own_close_and_not_on_its_holidays() -> None:
    market = make_market(make_spec(FUNCTION))
    ids = market.panel.instrument_ids
    london = [ids.index(name) for name in LONDON]
    york = [ids.index(name) for name in NEW_YORK]
    for day, away, here in (
        (date(2020, 5, 8), london, york),
        (date(2020, 4, 13), london, york),
        (date(2020, 7, 3), york, london),
    ):
        row = row_of(market, day)
        for values in (market.panel.prices, market.panel.features["change"]):
            assert np.isnan(values[row, away]).all(), day
            assert np.isfinite(values[row, here]).all(), day
    # New York's benchmark stands over its own holiday, so that no return of it is lost.
    row = row_of(market, date(2020, 7, 3))
    assert market.benchmark[row] == market.benchmark[row - 1]


def fills_of(trial: Trial, market: Market) -> np.ndarray:
    """Return the fill tape of a trial whose function decides."""
    floor = market.floor
    assert floor is not None
    assert floor.decided is not None
    tape: list[np.ndarray] = []
    test = Backtest(
        floor.bars,
        desk_of(trial, 7_200.0),
        lambda name, rows: tape.append(rows) if name == "fills" else None,
    )
    weights = np.full(floor.bars.market.close.shape, np.nan)
    weights[floor.decided] = weights_of(trial, market)
    test.trade_weights(floor.bars, weights)
    return np.concatenate(tape)


def test_every_fill_is_in_a_bar_of_its_own_exchange() -> None:
    spec = make_spec(FUNCTION)
    market, trial = make_market(spec), make_trial(spec)
    floor = market.floor
    assert floor is not None
    fills = fills_of(trial, market)
    bar, instrument = (fills[:, FILL_TAPE.index(name)] for name in ("bar", "instrument"))
    assert len(fills) > 200
    assert (floor.bars.market.close[bar, instrument] != NONE).all()
    assert {int(i) for i in instrument} == set(range(4))


@pytest.mark.parametrize("seed", range(3))
def test_step_by_step_it_comes_out_the_same_to_the_minor_unit(seed: int) -> None:
    spec = make_spec(FUNCTION)
    market, trial = make_market(spec, seed), make_trial(spec)
    floor, walked = market.floor, walk(trial, market)
    assert floor is not None
    assert floor.decided is not None
    settings = desk_of(trial, 7_200.0)
    grid = {i.instrument_id: i for i in floor.bars.instruments}
    venue = SimulatedBroker(grid, fills=settings.fills, commission=settings.commission)
    test = StepwiseBacktest(
        floor.bars.instruments, settings, venue, openings=Openings(actions=floor.actions)
    )
    weights = np.full(floor.bars.market.close.shape, np.nan)
    weights[floor.decided] = walked.targets
    test.trade_weights(floor.bars, weights)
    stepped = [test.nav_minor[t] for t in floor.decided]
    assert stepped == [round(nav * 10**8) for nav in walked.nav]
    assert stepped[-1] != to_minor(100_000)


def test_what_was_earned_and_taken_is_the_change_of_nav() -> None:
    spec = make_spec(FUNCTION)
    market, trial = make_market(spec), make_trial(spec)
    walked = walk(trial, market)
    told = walked.contribution.sum(axis=1) + sum(walked.currencies.values())
    told = told - np.sum(list(walked.costs.values()), axis=0)
    before = np.concatenate(([100_000.0], walked.nav[:-1]))
    assert told * before == pytest.approx(walked.nav - before, abs=1e-6)
    assert compute(trial, market).rows.height == len(market.closes)


def test_a_membership_ends_on_its_day_on_either_exchange() -> None:
    """L1 leaves on the seventh of May: London rests on the eighth, and sells on the eleventh."""
    members = [{"instrument": "L1", "to": "2020-05-07"}, "L2", *NEW_YORK]
    spec = make_spec(FUNCTION, universe=members)
    market, trial = make_market(spec), make_trial(spec)
    held = walk(trial, market).held[:, market.panel.instrument_ids.index("L1")]
    seventh, eleventh = (row_of(market, date(2020, 5, day)) for day in (7, 11))
    assert held[seventh] != 0.0
    assert held[eleventh - 1] != 0.0, "London rested"
    assert np.all(held[eleventh + 1 :] == 0.0)


def test_the_guard_finds_a_peek_and_passes_what_looks_back() -> None:
    spec = make_spec(FUNCTION)
    assert trial_peeks(make_trial(spec), make_market(spec), 20, ProcessLine) == ()
    spec = make_spec(FUNCTION | {"source": PEEK})
    assert trial_peeks(make_trial(spec), make_market(spec), 20, ProcessLine)


def test_a_part_is_walked_as_the_whole_is_until_then() -> None:
    spec = make_spec(FUNCTION)
    market, trial = make_market(spec), make_trial(spec)
    part = market.between(day_of(market.closes[0]), date(2020, 5, 30))
    assert len(part.closes) < len(market.closes)
    assert walk(trial, part).nav.tolist() == walk(trial, market).nav[: len(part.closes)].tolist()
    later = market.between(date(2020, 5, 1), date(2020, 6, 1))
    assert later.floor is not None
    assert later.floor.decided is not None
    assert later.floor.bars.market.time_ns[later.floor.decided].tolist() == [
        round(close.timestamp()) * 10**9 for close in later.closes
    ]


def test_workers_are_given_the_same_market() -> None:
    spec = make_spec(FUNCTION)
    market, trial = make_market(spec), make_trial(spec)
    again = from_arrays({k: v.copy() for k, v in to_arrays(market).items()})
    assert walk(trial, again).nav.tolist() == walk(trial, market).nav.tolist()


def test_the_colony_decides_once_a_day_and_holds_what_rests() -> None:
    """What has no price keeps its weight; the colony's own loop passes the guard."""
    spec = make_spec(
        None,
        colony={
            "memory_bars": 32,
            "trust": {"horizons": [1, 5], "horizon_weights": [0.7, 0.3]},
            "recruitment": {"enabled": False},
            "worker": {"engagement_prior": 0.65},
        },
    )
    market, trial = make_market(spec), make_trial(spec)
    walked = walk(trial, market)
    assert walked.colony is not None
    state, records = walked.colony
    assert state.steps == len(market.closes)
    assert records.nav.tolist() == walked.nav.tolist()
    decide = trial_decides(trial)
    part = market.between(day_of(market.closes[0]), date(2020, 6, 1))
    assert np.array_equal(decide(part), walked.targets[: len(part.closes)])
    row = row_of(market, date(2020, 5, 8))
    at = [market.panel.instrument_ids.index(name) for name in LONDON]
    assert np.all(walked.targets[row, at] != 0.0)
    assert walked.targets[row, at].tolist() == records.weights[row, at].tolist()
