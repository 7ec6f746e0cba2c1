"""Strategies as a person would write them into a file: those that peek fail, others pass."""

import pytest

from models.experiments.guard import find_peeks, trial_decides
from models.experiments.running import trials_of
from models.experiments.windows import windows_of
from tests.models.experiments.builders import make_ground, make_market, make_spec

HEAD = """
import numpy as np

def weights(market):
    close = np.nan_to_num(market.close, nan=1.0)
    changes = np.vstack([np.zeros(close.shape[1]), np.diff(np.log(close), axis=0)])
"""
PEEKING = {
    "the next session's change": """
    return np.sign(np.roll(changes, -1, axis=0))
""",
    "the next change where it is large, else nothing": """
    ahead = np.roll(changes, -1, axis=0)
    return np.where(np.abs(ahead) > 0.001, np.sign(ahead), 0.0)
""",
    "a centred window": """
    kernel = np.ones(5) / 5
    smooth = np.apply_along_axis(lambda c: np.convolve(c, kernel, "same"), 0, close)
    return np.sign(smooth - close)
""",
    "a scale of the whole sample": """
    return (close - close.mean(axis=0)) / close.std(axis=0)
""",
    "ranks among all sessions": """
    return close.argsort(axis=0).argsort(axis=0) / len(close) - 0.5
""",
    "a model that was fitted to everything": """
    past = np.vstack([np.zeros_like(changes[:1]), changes[:-1]]).ravel()
    slope = (past * changes.ravel()).sum() / (past**2).sum()
    return slope * changes
""",
    "what is filled in from behind": """
    out = np.full_like(close, np.nan)
    out[::7] = close[::7]
    for t in range(len(out) - 2, -1, -1):
        out[t] = np.where(np.isnan(out[t]), out[t + 1], out[t])
    return np.nan_to_num(np.sign(out - close))
""",
}
HONEST = {
    "yesterday's change": """
    return np.sign(changes)
""",
    "a scale of the past alone": """
    count = np.arange(1, len(close) + 1)[:, None]
    mean = np.cumsum(close, axis=0) / count
    return np.sign(close - mean)
""",
    "a model that is fitted again at each session": """
    past = np.vstack([np.zeros_like(changes[:1]), changes[:-1]])
    above, below = (np.cumsum((past * other).sum(axis=1)) for other in (changes, past))
    return (above / np.maximum(below, 1e-12))[:, None] * changes
""",
    "chance": """
    drawn = np.random.default_rng(5).standard_normal((2_000, close.shape[1]))
    return drawn[: len(close)]
""",
}


def _found(body: str, seed: int) -> int:
    spec = make_spec(strategy={"source": HEAD + body})
    (trial,) = trials_of(spec, windows_of(spec)[0], make_ground(), "d")
    market = make_market(200, seed=seed)
    return len(find_peeks(market, trial_decides(trial), samples=6, seed=seed))


@pytest.mark.parametrize("name", PEEKING)
@pytest.mark.parametrize("seed", range(3))
def test_a_file_that_peeks_fails(name: str, seed: int) -> None:
    """Six futures that are cut off are enough, wherever they fall."""
    assert _found(PEEKING[name], seed) > 0


@pytest.mark.parametrize("name", HONEST)
def test_a_file_that_looks_back_passes(name: str) -> None:
    """What knows the past alone decides the same under every cut."""
    assert _found(HONEST[name], 1) == 0
