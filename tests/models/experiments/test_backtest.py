"""A backtest is on the ledger before it runs, repeats to the bit, and knows who was a member."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.experiments.account import walk
from models.experiments.backtest import run_backtest
from models.experiments.fields import ExperimentError
from models.experiments.market import MarketTables, build_market
from models.experiments.points import resolve
from models.experiments.senses import earned_by_senses
from models.experiments.spec import Member, Universe
from models.experiments.trials import FAILED, FINISHED, LAUNCHED, Trial, count_trials
from models.experiments.windows import windows_of
from tests.models.experiments.builders import ListLedger, make_ground, make_market, make_spec

pytestmark = pytest.mark.xdist_group("experiments")  # what they compile is compiled once


def _trial(window: int = 0, seed: int = 1) -> Trial:
    spec, ground = make_spec(), make_ground()
    chosen = resolve(spec, {}, ground)
    return Trial(
        experiment=spec.name,
        point="",
        window=windows_of(spec)[window],
        universe=spec.universe,
        contracts=spec.contracts,
        colony=chosen.colony,
        venue=chosen.venue,
        limits=chosen.limits,
        sizing=chosen.sizing,
        strategy=None,
        seed=seed,
        nav=ground.nav,
        base_currency="USD",
        code="c",
        data="d",
    )


def test_the_same_trial_gives_the_same_bytes() -> None:
    """Rows, parts and digest are equal when the trial is run again."""
    first = run_backtest(_trial(), make_market(), ListLedger(), "r1")
    again = run_backtest(_trial(), make_market(), ListLedger(), "r2")
    assert first.outcome == again.outcome
    assert first.rows.equals(again.rows)
    assert first.parts.equals(again.parts)
    assert first.rows["net_return"].to_numpy().any(), "a colony that never traded proves nothing"


def test_scored_sessions_lie_in_the_window_and_later_data_change_nothing() -> None:
    """Only the window's sessions are scored; what comes after it is never looked at."""
    market, trial = make_market(), _trial()
    result = run_backtest(trial, market, ListLedger(), "r")
    days = result.rows["event_time"].dt.date()
    assert days.min() == trial.window.start
    assert days.max() == trial.window.end - timedelta(days=1)
    cut = market.between(date(2020, 1, 1), trial.window.end)
    assert run_backtest(trial, cut, ListLedger(), "r").outcome == result.outcome


@pytest.mark.parametrize("kind", ["instrument", "sense"])
def test_contributions_and_costs_add_up_to_the_return(kind: str) -> None:
    """What instruments earned, or senses in their place, less costs is the change of NAV, exactly.

    Each month's parts are of the NAV when it began: chained, they are the return of the window.
    """
    market = make_market()
    opens = market.panel.prices * 1.002
    for seen in (market, replace(market, opens=opens)):
        result = run_backtest(_trial(), seen, ListLedger(), "r")
        of = result.parts.filter(pl.col("kind").is_in([kind, "cost"]))
        months = of.group_by("event_time").agg(pl.col("contribution").sum()).sort("event_time")
        grown = float(np.prod(1.0 + months["contribution"].to_numpy()))
        returns = result.rows["net_return"].to_numpy()
        assert grown == pytest.approx(float(np.prod(1.0 + returns)), abs=1e-10)
        assert months.height > 1
        assert result.rows["cost"].sum() > 0
        assert result.parts.filter(pl.col("kind") == kind)["contribution"].n_unique() > 3


def test_earnings_are_shared_as_the_conviction_behind_them_was() -> None:
    """Two senses, one instrument: decided at a close, held from the session after it.

    0: A says 0.6, B 0.2: three quarters and one. 1: A 0.5 against B -0.25, which is 2 and -1.
    2: nothing is wanted, and what is closed is told by what had opened it. 3: 0.50 against -0.49
    all but cancel out, and the shares stay.
    """
    said = np.array([[0.6, 0.2], [0.5, -0.25], [0.9, 0.0], [0.50, -0.49], [0.0, 1.0]])[:, :, None]
    targets = np.array([[0.8], [0.25], [0.0], [0.01], [1.0]])
    earned = np.array([[0.001], [0.04], [0.02], [-0.01], [0.03]])
    assert earned_by_senses(said, targets, earned) == pytest.approx(
        np.array(
            [
                [0.0, 0.0, 0.001],  # nothing had been decided
                [0.03, 0.01, 0.0],
                [0.04, -0.02, 0.0],
                [-0.02, 0.01, 0.0],
                [0.06, -0.03, 0.0],
            ]
        )
    )


