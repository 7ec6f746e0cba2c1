"""The statistics know how often was tried: luck comes out as luck, and skill as skill."""

import numpy as np
import polars as pl
import pytest

from models.experiments.judgement import judge, judge_points, judge_sweep
from models.experiments.trials import TrialCount
from models.statistics import sharpe

pytestmark = pytest.mark.xdist_group("experiments")  # what they compile is compiled once

SESSIONS = 1_260


def _rows(returns: np.ndarray) -> pl.DataFrame:
    market = np.random.default_rng(99).normal(0.0003, 0.01, returns.size)
    return pl.DataFrame(
        {
            "net_return": returns,
            "turnover": 0.1,
            "gross": 1.0,
            "net": 0.2,
            "impact": 1e-9,
            "benchmark_return": market,
        }
    )


def _count(tried: np.ndarray) -> TrialCount:
    ratios = tuple(sharpe(r) for r in tried.T)
    return TrialCount(len(ratios), len(ratios), ratios)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_best_of_a_thousand_without_skill_is_luck(seed: int) -> None:
    """On its own the best looks sure; with the ledger's count it is luck, as every test says."""
    tried = np.random.default_rng(seed).normal(0.0, 0.01, (SESSIONS, 1_000))
    count = _count(tried)
    best = tried[:, int(np.argmax(count.sharpes))]
    alone = judge(_rows(best), TrialCount(1, 1, ()))
    assert alone.deflated is not None
    assert not alone.is_luck, "uncorrected it must look good, or the test shows nothing"
    judged = judge(_rows(best), count, judge_sweep(tried))
    assert judged.trials == 1_000
    assert judged.is_luck
    assert judged.overfitting is not None
    assert judged.overfitting > 0.25
    assert judged.spa is not None
    assert judged.spa > 0.05


def test_skill_among_a_thousand_is_seen() -> None:
    """A true ratio of three a year stands out of a thousand tries over five years."""
    tried = np.random.default_rng(4).normal(0.0, 0.01, (SESSIONS, 1_000))
    tried[:, 7] += 0.01 * 3.0 / np.sqrt(252)
    judged = judge(_rows(tried[:, 7]), _count(tried), judge_sweep(tried))
    assert not judged.is_luck
    assert judged.spa is not None
    assert judged.spa < 0.05
    assert judged.overfitting is not None
    assert judged.overfitting < 0.05


def test_returns_that_do_not_move_have_no_ratio() -> None:
    """A strategy that never traded has figures where they are defined and None elsewhere."""
    judged = judge(_rows(np.zeros(50)), TrialCount(1, 1, ()))
    assert judged.sharpe is None
    assert judged.is_luck
    assert judged.annual_return == 0.0


def test_an_interval_holds_the_ratio_and_narrows_with_what_is_known() -> None:
    """Four times the sessions, half the width."""
    drawn = np.random.default_rng(5).normal(0.0004, 0.01, 4 * SESSIONS)
    widths: list[float] = []
    for returns in (drawn[:SESSIONS], drawn):
        told = judge(_rows(returns), TrialCount(1, 1, ()))
        assert told.sharpe_low is not None
        assert told.sharpe_high is not None
        assert told.sharpe is not None
        assert told.sharpe_low < told.sharpe < told.sharpe_high
        widths.append(told.sharpe_high - told.sharpe_low)
    assert widths[1] == pytest.approx(widths[0] / 2, rel=0.2)


def test_a_fund_that_follows_the_market_is_more_than_luck_and_not_more_than_the_market() -> None:
    """Twice a rising benchmark with a little noise: above zero, and nothing beside what it holds.

    With the same noise and a ratio of three over the benchmark it is above both.
    """
    rng = np.random.default_rng(6)
    market = rng.normal(0.0015, 0.01, SESSIONS)
    follower = market + rng.normal(0.0, 0.002, SESSIONS)
    better = follower + 0.002 * 3.0 / np.sqrt(252)
    for returns, above in ((follower, False), (better, True)):
        rows = _rows(returns).with_columns(benchmark_return=pl.Series(market))
        told = judge(rows, TrialCount(20, 20, ()))
        assert not told.is_luck
        assert told.is_luck_active is not above
    assert judge(
        _rows(better).with_columns(benchmark_return=0.0), TrialCount(1, 1, ())
    ).is_luck_active, "without a benchmark nothing is shown beside it"


def test_a_sweep_of_followers_beats_nothing_but_zero() -> None:
    """Twenty points that hold a rising market: sure above zero, and not beside the market."""
    rng = np.random.default_rng(7)
    market = rng.normal(0.0015, 0.01, SESSIONS)
    tried = market[:, None] + rng.normal(0.0, 0.002, (SESSIONS, 20))
    told = judge_sweep(tried, market)
    assert told.spa is not None
    assert told.spa_active is not None
    assert told.spa < 0.01 < 0.1 < told.spa_active
    tried[:, 4] += 0.002 * 3.0 / np.sqrt(252)
    better = judge_sweep(tried, market)
    assert better.spa_active is not None
    assert better.spa_active < 0.01


def test_points_are_judged_over_the_sessions_that_they_share() -> None:
    """Rows of two points in any order, one of them with a session more, give the same figures."""
    rng = np.random.default_rng(8)
    tried, market = rng.normal(0.0005, 0.01, (60, 2)), rng.normal(0.0, 0.01, 60)
    frames = [
        pl.DataFrame(
            {
                "point": name,
                "event_time": np.arange(60),
                "net_return": tried[:, at],
                "benchmark_return": market,
            }
        )
        for at, name in enumerate(("a", "b"))
    ]
    rows = pl.concat([frames[0], frames[1].tail(59)]).sample(fraction=1.0, shuffle=True, seed=1)
    parts = [rows.filter(pl.col("point") == name) for name in ("a", "b")]
    assert judge_points(parts) == judge_sweep(tried[1:], market[1:])
    assert judge_points(parts[:1]).spa is None
