"""Reliability: whether returns come as large as they were expected."""

import numpy as np
import polars as pl

from models.panel import Floats


def reliability(
    expected: Floats, realised: Floats, bins: int = 10, overlap: int = 0
) -> tuple[pl.DataFrame, dict[str, float]]:
    """Return the reliability table and its figures.

    Both: [rows], fractions over the horizon. Rows are cut into `bins` of equal count by expected
    return (equal expectations stay together): expected, realised (means), error (of the realised
    mean, one row in `overlap` + 1 taken as new), count. Figures: calibration_slope of realised on
    expected (1 is honest, 0 is noise), calibration_error (mean absolute gap of the bins, weighted
    by count), r2_out_of_sample against expecting nothing (Campbell & Thompson 2008).
    """
    known = np.isfinite(expected) & np.isfinite(realised)
    x, y = expected[known], realised[known]
    if x.size < 2:
        return pl.DataFrame(), {}
    edges = np.unique(np.quantile(x, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    table = (
        pl.DataFrame({"bin": np.searchsorted(edges, x, side="right"), "x": x, "y": y})
        .group_by("bin")
        .agg(
            pl.col("x").mean().alias("expected"),
            pl.col("y").mean().alias("realised"),
            (pl.col("y").std() * ((overlap + 1.0) / pl.len()).sqrt()).alias("error"),
            pl.len().cast(pl.Int64).alias("count"),
        )
        .sort("bin")
        .drop("bin")
    )
    gap = (table["expected"] - table["realised"]).abs().to_numpy()
    figures = {"calibration_error": float(np.average(gap, weights=table["count"].to_numpy()))}
    spread = float(np.var(x))
    if spread > 0:
        figures["calibration_slope"] = float(np.mean((x - x.mean()) * (y - y.mean()))) / spread
    squares = float(y @ y)
    if squares > 0:
        figures["r2_out_of_sample"] = 1.0 - float((y - x) @ (y - x)) / squares
    return table, figures
