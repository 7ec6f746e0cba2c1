"""backtesting.py on the second task: one instrument a run by its design, so N separate runs."""

import warnings
from collections.abc import Callable
from typing import Any

import backtesting
import numpy as np
import pandas as pd
import tasks as t
from backtesting import Backtest, Strategy

warnings.filterwarnings("ignore")
backtesting._tqdm = lambda x=None, **_: x if x is not None else (lambda y: y)


def ema(values: np.ndarray, span: int) -> np.ndarray:
    return pd.Series(values).ewm(span=span, adjust=False).mean().to_numpy()


class Cross(Strategy):
    def init(self) -> None:
        self.fast = self.I(ema, self.data.Close, t.FAST)
        self.slow = self.I(ema, self.data.Close, t.SLOW)

    def next(self) -> None:
        if len(self.data) < t.SLOW:
            return
        if self.fast[-1] > self.slow[-1]:
            if not self.position:
                self.buy(size=t.QUANTITY)
        elif self.fast[-1] < self.slow[-1] and self.position:
            self.position.close()


def many(request: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    arrays = t.days(request["instruments"], seed=request["seed"])
    index = pd.DatetimeIndex(arrays["time_ns"].view("M8[ns]"))
    frames = [
        pd.DataFrame({name.title(): arrays[name][:, i] for name in t.NAMES}, index=index)
        for i in range(request["instruments"])
    ]

    def run() -> dict[str, Any]:
        tests = [Backtest(f, Cross, cash=t.CASH, commission=t.FEE) for f in frames]
        found = [test.run() for test in tests]
        return {"trades": sum(int(stats["# Trades"]) for stats in found)}

    return run


t.serve({"T2": many})
