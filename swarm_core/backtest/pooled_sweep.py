"""The same sweep over a pool of workers, which share the bars and take the points in parts."""

import importlib
import pickle
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from swarm_core.backtest.bars import Bars, writable
from swarm_core.backtest.columns import Ints, Market
from swarm_core.backtest.settings import EngineSettings
from swarm_core.backtest.signals import RESULTS, Signal
from swarm_core.backtest.sweep import Floats, Sweeper, SweepResult
from swarm_core.worker_pool import Arrays, WorkerPool

_TERMS = "terms"  # all but the bars' arrays, pickled: it goes between our own processes
_SMALLEST = 16  # a worker's share of all points, divided by this, is the smallest part


class PooledSweep:
    """A signal over bars that the workers of a pool share; each of them compiles it once.

    Made for a pool that is kept (`with ProcessPool(2) as pool:`): its workers keep the compiled
    loop from one run to the next. Raises ValueError where the signal is not a function of a module.
    """

    def __init__(
        self,
        pool: WorkerPool,
        bars: Bars,
        settings: EngineSettings,
        signal: Signal,
        memory_size: int,
        *,
        rates: Mapping[str, Decimal] | None = None,
    ) -> None:
        terms = (bars.instruments, settings, _name_of(signal), memory_size, dict(rates or {}))
        self._pool = pool
        self._arrays: Arrays = {
            **bars.market._asdict(),
            _TERMS: np.frombuffer(pickle.dumps(terms), np.uint8),
        }

    def run(self, points: Floats) -> SweepResult:
        """Run each row of points [P, parameters]; the result is that of `sweep`, to the bit.

        Raises OverflowError as sweep does, and RuntimeError where a part lost worker after worker.
        """
        parts = list(parts_of(len(points), self._pool.worker_count))
        items = [(first, points[first:stop]) for first, stop in parts]
        rows = np.zeros((len(points), len(RESULTS)), np.int64)
        for place, found in self._pool.run(_run_part, self._arrays, items, lambda _: None):
            first, stop = parts[place]
            if found is None:
                raise RuntimeError(f"points {first}..{stop - 1} must end, lost worker after worker")
            rows[first:stop] = found
        return SweepResult.of(rows)


def parts_of(count: int, worker_count: int) -> Iterator[tuple[int, int]]:
    """Yield (first, stop) of parts that shrink, so that all workers end at about one time.

    Half of what each worker would have of the rest is the next part (guided self-scheduling,
    Polychronopoulos and Kuck, 1987): with equal parts the last one is waited for.
    """
    smallest = max(1, count // (worker_count * _SMALLEST))
    first = 0
    while first < count:
        stop = min(count, first + max(smallest, (count - first) // (2 * worker_count)))
        yield first, stop
        first = stop


def _name_of(signal: Signal) -> tuple[str, str]:
    """Return where workers find a signal; a compiled one is not sent, but imported."""
    module, name = str(getattr(signal, "__module__", "")), str(getattr(signal, "__qualname__", ""))
    if not module or not name.isidentifier():
        raise ValueError(f"signal must be a function of a module that workers import, was {signal}")
    return module, name


_sweepers: list[tuple[Arrays, Sweeper]] = []  # of this worker: the last one


def _run_part(arrays: Arrays, item: tuple[int, Floats]) -> Ints:
    if not (_sweepers and _sweepers[0][0] is arrays):
        _sweepers[:] = [(arrays, _sweeper(arrays))]
    first, points = item
    return _sweepers[0][1].run(points, first)


def _sweeper(arrays: Arrays) -> Sweeper:
    instruments, settings, (module, name), memory_size, rates = pickle.loads(
        arrays[_TERMS].tobytes()
    )
    market: dict[str, Any] = {
        field: writable(arrays[field].view(np.int64)) for field in Market._fields
    }
    bars = Bars(instruments=instruments, market=Market(**market))
    return Sweeper(
        bars, settings, getattr(importlib.import_module(module), name), memory_size, rates
    )
