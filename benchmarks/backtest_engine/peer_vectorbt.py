"""vectorbt on the tasks: arrays of signals, then one compiled pass over the orders."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import tasks as t
import vectorbt as vbt

warnings.filterwarnings("ignore")


def later(signal: np.ndarray) -> np.ndarray:
    out = np.zeros_like(signal)
    out[1:] = signal[:-1]
    return out


def portfolio(close: Any, open_: Any, up: Any, down: Any, cash: float, shared: bool) -> Any:
    return vbt.Portfolio.from_signals(
        close, later(up), later(down), price=open_, size=t.QUANTITY, fees=t.FEE, init_cash=cash,
        freq="1min", cash_sharing=shared, group_by=shared or None,
    )  # fmt: skip


def cross(request: dict[str, Any], arrays: t.Arrays, cash: float) -> Callable[[], dict[str, Any]]:
    index = pd.DatetimeIndex(arrays["time_ns"].view("M8[ns]"))
    close, open_ = pd.DataFrame(arrays["close"], index), pd.DataFrame(arrays["open"], index)
    shared = close.shape[1] > 1
    if not shared:
        close, open_ = close[0], open_[0]

    def run() -> dict[str, Any]:
        fast = vbt.MA.run(close, t.FAST, ewm=True).ma.to_numpy()
        slow = vbt.MA.run(close, t.SLOW, ewm=True).ma.to_numpy()
        up = fast > slow
        up[: t.SLOW - 1] = False
        held = portfolio(close, open_, up, fast < slow, cash, shared)
        return {"fills": int(held.orders.count()), "equity": float(held.final_value())}

    return run


def sweep(request: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    arrays = t.minutes(t.SWEEP_BARS, request["seed"])
    index = pd.DatetimeIndex(arrays["time_ns"].view("M8[ns]"))
    close, open_ = pd.Series(arrays["close"][:, 0], index), arrays["open"]
    fasts, slows = [p[0] for p in t.pairs()], [p[1] for p in t.pairs()]

    def run() -> dict[str, Any]:
        spans = sorted({*fasts, *slows})
        means = dict(zip(spans, vbt.MA.run(close, spans, ewm=True).ma.to_numpy().T, strict=True))
        fast = np.stack([means[i] for i in fasts], 1)
        slow = np.stack([means[i] for i in slows], 1)
        wide = pd.DataFrame(np.broadcast_to(close.to_numpy()[:, None], fast.shape), index)
        final = portfolio(wide, open_, fast > slow, fast < slow, t.CASH, False).final_value()
        return {
            "equity": float(final.max()),
            "best": list(t.pairs()[int(final.to_numpy().argmax())]),
        }

    return run


t.serve(
    {
        "T1": lambda r: cross(r, t.minutes(r["bars"], r["seed"]), t.CASH),
        "T2": lambda r: cross(r, t.days(r["instruments"], seed=r["seed"]), 10 * t.CASH),
        "sweep": sweep,
    }
)
