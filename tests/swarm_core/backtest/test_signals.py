"""A signal built into the loop acts as the same targets given as an array; so does a sweep."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from adapters.workers.processes import ProcessPool
from swarm_core.backtest.bars import Bars
from swarm_core.backtest.columns import NONE, Ints
from swarm_core.backtest.engine import Backtest, Standing
from swarm_core.backtest.pooled_sweep import PooledSweep, parts_of
from swarm_core.backtest.settings import EngineSettings
from swarm_core.backtest.signals import Close, Floats
from swarm_core.backtest.sweep import sweep
from swarm_core.colony.compiled import inlined_kernel
from swarm_core.commissions import BpsCommission
from swarm_core.instruments import Instrument

DAY_NS = 86_400 * 10**9
DESK = EngineSettings(starting_cash=Decimal(1_000_000), commission=BpsCommission(Decimal(1)))


@inlined_kernel
def momentum(close: Close, parameters: Floats, memory: Floats, lots: Ints, target: Ints) -> None:
    """Hold parameters[0] lots after a rise, none after a fall; add parameters[1] while held."""
    for i in range(target.shape[0]):
        price = float(close.close[i])
        if close.bar > 0 and price > memory[i]:
            target[i] = np.int64(parameters[0])
            if lots[i] > 0:
                target[i] += np.int64(parameters[1])
        elif close.bar > 0 and price < memory[i]:
            target[i] = 0
        memory[i] = price


def make_bars(count: int = 300) -> Bars:
    rng = np.random.default_rng(3)
    close = 10_000 + np.cumsum(rng.integers(-60, 61, (count, 2)), axis=0)
    instruments = [
        Instrument(instrument_id=name, asset_class="equity", currency="USD") for name in "AB"
    ]
    open_ = close + rng.integers(-20, 21, close.shape)
    return Bars.of(instruments, 20_000 * DAY_NS + np.arange(count) * DAY_NS, close, open_=open_)


def signalled(bars: Bars, parameters: tuple[float, float], parts: int = 10_000) -> Standing:
    test, memory = Backtest(bars, DESK, lambda *_: None), np.zeros(2)
    for part in bars.parts(parts):
        test.trade_signal(part, momentum, parameters, memory)
    return test.standing()


def test_a_signal_acts_as_its_targets_do() -> None:
    bars = make_bars()
    close = bars.market.close
    lots = np.full(close.shape, NONE)
    rises, falls = close[1:] > close[:-1], close[1:] < close[:-1]
    lots[1:] = np.where(rises, 50, np.where(falls, 0, NONE))
    test = Backtest(bars, DESK, lambda *_: None)
    test.trade_targets(bars, lots)
    assert signalled(bars, (50.0, 0.0)) == test.standing()
    assert test.standing().fills > 100


def test_a_signal_that_looks_at_what_it_holds_trades_more() -> None:
    bars = make_bars()
    assert signalled(bars, (50.0, 7.0)).fills > signalled(bars, (50.0, 0.0)).fills


def test_bars_in_parts_give_what_they_give_at_once() -> None:
    bars = make_bars()
    assert signalled(bars, (50.0, 7.0), parts=13) == signalled(bars, (50.0, 7.0))


def test_each_point_of_a_sweep_is_a_run_of_its_own() -> None:
    bars = make_bars()
    points = np.array([[10.0, 0.0], [50.0, 7.0], [90.0, 1.0], [10.0, 0.0]])
    found = sweep(bars, DESK, momentum, points, 2)
    for at, (size, more) in enumerate(points):
        alone = signalled(bars, (size, more))
        assert found.nav_minor[at] == alone.nav_minor
        assert (found.orders[at], found.fills[at]) == (alone.orders, alone.fills)
    assert found.best() == int(np.argmax(found.nav_minor))


def test_a_truncated_future_changes_no_decision_of_a_signal() -> None:
    """No bar after the one decided on is within a signal's reach."""
    bars, keep = make_bars(), 120
    rows: dict[int, list[tuple[int, ...]]] = {}
    for count in (keep, 300):
        kept = rows.setdefault(count, [])
        test = Backtest(
            bars, replace(DESK, keep_events=True),
            lambda name, r, kept=kept: kept.extend(map(tuple, r.tolist()))
            if name == "orders"
            else None,
        )  # fmt: skip
        test.trade_signal(bars.part(0, count), momentum, (50.0, 7.0), np.zeros(2))
    assert rows[keep] == [row for row in rows[300] if row[1] < keep]


@pytest.mark.xdist_group("workers")
def test_a_sweep_over_two_processes_is_the_sweep_of_one() -> None:
    bars = make_bars()
    points = np.array([[10.0 + n, float(n % 7)] for n in range(57)])
    alone = sweep(bars, DESK, momentum, points, 2)
    with ProcessPool(2) as pool:
        pooled = PooledSweep(pool, bars, DESK, momentum, 2)
        for asked in (points, points[::-1]):  # the second time the workers have it all
            found = pooled.run(asked)
            for name in ("nav_minor", "orders", "approved", "fills"):
                wanted = getattr(alone, name) if asked is points else getattr(alone, name)[::-1]
                np.testing.assert_array_equal(getattr(found, name), wanted)
    assert len(set(alone.nav_minor.tolist())) > 50, "the points must differ"


def test_the_parts_of_a_sweep_shrink_and_are_all_of_it() -> None:
    for count, workers in ((1_000, 2), (1_000, 1), (3, 8), (1, 2), (0, 2)):
        parts = list(parts_of(count, workers))
        assert [at for first, stop in parts for at in range(first, stop)] == list(range(count))
        sizes = [stop - first for first, stop in parts]
        assert sizes == sorted(sizes, reverse=True)
    last = [stop - first for first, stop in parts_of(1_000, 2)][-1]
    assert last <= 1_000 / 32, "the last part must be short beside a worker's half"


def test_a_signal_that_workers_cannot_import_is_refused() -> None:
    with pytest.raises(ValueError, match="signal must be a function of a module"):
        PooledSweep(ProcessPool(1), make_bars(), DESK, lambda *_: None, 2)
