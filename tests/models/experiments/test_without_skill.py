"""The shipped sweep of strategies without skill comes out as luck, and one that knows does not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.experiments.judgement import Judgement, judge, judge_points
from models.experiments.market import Market
from models.experiments.running import run_window, trials_of
from models.experiments.spec import ExperimentSpec, read_spec
from models.experiments.trials import count_trials
from models.experiments.windows import windows_of
from models.statistics import sharpe
from pipelines.backtests import FOLDER, read_file
from tests.models.experiments.builders import ListLedger, make_ground, make_market

pytestmark = pytest.mark.xdist_group("experiments")  # what they compile is compiled once

SESSIONS = 504
SKILLED = 17  # the seed in whose place one stands that reads the forecast
KNOWS = f"""

def mixed(market, seed, gross):
    if seed != {SKILLED}:
        return weights(market, seed, gross)
    known = np.isfinite(market.close) & np.isfinite(market.features["forecast"])
    sides = np.where(known, np.sign(market.features["forecast"]), 0.0)
    return gross * sides / np.maximum(np.abs(sides).sum(axis=1, keepdims=True), 1.0)
"""


class _Kept:
    """A result store in memory."""

    def __init__(self) -> None:
        self.frames: dict[str, dict[str, pl.DataFrame]] = {}

    def put(self, key: str, frames: dict[str, pl.DataFrame]) -> str:
        self.frames[key] = frames
        return key

    def find(self, key: str) -> dict[str, pl.DataFrame] | None:
        return self.frames.get(key)


def _market() -> Market:
    """Return a market whose forecast says for a month on which side of nothing each drifts."""
    market = make_market(sessions=SESSIONS)
    rng = np.random.default_rng(11)
    sides = np.repeat(rng.choice([-1.0, 1.0], (SESSIONS // 21, 12)), 21, axis=0)
    moves = 0.01 * rng.standard_normal(sides.shape) + 0.0015 * sides
    features = dict(market.panel.features) | {"forecast": sides}
    prices = 100.0 * np.exp(np.cumsum(moves, axis=0))
    panel = replace(market.panel, prices=prices, features=features)
    level = 100.0 * np.exp(np.cumsum(rng.normal(0.0001, 0.002, SESSIONS)))  # a calm benchmark
    return replace(market, panel=panel, benchmark=level)


def _spec(points: int, function: str) -> ExperimentSpec:
    """Return the shipped experiment over the market above, with fewer points."""
    shipped = read_file(FOLDER / "without_skill.yaml")
    assert shipped.sweep is not None
    assert len(shipped.sweep.axes["strategy.seed"]) == 1_000  # type: ignore[arg-type]
    text = (Path(FOLDER) / "without_skill.py").read_text() + KNOWS
    return read_spec(
        "without_skill",
        {
            "question": shipped.question,
            "start": "2020-01-01",
            "end": "2021-12-31",
            "costs": dict(shipped.costs),
            "strategy": {
                "source": text,
                "function": function,
                "parameters": {"seed": 1, "gross": 0.9},
            },
            "sweep": {"axes": {"strategy.seed": {"from": 1, "to": points}}},
        },
    )


def _best(points: int, function: str) -> tuple[str, Judgement]:
    """Run the sweep, every trial on the ledger; return the best point and what is left of it."""
    spec, ledger = _spec(points, function), ListLedger()
    (window,) = windows_of(spec)
    trials = trials_of(spec, window, make_ground(), "synthetic")
    rows = run_window(trials, _market(), ledger, _Kept(), "run")["rows"]
    parts = rows.partition_by("point", maintain_order=True)
    best = max(parts, key=lambda part: sharpe(part["net_return"].to_numpy()))
    count = count_trials(ledger.records())
    assert count.trials == points
    return best["point"][0], judge(best, count, judge_points(parts))


def _check_luck(judged: Judgement) -> None:
    assert judged.probabilistic is not None
    assert judged.probabilistic > 0.95, "uncorrected it must look sure, or the test shows nothing"
    assert judged.is_luck
    assert judged.is_luck_active
    assert judged.spa is not None
    assert judged.spa > 0.05
    assert judged.overfitting is not None
    assert judged.overfitting > 0.25


def _check_skill(point: str, judged: Judgement) -> None:
    assert point == f"strategy.seed={SKILLED}"
    assert not judged.is_luck
    assert not judged.is_luck_active
    for p in (judged.spa, judged.spa_active, judged.overfitting):
        assert p is not None
        assert p < 0.05


def test_the_best_of_sixty_without_skill_is_luck() -> None:
    _check_luck(_best(60, "weights")[1])


def test_the_one_of_sixty_that_knows_is_skill() -> None:
    _check_skill(*_best(60, "mixed"))


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_the_best_of_a_thousand_without_skill_is_luck() -> None:
    _check_luck(_best(1_000, "weights")[1])


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_the_one_of_a_thousand_that_knows_is_skill() -> None:
    _check_skill(*_best(1_000, "mixed"))
