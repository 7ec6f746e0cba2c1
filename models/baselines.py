"""What a model must beat: its own best feature alone, and all features with equal weight."""

import numpy as np
import polars as pl

from models.cross_section import demean, group_ranks, rank_correlations
from models.panel import Floats, Panel
from models.splits import Indices
from models.statistics import mean_t


def baselines(panel: Panel, fitted: Indices, judged: Indices, names_min: int = 5) -> pl.DataFrame:
    """Return rank IC, ICIR and t of the two baselines over the judged rows.

    The best feature, and the sign of every feature, are chosen on the fitted rows alone.
    Columns: baseline, detail, rank_ic, icir, rank_ic_t.
    """
    train = _mean_ics(panel, fitted, names_min)
    best = int(np.abs(train).argmax())
    ranks = np.column_stack([_rank_values(panel, judged, k) for k in range(train.size)])
    scores = {
        ("best_feature", panel.feature_names[best]): np.sign(train[best]) * ranks[:, best],
        ("equal_weight_rank", f"{train.size} features"): ranks @ np.sign(train),
    }
    label, groups = panel.label[judged], panel.groups[judged]
    rows = []
    for (name, detail), values in scores.items():
        ics = rank_correlations(values, label, groups, names_min)
        ics = ics[np.isfinite(ics)]
        mean = float(ics.mean()) if ics.size else 0.0
        spread = float(ics.std(ddof=1)) if ics.size > 1 else 0.0
        rows.append((name, detail, mean, mean / spread if spread > 0 else 0.0, mean_t(ics)))
    return pl.DataFrame(
        rows,
        schema={
            "baseline": pl.String,
            "detail": pl.String,
            "rank_ic": pl.Float64,
            "icir": pl.Float64,
            "rank_ic_t": pl.Float64,
        },
        orient="row",
    )


def _mean_ics(panel: Panel, rows: Indices, names_min: int) -> Floats:
    label, groups = panel.label[rows], panel.groups[rows]
    out = np.zeros(len(panel.feature_names))
    for k in range(out.size):
        ics = rank_correlations(_rank_values(panel, rows, k), label, groups, names_min)
        known = ics[np.isfinite(ics)]
        out[k] = known.mean() if known.size else 0.0
    return out


def _rank_values(panel: Panel, rows: Indices, feature: int) -> Floats:
    """Return the feature's centred rank in (-0.5, 0.5) per decision; 0 where it is not known."""
    values, groups = panel.features[rows, feature], panel.groups[rows]
    known = ~np.isnan(values)
    out = np.zeros(values.size)
    if not known.any():
        return out
    ranks = group_ranks(values[known], groups[known])
    _, number, sizes = np.unique(groups[known], return_inverse=True, return_counts=True)
    out[known] = demean(ranks, groups[known]) / sizes[number]
    return out
