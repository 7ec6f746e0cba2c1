"""Prediction for one decision: 500 instruments x 30 features, 100 trees, path by path.

Every path gives the same bits before it is timed. Run: `python -m benchmarks.prediction`.
"""

import gc
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from models.artifact import Artifact, Calibration, encode
from models.boosting import TreeParameters, fit, load, make_dataset, score
from models.fast_prediction import FastScorer
from models.prediction import predict
from models.settings import TrainingSettings

RESULTS = Path(__file__).parent / "results" / "prediction.json"
NAMES, FEATURES, TREES = 500, 30, 100


def make_artifact() -> bytes:
    """Return a model of 100 trees with 31 leaves, fitted on 20,000 rows, seed 1."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20_000, FEATURES))
    y = np.tanh(x[:, 0]) * x[:, 1] + 0.3 * x[:, 2] + rng.normal(size=len(x))
    names = tuple(f"f{k}" for k in range(FEATURES))
    settings = TrainingSettings(rounds_max=TREES, leaves_max=31)
    tree = TreeParameters(leaves=31, rounds=TREES, leaf_fraction_min=0.001)
    booster = fit(make_dataset(x, y, names, settings), tree, settings)
    line = Calibration(slope=0.01, intercept=0.0, score_mean=0.0, score_std=1.0, relative=True)
    text = booster.model_to_string()
    return encode(Artifact("bench", names, settings.to_mapping(), line, "", "lightgbm", text))


def make_rows() -> pl.DataFrame:
    """Return the feature rows of one decision, one value in fifty unknown."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(NAMES, FEATURES))
    x[rng.random(x.shape) < 0.02] = np.nan
    close = datetime(2024, 1, 5, 21, tzinfo=UTC)
    return pl.DataFrame(
        {
            "instrument_id": [f"US.S{k:03d}" for k in range(NAMES)],
            "event_time": [close] * NAMES,
            "knowledge_time": [close] * NAMES,
            "as_of": [close + timedelta(hours=2)] * NAMES,
            **{f"f{k}": x[:, k] for k in range(FEATURES)},
        }
    )


def median_us(work: Callable[[], object], count: int) -> float:
    """Return the median time of a call in microseconds."""
    for _ in range(max(3, count // 10)):
        work()
    taken = np.empty(count)
    gc.collect()
    for k in range(count):
        begin = time.perf_counter_ns()
        work()
        taken[k] = time.perf_counter_ns() - begin
    return float(np.median(taken)) / 1e3


def main() -> None:
    artifact, rows = make_artifact(), make_rows()
    x = np.ascontiguousarray(rows.select(f"f{k}" for k in range(FEATURES)).to_numpy())
    with FastScorer(artifact) as fast:
        booster = load(artifact.decode().split("\n", 3)[3])
        reference = score(booster, x)
        if [fast.score(r) for r in x] != reference.tolist():
            raise SystemExit("the fast path must give the same bits as the batch, and does not")
        if predict(artifact, rows)["expected_return"].to_list() != (0.01 * reference).tolist():
            raise SystemExit("the forecast table must hold the same bits, and does not")
        one = x[:1].copy()
        figures = {
            "one row, Booster.predict (one thread)": median_us(
                lambda: booster.predict(one, num_threads=1), 300
            ),
            "one row, FastScorer.score": median_us(lambda: fast.score(x[0]), 3_000),
            "500 rows, Booster.predict (all threads)": median_us(lambda: booster.predict(x), 100),
            "500 rows, boosting.score (one thread)": median_us(lambda: score(booster, x), 100),
            "500 rows, FastScorer": median_us(lambda: fast.expected_returns(x), 50),
            "500 rows, features to forecast table": median_us(lambda: predict(artifact, rows), 50),
        }
    for path, microseconds in figures.items():
        print(f"{path:40s} {microseconds:10.1f} us")
    gain = figures["one row, Booster.predict (one thread)"] / figures["one row, FastScorer.score"]
    print(f"{'one row, fast path over Booster':40s} {gain:10.1f} x")
    RESULTS.parent.mkdir(exist_ok=True)
    report = {"median_us": figures, "one_row_gain": gain, "trees": TREES, "rows": NAMES}
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
