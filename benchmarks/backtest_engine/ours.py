"""The house's engine on the tasks: the same strategy through orders, gate, fills and ledger."""

from decimal import Decimal
from typing import Any

import numpy as np

from benchmarks.backtest_engine import tasks as t
from swarm_core.backtest.bars import Bars
from swarm_core.backtest.columns import Ints
from swarm_core.backtest.engine import Backtest
from swarm_core.backtest.pooled_sweep import PooledSweep
from swarm_core.backtest.settings import EngineSettings
from swarm_core.backtest.signals import Close, Floats
from swarm_core.backtest.sweep import SweepResult, sweep
from swarm_core.colony.compiled import inlined_kernel
from swarm_core.commissions import BpsCommission
from swarm_core.fills import FillSettings
from swarm_core.instruments import Instrument
from swarm_core.orders import OrderKind
from swarm_core.sizing_settings import SizingSettings
from swarm_core.worker_pool import WorkerPool


@inlined_kernel
def cross(
    close: Close, parameters: Floats, memory: Floats, lots: Ints, target: Ints
) -> None:  # fmt: skip
    """Hold `parameters[2]` lots while the fast EMA is above the slow one, and nothing below."""
    fast, slow = 2.0 / (parameters[0] + 1.0), 2.0 / (parameters[1] + 1.0)
    for i in range(target.shape[0]):
        price = float(close.close[i])
        if close.bar == 0:
            memory[2 * i] = memory[2 * i + 1] = price
        f = memory[2 * i] + fast * (price - memory[2 * i])
        s = memory[2 * i + 1] + slow * (price - memory[2 * i + 1])
        memory[2 * i], memory[2 * i + 1] = f, s
        if close.bar >= parameters[1] - 1:
            if f > s:
                target[i] = np.int64(parameters[2])
            elif f < s:
                target[i] = 0


def settings(cash: float, *, keep_events: bool = True) -> EngineSettings:
    """Return the desk's limits as they are, 1 bp a trade, and nothing else between the prices.

    Orders are market orders: one on open would wait for the next day's first minute.
    """
    return EngineSettings(
        starting_cash=Decimal(str(cash)),
        fills=FillSettings(participation_fraction_max=1.0, slippage_bps=0.0, impact_bps=0.0),
        commission=BpsCommission(bps=Decimal(1)),
        sizing=SizingSettings(kind=OrderKind.MARKET),
        keep_events=keep_events,
    )


def bars_of(arrays: t.Arrays) -> Bars:
    instruments = [
        Instrument(
            instrument_id=f"S{i:03d}",
            asset_class="equity",
            currency="USD",
            price_increment=Decimal("0.0001"),
        )
        for i in range(arrays["close"].shape[1])
    ]
    return Bars.from_prices(
        instruments,
        arrays["time_ns"],
        arrays["close"],
        open_=arrays["open"],
        high=arrays["high"],
        low=arrays["low"],
        volume=arrays["volume"],
    )


def run(bars: Bars, desk: EngineSettings) -> dict[str, Any]:
    """Walk the bars with every event kept; return fills, orders and the final equity."""
    rows: dict[str, int] = {}

    def sink(name: str, values: Ints) -> None:
        rows[name] = rows.get(name, 0) + len(values)

    test = Backtest(bars, desk, sink)
    memory = np.zeros(2 * len(bars.instruments))
    test.trade_signal(bars, cross, (t.FAST, t.SLOW, t.QUANTITY), memory)
    end = test.standing()
    assert (rows["orders"], rows["fills"]) == (end.orders, end.fills)
    return {"fills": end.fills, "orders": end.orders, "equity": end.nav_minor / 1e8}


def points() -> Floats:
    return np.array([(fast, slow, t.QUANTITY) for fast, slow in t.pairs()], np.float64)


def sweep_all(bars: Bars, rows: Floats) -> SweepResult:
    return sweep(bars, settings(t.CASH), cross, rows, 2)


def pooled(bars: Bars, pool: WorkerPool) -> PooledSweep:
    return PooledSweep(pool, bars, settings(t.CASH), cross, 2)
