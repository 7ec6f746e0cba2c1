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

    @classmethod
    def of(cls, rows: Ints) -> "SweepResult":
        """Return the result of rows [P, len(RESULTS)]."""
        return cls(*(rows[:, column].copy() for column in range(len(RESULTS))))

    def best(self) -> int:
        """Return the first point with the highest NAV."""
        return int(self.nav_minor.argmax())


class Sweeper:
    """A signal over all bars with what it takes to run it again and again: accounts and room."""

    def __init__(
        self,
        bars: Bars,
        settings: EngineSettings,
        signal: Signal,
        memory_size: int,
        rates: Mapping[str, Decimal] | None = None,
    ) -> None:
        quiet = replace(settings, keep_events=False)
        n = len(bars.instruments)
        self._market, self._instrument_count = bars.market, n
        self._fresh = found_desk(bars.instruments, quiet, rates)
        self._desk = found_desk(bars.instruments, quiet, rates)
        self._tape = empty_tape(n, len(bars.market.time_ns), 0)
        self._rules, self._memory = quiet.packed(), np.zeros(memory_size)
        self._loop = compiled_sweep(signal)

    def run(self, points: Floats, first: int = 0) -> Ints:
        """Return [P, len(RESULTS)] of points [P, parameters], each from a fresh account.

        `first` is the place of the first of them among all points. Raises OverflowError where a
        point's money would leave 64 bits.
        """
        results = np.zeros((len(points), len(RESULTS)), np.int64)
        rows = np.ascontiguousarray(points, np.float64)
        at = 0
        while at < len(rows):
            at = self._loop(
                self._desk, self._fresh, self._market, self._tape, self._rules, at, rows,
                self._memory, results,
            )  # fmt: skip
            if at < len(rows):
                if self._desk.state[c.STATUS] != c.RUNNING:
                    raise OverflowError(
                        f"money of point {first + at} must stay within 64 bits, did not"
                    )
                self._desk = with_more_room(self._desk, self._instrument_count)
        return results


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
    return SweepResult.of(Sweeper(bars, settings, signal, memory_size, rates).run(points))
