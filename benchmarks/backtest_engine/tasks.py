"""The tasks' rules and synthetic data; needs numpy alone, so that every peer can import it.

Long or flat with EMA(10) against EMA(20), 100 shares at the next bar's open, 1 bp a trade. A
bar's open is the close before it, so that engines which fill at the close agree with those that
fill at the next open.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

FAST, SLOW, QUANTITY, CASH, FEE = 10, 20, 100, 1_000_000.0, 0.0001
T1_BARS, T2_INSTRUMENTS, T2_DAYS, SWEEP_BARS = 1_000_000, 500, 2_520, 10_000
Arrays = dict[str, Any]


def walk(count: int, seed: int, sigma: float, start: float = 100.0) -> tuple[np.ndarray, ...]:
    """Return open, high, low, close, volume of a geometric Brownian walk, prices to 4 decimals."""
    rng = np.random.default_rng(seed)
    steps = -(sigma**2) / 2 + sigma * rng.standard_normal(count)
    close = np.round(start * np.exp(np.cumsum(steps)), 4)
    open_ = np.concatenate(([start], close[:-1]))
    wick = np.abs(rng.standard_normal((2, count))) * sigma / 2
    high = np.round(np.maximum(open_, close) * (1 + wick[0]), 4)
    low = np.round(np.minimum(open_, close) * (1 - wick[1]), 4)
    return open_, high, low, close, rng.integers(1_000_000, 9_000_000, count).astype(float)


NAMES = ("open", "high", "low", "close", "volume")


def minutes(count: int = T1_BARS, seed: int = 42) -> Arrays:
    """Return one instrument's one-minute bars, arrays of [T, 1]; the first of a million."""
    columns = walk(max(count, T1_BARS), seed, 0.0005)
    start = np.datetime64("2020-01-01T00:01", "ns").astype(np.int64)
    bars = {name: values[:count, None] for name, values in zip(NAMES, columns, strict=True)}
    return {"time_ns": start + np.arange(count) * 60_000_000_000, **bars}


def days(instruments: int = T2_INSTRUMENTS, count: int = T2_DAYS, seed: int = 1_000) -> Arrays:
    """Return daily bars of many instruments, arrays of [T, N]."""
    columns = [walk(count, seed + i, 0.02, 50.0 + i % 100) for i in range(instruments)]
    bars = {name: np.stack([c[j] for c in columns], axis=1) for j, name in enumerate(NAMES)}
    first = np.busday_offset("2010-01-04", np.arange(count), roll="forward")
    return {"time_ns": first.astype("datetime64[ns]").astype(np.int64), **bars}


def pairs() -> list[tuple[int, int]]:
    """Return the 1,000 (fast, slow) pairs of the sweep."""
    return [(fast, slow) for fast in range(5, 30) for slow in range(fast + 5, fast + 45)]


def serve(tasks: dict[str, Callable[[dict[str, Any]], Callable[[], dict[str, Any]]]]) -> None:
    """Answer requests, one JSON line each, with one timed run: {"task": ..., and its numbers}.

    A task is prepared once for its numbers and run once uncounted; then each request is one run.
    """
    ready: dict[str, Callable[[], dict[str, Any]]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        key = json.dumps(request, sort_keys=True)
        began = time.perf_counter()
        if key not in ready:
            ready[key] = tasks[request.pop("task")](request)
        load_s = time.perf_counter() - began
        began = time.perf_counter()
        told = ready[key]()
        told = {"seconds": time.perf_counter() - began, "load_s": load_s, **told}
        print(json.dumps(told), flush=True)