def test_orders_fill_at_the_next_open_where_the_market_has_one() -> None:
    """A first session in which nothing moves before its open is where the first fills are."""
    market, trial = make_market(), _trial()
    walked = walk(trial, replace(market, opens=market.panel.prices * 1.002))
    first = int(np.flatnonzero(walked.turnover.sum(axis=1))[0])
    decided, held = walked.targets[first - 1], walked.held[first]
    assert not walked.held[:first].any()
    np.testing.assert_allclose(held[decided != 0], decided[decided != 0], rtol=0.03)


def test_a_trial_is_on_the_ledger_before_it_runs() -> None:
    """Each run leaves a launch and an end; one that fails leaves its reason and still counts."""
    ledger = ListLedger()
    run_backtest(_trial(), make_market(), ledger, "r")
    assert [r["kind"] for r in ledger.written] == [LAUNCHED, FINISHED]
    empty = replace(_trial(seed=2), window=_trial(2).window)
    with pytest.raises(ExperimentError, match="must have at least 3 scored sessions, had 0"):
        run_backtest(empty, make_market(200), ledger, "r")
    assert [r["kind"] for r in ledger.written[2:]] == [LAUNCHED, FAILED]
    assert count_trials(ledger.written).trials == 2


def test_a_repeat_counts_once_and_another_strategy_counts_again() -> None:
    """Windows of one strategy are one trial; a changed seed is another one."""
    ledger = ListLedger()
    market = make_market()
    for trial in (_trial(0), _trial(0), _trial(1), _trial(0, seed=2)):
        run_backtest(trial, market, ledger, "r")
    count = count_trials(ledger.written)
    assert (count.launches, count.trials, len(count.sharpes)) == (4, 2, 2)
    assert count.sharpe_std is not None
    assert count_trials(ledger.written, "another").trials == 0


def _tables(sessions: int) -> MarketTables:
    closes = [datetime(2020, 1, 1, 21, tzinfo=UTC) + timedelta(days=t) for t in range(sessions)]
    rows = pl.DataFrame(
        {
            "instrument_id": ["A", "B"] * sessions,
            "event_time": [c for c in closes for _ in "AB"],
            "ewma_vol": 0.2,
            "mom_252d_21d_rank": 0.5,
        }
    ).with_columns(knowledge_time=pl.col("event_time") + timedelta(minutes=15))
    bars = rows.select("instrument_id", "event_time", "knowledge_time", close=pl.lit(10.0))
    return MarketTables(
        features=rows,
        forecasts=rows.select("instrument_id", "event_time", forecast=pl.lit(0.1)).clear(),
        bars=bars,
        instruments=pl.DataFrame(
            {"instrument_id": ["A", "B"], "sector": ["x", "y"], "currency": ["USD", "USD"]}
        ),
        benchmark=pl.DataFrame({"event_time": closes, "close": 1.0}),
    )


def test_a_member_is_seen_only_while_it_belonged() -> None:
    """Before its first and after its last day a member has neither price nor features."""
    universe = Universe((Member("A"), Member("B", date(2020, 1, 3), date(2020, 1, 4))))
    market = build_market(_tables(6), universe, timedelta(hours=2))
    seen = np.isfinite(market.panel.prices)
    assert seen[:, 0].all()
    assert seen[:, 1].tolist() == [False, False, True, True, False, False]
    ranks = market.panel.features["mom_252d_21d_rank"]
    assert np.isfinite(ranks[:, 1]).tolist() == seen[:, 1].tolist()


def test_what_was_published_after_its_decision_is_not_seen() -> None:
    """A row known only later than the decision is left out of the market."""
    tables = _tables(6)
    late = pl.col("event_time") == tables.features["event_time"].max()
    features = tables.features.with_columns(
        knowledge_time=pl.when(late)
        .then(pl.col("event_time") + timedelta(hours=3))
        .otherwise(pl.col("knowledge_time"))
    )
    market = build_market(replace(tables, features=features), Universe(), timedelta(hours=2))
    assert len(market.closes) == 5


def test_a_member_without_features_is_refused_by_name() -> None:
    """A universe that names an unknown instrument is told which."""
    with pytest.raises(ExperimentError, match="instruments that have features, was 'C'"):
        build_market(_tables(6), Universe((Member("C"),)), timedelta(hours=2))
