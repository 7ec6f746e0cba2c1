"""A strategy as one compiled function that is called at each close inside the loop."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from swarm_core.backtest import columns as c
from swarm_core.backtest.columns import NONE, Desk, Ints, Market, Tape
from swarm_core.backtest.exact import flag
from swarm_core.backtest.loop import stops_at
from swarm_core.backtest.order_kernel import find_changes, trade_changes
from swarm_core.colony.compiled import built_kernel, flat_kernel
from swarm_core.risk.kernel import POSITION

Floats = NDArray[np.float64]
# What a sweep keeps of each point.
RESULTS = (c.NAV, c.ORDERS, c.APPROVED_ORDERS, c.FILLS)
_RESULTS = np.array(RESULTS, np.int64)


class Close(NamedTuple):
    """What a signal sees at a close: one bar of N instruments, in ticks and lots.

    NONE (-1 for the volume) stands where nothing was reported. No later bar is within reach.
    """

    bar: int  # counted from the first of the run
    time_ns: int
    open: Ints  # [N]
    high: Ints
    low: Ints
    close: Ints
    volume: Ints


# signal(close, parameters[P], memory[M], lots[N], target[N]): `lots` are held, `memory` begins at
# zero and is the strategy's own, `target` takes the lots to hold and comes filled with NONE.
Signal: TypeAlias = Callable[[Close, Floats, Floats, Ints, Ints], None]
Walk: TypeAlias = Callable[[Desk, Market, Tape, Ints, int, int, Floats, Floats], int]
Sweep: TypeAlias = Callable[[Desk, Desk, Market, Tape, Ints, int, Floats, Floats, Ints], int]


@lru_cache(maxsize=32)
def compiled_walk(signal: Signal) -> Walk:
    """Return the loop with a signal built into it; compiled at its first call in a process.

    A signal that makes no array runs fastest as an `inlined_kernel`; any function that numba
    compiles will do.
    """
    inner = _walk_of(signal)

    def walk(
        desk: Desk, market: Market, tape: Tape, rules: Ints, start: int, offset: int,
        parameters: Floats, memory: Floats,
    ) -> int:  # fmt: skip
        return inner(desk, market, tape, rules, start, offset, parameters, memory)

    return built_kernel(walk, flat=False)


@lru_cache(maxsize=32)
def compiled_sweep(signal: Signal) -> Sweep:
    """Return the loop over points [P, parameters], each from a fresh account."""
    inner = _walk_of(signal)

    def _each(
        desk: Desk, fresh: Desk, market: Market, tape: Tape, rules: Ints, first: int,
        points: Floats, memory: Floats, results: Ints,
    ) -> int:  # fmt: skip
        bars = market.time_ns.shape[0]
        for p in range(first, points.shape[0]):
            _reset(desk, fresh)
            for at in range(memory.shape[0]):
                memory[at] = 0.0
            if inner(desk, market, tape, rules, 0, 0, points[p], memory) < bars:
                return p
            for at in range(_RESULTS.shape[0]):
                results[p, at] = desk.state[_RESULTS[at]]
        return points.shape[0]

    each = built_kernel(_each, flat=True)

    def sweep(
        desk: Desk, fresh: Desk, market: Market, tape: Tape, rules: Ints, first: int,
        points: Floats, memory: Floats, results: Ints,
    ) -> int:  # fmt: skip
        return each(desk, fresh, market, tape, rules, first, points, memory, results)

    return built_kernel(sweep, flat=False)


@lru_cache(maxsize=32)
def _walk_of(signal: Signal) -> Any:
    def _walk(
        desk: Desk, market: Market, tape: Tape, rules: Ints, start: int, offset: int,
        parameters: Floats, memory: Floats,
    ) -> int:  # fmt: skip
        for t in range(start, market.time_ns.shape[0]):
            if stops_at(desk, market, tape, rules, t, offset, desk.change.shape[0]):
                return t
            for i in range(desk.target.shape[0]):
                desk.target[i] = NONE
            close = Close(
                offset + t, market.time_ns[t], market.open[t], market.high[t], market.low[t],
                market.close[t], market.volume[t],
            )  # fmt: skip
            signal(close, parameters, memory, desk.risks[:, POSITION], desk.target)
            if find_changes(desk, desk.target):
                trade_changes(desk, market, tape, rules, t, offset + t, flag(False))
        return market.time_ns.shape[0]

    return built_kernel(_walk, flat=True)


@flat_kernel
def _reset(desk: Desk, fresh: Desk) -> None:
    """Bring an account back to where it was founded."""
    _copy(desk.risks, fresh.risks)
    _copy(desk.holdings, fresh.holdings)
    _copy(desk.money, fresh.money)
    for at in range(desk.state.shape[0]):
        desk.state[at] = fresh.state[at]


@flat_kernel
def _copy(to: Ints, of: Ints) -> None:
    for row in range(to.shape[0]):
        for column in range(to.shape[1]):
            to[row, column] = of[row, column]
