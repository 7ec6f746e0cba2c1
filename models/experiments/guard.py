"""The look-ahead guard: a decision must stay the same when everything after it is cut off."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from features.calendars import day_of
from models.experiments.account import walk, weights_of
from models.experiments.market import Market
from models.experiments.spec import ExperimentSpec
from models.experiments.strategy import FunctionStrategy
from models.experiments.trials import Trial

CHEAP_SAMPLES = 20  # a function over arrays answers in milliseconds
Weights = NDArray[np.float64]
Decide = Callable[[Market], Weights]  # a market of T sessions -> [T, N] target weights


@dataclass(frozen=True, slots=True)
class Peek:
    """A decision that changed once its future was cut off after the session `cut_after`."""

    cut_after: datetime
    close: datetime
    instrument_id: str
    whole: float
    cut: float

    def __str__(self) -> str:
        return (
            f"{self.instrument_id} on {self.close:%Y-%m-%d} must be decided the same without "
            f"what follows {self.cut_after:%Y-%m-%d}: {self.cut:.6g}, was {self.whole:.6g}"
        )


def trial_decides(trial: Trial) -> Decide:
    """Return what decides in a trial as a decision over a market."""
    if isinstance(trial.strategy, FunctionStrategy):
        return lambda market: weights_of(trial, market)
    return lambda market: walk(trial, market).targets


def samples_of(spec: ExperimentSpec) -> int:
    """Return how many futures are cut off: more where asking again costs next to nothing."""
    asked = spec.look_ahead_samples
    cheap = asked > 0 and isinstance(spec.strategy, FunctionStrategy)
    return max(asked, CHEAP_SAMPLES) if cheap else asked


def find_peeks(market: Market, decide: Decide, *, samples: int, seed: int) -> tuple[Peek, ...]:
    """Cut the market after `samples` sessions drawn by `seed`; return each cut's first change.

    One is drawn in each of as many equal stretches of time, so that no long one goes untried.

    Every decision up to the cut is compared to the bit, so that a strategy that looks one session
    ahead is seen at the cut itself.
    """
    count = len(market.closes)
    if samples == 0 or count < 2:
        return ()
    whole = decide(market)
    found = (_peek(market, decide, whole, last) for last in _drawn(count - 1, samples, seed))
    return tuple(peek for peek in found if peek is not None)


def _drawn(count: int, samples: int, seed: int) -> list[int]:
    """Return places in 0..count - 1 in order, one of each of `samples` stretches."""
    edges = np.linspace(0, count, min(samples, count) + 1).astype(int)
    rng = np.random.default_rng(seed)
    return [int(rng.integers(low, high)) for low, high in pairwise(edges)]


def _peek(market: Market, decide: Decide, whole: Weights, last: int) -> Peek | None:
    day = day_of(market.closes[last])
    cut = market.between(day_of(market.closes[0]), day + timedelta(days=1))
    with_cut, with_all = decide(cut), whole[: last + 1]
    changed = ~((with_cut == with_all) | (np.isnan(with_cut) & np.isnan(with_all)))
    if not changed.any():
        return None
    t, i = (int(v) for v in np.argwhere(changed)[0])
    return Peek(
        cut_after=market.closes[last],
        close=market.closes[t],
        instrument_id=market.panel.instrument_ids[i],
        whole=float(with_all[t, i]),
        cut=float(with_cut[t, i]),
    )
