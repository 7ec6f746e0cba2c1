"""Decay: how a feature's rank IC changes with the horizon that it is asked about."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from models.cross_section import rank_correlations
from models.labels import forward_returns
from models.panel import group_numbers, with_decision_time
from models.statistics import mean_t


def ic_by_horizon(
    features: pl.DataFrame,
    bars: pl.DataFrame,
    names: Sequence[str],
    horizons: Sequence[int] = (1, 2, 5, 10, 21, 63),
    *,
    cost_bps: float = 0.0,
    names_min: int = 5,
) -> pl.DataFrame:
    """Return the mean rank IC of each feature at each horizon.

    `features`: instrument_id, event_time (and as_of) with the named columns; `bars` as for
    `labels.forward_returns`. Columns: feature, horizon_sessions, rank_ic, rank_ic_t (Newey-West
    over the overlap), decisions.
    """
    rows = []
    for horizon in horizons:
        labels = forward_returns(bars, horizon, cost_bps)
        known = labels.filter(pl.col("label").is_not_null())
        panel = with_decision_time(
            features.join(
                known.select("instrument_id", "event_time", "label"),
                on=["instrument_id", "event_time"],
            )
        ).sort("decision_time", "instrument_id")
        for name in names:
            rows.append((name, horizon, *_measure(panel, name, horizon, names_min)))
    schema = {
        "feature": pl.String,
        "horizon_sessions": pl.Int64,
        "rank_ic": pl.Float64,
        "rank_ic_t": pl.Float64,
        "decisions": pl.Int64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _measure(
    panel: pl.DataFrame, name: str, horizon: int, names_min: int
) -> tuple[float | None, float, int]:
    part = panel.filter(pl.col(name).is_finite())
    if part.is_empty():
        return None, 0.0, 0
    ics = rank_correlations(
        part[name].cast(pl.Float64).to_numpy(),
        part["label"].to_numpy(),
        group_numbers(part["decision_time"]),
        names_min,
    )
    ics = ics[np.isfinite(ics)]
    return (float(ics.mean()) if ics.size else None), mean_t(ics, lags=horizon), int(ics.size)
