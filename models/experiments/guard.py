"""The look-ahead guard: a decision must stay the same when everything after it is cut off."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from features.calendars import day_of
from models.experiments.account import walk
from models.experiments.market import Market
from models.experiments.trials import Trial

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


def colony_decides(trial: Trial) -> Decide:
    """Return the colony of a trial as a decision over a market."""
    return lambda market: walk(trial, market).records.target_weights


def find_peeks(market: Market, decide: Decide, *, samples: int, seed: int) -> tuple[Peek, ...]:
    """Cut the market after `samples` sessions drawn by `seed`; return each cut's first change.

    Every decision up to the cut is compared to the bit, so that a strategy that looks one session
    ahead is seen at the cut itself.
    """
    count = len(market.closes)
    if samples == 0 or count < 2:
        return ()
    drawn = np.random.default_rng(seed).choice(
        count - 1, size=min(samples, count - 1), replace=False
    )
    whole = decide(market)
    found = (_peek(market, decide, whole, int(last)) for last in np.sort(drawn))
    return tuple(peek for peek in found if peek is not None)


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
