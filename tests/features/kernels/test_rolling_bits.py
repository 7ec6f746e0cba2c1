"""Rolling and fused features have the same bits however they came to run: replays need it."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

from features.kernels import FUSED_NAMES, panel, rolling
from pipelines.settings import ROOT

ROWS = 400


def digests() -> list[str]:
    """Return a digest of what each function gives for rows with holes, in two instruments."""
    rng = np.random.default_rng(20260105)
    x, y = rng.normal(1.0, 3.0, ROWS), rng.normal(0.0, 0.01, ROWS)
    x[rng.random(ROWS) < 0.03] = np.nan
    x.setflags(write=False)
    starts, weights = np.array([0, 130, ROWS]), 0.9 ** np.arange(20, -1, -1.0)
    told = [rolling.rolling_moment(starts, x, w, 12, k) for w in (21, 63) for k in range(4)]
    told += [rolling.rolling_weighted(starts, x, weights, 12)]
    told += [rolling.rolling_extreme(starts, x, 21, 12, k) for k in range(2)]
    told += [rolling.rolling_regression(starts, x, y, 21, 12, k) for k in range(3)]
    told += [rolling.rolling_trend(starts, x, 21, 12, rolling.T_STATISTIC)]
    assert all(np.isfinite(values).sum() > ROWS / 4 for values in told)
    told += _fused(rng)
    return [hashlib.sha256(values.tobytes()).hexdigest()[:16] for values in told]


def _fused(rng: np.random.Generator) -> list[np.ndarray]:
    """Return the fused features of an instrument without gaps and of one with a few."""
    close = 30.0 * np.exp(np.cumsum(0.02 * rng.standard_normal(ROWS)))
    prices = {"close": close, "high": close * 1.01, "low": close * 0.98}
    volume = rng.integers(0, 9_000_000, ROWS).astype(float)
    whole = pl.DataFrame({"instrument_id": "A", **prices, "volume": volume})
    gaps = pl.int_range(ROWS) % 90 == 50
    holed = whole.with_columns(
        pl.lit("B").alias("instrument_id"),
        pl.when(~gaps).then("volume"),
        pl.when(~gaps).then("close"),
    )
    found = panel(pl.concat([whole, holed]))
    for name in FUSED_NAMES:
        for part in (found[name][:ROWS], found[name][ROWS:]):
            assert np.isfinite(part.drop_nulls().to_numpy()).sum() > ROWS / 2, name
    return [found[name].fill_null(0.0).to_numpy() for name in FUSED_NAMES]


def in_another_process(**environment: str) -> list[str]:
    code = f"from {__name__} import digests; print(*digests())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_compiled_loaded_and_interpreted_agree(tmp_path: Path) -> None:
    """Compiled here, loaded from that cache, and run as plain Python: IEEE sums in one order.

    A compiler that might reorder them gave other bits in the process that compiled than in those
    that loaded, and others again for another processor.
    """
    here = digests()
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert in_another_process(**cache) == here
    assert any(tmp_path.rglob("*.nbc"))
    assert in_another_process(**cache) == here
    assert in_another_process(NUMBA_DISABLE_JIT="1") == here
