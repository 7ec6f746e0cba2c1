"""Walks 20 million bars of one instrument in parts, made as they come; prints its peak memory."""

import json
import resource

import numpy as np

from benchmarks.backtest_engine import ours
from benchmarks.backtest_engine import tasks as t
from swarm_core.backtest.engine import Backtest

PARTS, SIZE = 40, 500_000


def main() -> None:
    rows = [0]
    first = t.minutes(SIZE, 1)
    test = None
    memory = np.zeros(2)
    for part in range(PARTS):
        # The walk goes on from one seed to the next at about the same price.
        arrays = t.minutes(SIZE, part + 1)
        arrays["time_ns"] = first["time_ns"] + part * SIZE * 60_000_000_000
        bars = ours.bars_of(arrays)
        if test is None:
            test = Backtest(bars, ours.settings(100 * t.CASH), lambda _, r: rows.append(len(r)))
        test.trade_signal(bars, ours.cross, (t.FAST, t.SLOW, t.QUANTITY), memory)
    assert test is not None
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    end = test.standing()
    print(
        json.dumps(
            {"bars": end.bars, "fills": end.fills, "rows": sum(rows), "peak_mb": round(peak_mb)}
        )
    )


if __name__ == "__main__":
    main()
