"""Many points of one strategy over the same bars, each through the whole order path."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from swarm_core.backtest import columns as c
from swarm_core.backtest.bars import Bars
from swarm_core.backtest.columns import Ints
from swarm_core.backtest.desk import empty_tape, found_desk, with_more_room
from swarm_core.backtest.settings import EngineSettings
from swarm_core.backtest.signals import RESULTS, Signal, compiled_sweep

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What became of each point [P]: final NAV in minor units, and how often it acted."""

    nav_minor: Ints
    orders: Ints
    approved: Ints
    fills: Ints

    def best(self) -> int:
        """Return the first point with the highest NAV."""
        return int(self.nav_minor.argmax())


def sweep(
    bars: Bars,
    settings: EngineSettings,
    signal: Signal,
    points: Floats,
    memory_size: int,
    *,
    rates: Mapping[str, Decimal] | None = None,
) -> SweepResult:
    """Run a signal with each row of points [P, parameters] from a fresh account over all bars.

    Raises OverflowError where a point's money would leave 64 bits.
    """
    quiet = replace(settings, keep_events=False)
    fresh = found_desk(bars.instruments, quiet, rates)
    desk = found_desk(bars.instruments, quiet, rates)
    tape = empty_tape(len(bars.instruments), len(bars.market.time_ns), 0)
    results = np.zeros((len(points), len(RESULTS)), np.int64)
    rows, rules = np.ascontiguousarray(points, np.float64), quiet.packed()
    memory, loop = np.zeros(memory_size), compiled_sweep(signal)
    at = 0
    while at < len(rows):
        at = loop(desk, fresh, bars.market, tape, rules, at, rows, memory, results)
        if at < len(rows):
            if desk.state[c.STATUS] != c.RUNNING:
                raise OverflowError(f"money of point {at} must stay within 64 bits, did not")
            desk = with_more_room(desk, len(bars.instruments))
    return SweepResult(*(results[:, column].copy() for column in range(len(RESULTS))))
