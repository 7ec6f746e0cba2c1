"""The guard finds a strategy that peeks, however little, and leaves an honest one alone."""

import numpy as np
import pytest

from adapters.workers.line import ProcessLine
from models.experiments.backtest import compute
from models.experiments.guard import Weights, find_peeks, trial_decides, trial_faults
from models.experiments.market import Market
from models.experiments.running import trials_of
from models.experiments.windows import windows_of
from tests.models.experiments.builders import make_ground, make_market, make_spec

pytestmark = pytest.mark.xdist_group("experiments")  # what they compile is compiled once


def _follows(market: Market) -> Weights:
    """Hold what rose in the last session."""
    prices = np.nan_to_num(market.panel.prices)
    out = np.zeros_like(prices)
    out[1:] = np.sign(prices[1:] - prices[:-1])
    return out


def _peeks(market: Market) -> Weights:
    """Hold what will rise in the next session."""
    prices = np.nan_to_num(market.panel.prices)
    out = np.zeros_like(prices)
    out[:-1] = np.sign(prices[1:] - prices[:-1])
    return out


def _scales_by_all(market: Market) -> Weights:
    """Hold by price over the mean of the whole history: a common, quiet leak."""
    prices = np.nan_to_num(market.panel.prices)
    return prices / prices.mean(axis=0) - 1.0


@pytest.mark.parametrize("decide", [_peeks, _scales_by_all])
@pytest.mark.parametrize("seed", range(5))
def test_a_strategy_that_peeks_is_found(decide: object, seed: int) -> None:
    """Three cuts are enough, wherever they fall, and the line says what changed and when."""
    found = find_peeks(make_market(seed=seed), decide, samples=3, seed=seed)  # type: ignore[arg-type]
    assert found
    assert "must be decided the same without what follows 2020-" in str(found[0])


def test_an_honest_strategy_passes() -> None:
    """What looks back only is the same under every cut."""
    assert find_peeks(make_market(), _follows, samples=50, seed=1) == ()


def test_the_colony_passes() -> None:
    """The colony's own loop decides nothing by what comes later."""
    spec = make_spec()
    (trial,) = trials_of(spec, windows_of(spec)[0], make_ground(), "d")
    decide = trial_decides(trial)
    market = make_market(120)
    assert decide(market).any(), "a colony that never traded proves nothing"
    assert find_peeks(market, decide, samples=4, seed=1) == ()


def test_no_samples_is_no_check() -> None:
    """An experiment may turn the guard off in writing."""
    assert find_peeks(make_market(), _peeks, samples=0, seed=1) == ()


def test_what_decides_otherwise_the_first_time_is_found() -> None:
    """A result that was traded on a look ahead does not come out again."""
    source = """
import numpy as np

ASKED = []

def weights(market):
    ASKED.append(market)
    close = np.nan_to_num(market.close, nan=1.0)
    is_first = len(ASKED) == 1 and len(close) > 150
    return np.sign(np.roll(close, -1, axis=0) - close) if is_first else 0 * close
"""
    spec = make_spec(strategy={"source": source})
    (trial,) = trials_of(spec, windows_of(spec)[0], make_ground(), "d")
    market = make_market(200)
    first, second = (compute(trial, market).rows["net_return"].to_numpy().copy() for _ in range(2))
    (told,) = trial_faults(trial, market, 20, first, ProcessLine)
    assert "must come out the same when the function is asked again" in told
    assert trial_faults(trial, market, 20, second, ProcessLine) == []
    assert trial_faults(trial, market, 0, first, ProcessLine) == []
