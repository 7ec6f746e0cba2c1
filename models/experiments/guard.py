"""The look-ahead guard: a decision must stay the same when everything after it is cut off."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from features.calendars import day_of
from models.experiments.account import walk, weights_of
from models.experiments.apart import Apart, OpenLine
from models.experiments.backtest import result_of, seen_by
from models.experiments.fields import ExperimentError
from models.experiments.market import Market
from models.experiments.spec import ExperimentSpec
from models.experiments.strategy import FunctionStrategy
from models.experiments.trials import Trial

CHEAP_SAMPLES = 20  # a function over arrays answers in milliseconds, and is asked twice as often
CHEAP_SECONDS = 5.0  # and at further sessions, all of them where that takes no longer
# A sum over other lengths may be made in another order (BLAS), and differ in its last bits.
ROUNDING = 1e-9  # of NAV, or of a larger weight
REPEATED = 1e-4  # of NAV in a session: a last bit of a weight may move an order by a lot
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


def trial_faults(
    trial: Trial,
    market: Market,
    samples: int,
    returns: NDArray[np.float64],
    open_line: OpenLine,
) -> list[str]:
    """Return why a trial's result `returns` [S] cannot be believed: what peeks, in a line each.

    A function's result must come out the same when it is asked once more, and the decisions of
    that answer are those that the cuts are compared with: none is left to look ahead unseen.
    """
    if samples == 0:
        return []
    if not isinstance(trial.strategy, FunctionStrategy):
        return [str(peek) for peek in trial_peeks(trial, market, samples, open_line)]
    seen = seen_by(trial, market)
    walked = walk(trial, seen)
    rows = result_of(trial, seen, walked).rows
    again = rows["net_return"].to_numpy()
    moved = np.flatnonzero(~(np.abs(again - returns) <= REPEATED))
    faults = [
        f"the return of {rows['event_time'][at]:%Y-%m-%d} must come out the same when the function "
        f"is asked again: {again[at]:.6g}, was {returns[at]:.6g}"
        for at in moved[:1].tolist()
    ]
    peeks = trial_peeks(trial, seen, samples, open_line, walked.targets)
    return faults + [str(peek) for peek in peeks]


def trial_peeks(
    trial: Trial,
    market: Market,
    samples: int,
    open_line: OpenLine,
    whole: Weights | None = None,
) -> tuple[Peek, ...]:
    """Return what find_peeks finds in a trial; a function is asked where it trades as well.

    A function answers for the cuts apart, in a process of its own: nothing remembers the whole.
    `whole` [T, N] are its decisions over the market, where it has taken them.
    """
    decide, seed = trial_decides(trial), int(trial.trial_id[:8], 16)
    if samples == 0 or not isinstance(trial.strategy, FunctionStrategy):
        return find_peeks(market, decide, samples=samples, seed=seed)
    with Apart(trial.strategy, open_line) as apart:
        return find_peeks(
            market,
            decide if whole is None else lambda _: whole,
            samples=samples,
            seed=seed,
            turns=samples,
            again=lambda cut: weights_of(trial, cut, apart.weights),
            seconds=CHEAP_SECONDS,
            rounding=ROUNDING,
        )


def samples_of(spec: ExperimentSpec) -> int:
    """Return how many futures are cut off: more where asking again costs next to nothing."""
    asked = spec.look_ahead_samples
    cheap = asked > 0 and isinstance(spec.strategy, FunctionStrategy)
    return max(asked, CHEAP_SAMPLES) if cheap else asked


def find_peeks(
    market: Market,
    decide: Decide,
    *,
    samples: int,
    seed: int,
    turns: int = 0,
    again: Decide | None = None,
    seconds: float = 0.0,
    rounding: float = 0.0,
) -> tuple[Peek, ...]:
    """Cut the market after `samples` sessions drawn by `seed`; return each cut's first change.

    One is drawn in each of as many equal stretches of time from the first decision on, so that no
    long one goes untried, and
    `turns` more among the sessions at which the decision is another than the session before: what
    peeks on a few days alone shows there.

    Every decision up to the cut is compared, to the bit or to `rounding` of NAV, so that a strategy
    that looks one session ahead is seen at the cut itself. `again` answers for the cuts, the
    shortest first: where it has not seen the whole, it cannot remember any of it. Where nothing was
    found, further cuts are tried for as long as `seconds`: how many there are is the machine's.
    """
    count = len(market.closes)
    if samples == 0 or count < 2:
        return ()
    whole = decide(market)
    first = _first_decision(whole[:-1])
    drawn = (first + place for place in _drawn(count - 1 - first, samples, seed))
    places = sorted({*drawn, *_turning(whole[:-1], turns, seed)})
    asked = again or decide
    began = perf_counter()
    found = [_peek(market, asked, whole, last, rounding) for last in places]
    each = (perf_counter() - began) / len(places)
    if seconds > 0 and not any(found):
        further = _further(count - 1, places, int(seconds / max(each, 1e-6)), seed)
        found += [_peek(market, asked, whole, last, rounding, last < first) for last in further]
    return tuple(peek for peek in found if peek is not None)


def _further(count: int, tried: list[int], most: int, seed: int) -> list[int]:
    """Return at most so many of the places in 0..count - 1 that were not tried, in order."""
    left = np.setdiff1d(np.arange(count), tried)
    return sorted(np.random.default_rng(seed).permutation(left)[:most].tolist())


def _drawn(count: int, samples: int, seed: int) -> list[int]:
    """Return places in 0..count - 1 in order, one of each of `samples` stretches."""
    edges = np.linspace(0, count, min(samples, count) + 1).astype(int)
    rng = np.random.default_rng(seed)
    return [int(rng.integers(low, high)) for low, high in pairwise(edges)]


def _first_decision(weights: Weights) -> int:
    """Return the first session with a weight that is not nothing, 0 where there is none."""
    decided = np.isfinite(weights) & (weights != 0.0)
    return int(decided.any(axis=1).argmax()) if len(weights) else 0


def _turning(weights: Weights, most: int, seed: int) -> list[int]:
    """Return at most so many places, drawn by `seed`, whose weights are not those of before."""
    before, after = weights[:-1], weights[1:]
    same = (before == after) | (np.isnan(before) & np.isnan(after))
    places = np.flatnonzero(~same.all(axis=1)) + 1
    drawn = np.random.default_rng(seed).permutation(places)[:most]
    return [int(place) for place in drawn]


def _peek(
    market: Market,
    decide: Decide,
    whole: Weights,
    last: int,
    rounding: float,
    is_early: bool = False,
) -> Peek | None:
    """Return the first change under a cut. What has too few sessions to decide anything, and
    decided nothing by then (`is_early`), may fail.
    """
    day = day_of(market.closes[last])
    cut = market.between(day_of(market.closes[0]), day + timedelta(days=1))
    try:
        with_cut = decide(cut)
    except ExperimentError as error:
        if is_early:
            return None
        raise ExperimentError(f"of the sessions up to {day} alone: {error}") from error
    with_all = whole[: last + 1]
    known = np.isfinite(with_cut) & np.isfinite(with_all)
    close = np.abs(np.where(known, with_cut - with_all, np.inf))
    near = close <= rounding * np.maximum(1.0, np.abs(with_all))
    changed = ~(near | (with_cut == with_all) | (np.isnan(with_cut) & np.isnan(with_all)))
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
