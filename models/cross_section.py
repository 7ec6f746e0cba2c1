"""Arithmetic within each decision's cross-section, the same bits whatever the batch."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from models.panel import Floats, group_bounds

Groups = npt.NDArray[np.int64]


def group_means(values: Floats, groups: Groups) -> Floats:
    """Return each row's group mean; rows of a group must stand together."""
    bounds = group_bounds(groups)
    sizes = np.diff(bounds)
    return np.repeat(np.add.reduceat(values, bounds[:-1]) / sizes, sizes) if values.size else values


def demean(values: Floats, groups: Groups) -> Floats:
    """Return the values less the mean of their group."""
    return values - group_means(values, groups)


def standardise(values: Floats, groups: Groups) -> Floats:
    """Return the z of each value in its group (population deviation); 0 where all are equal."""
    centred = demean(values, groups)
    spread = np.sqrt(group_means(centred * centred, groups))
    # Below 1e-12 of the values' size the spread is rounding error, not information.
    flat = spread <= 1e-12 * np.maximum(1.0, np.abs(values).max(initial=0.0))
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))


def target_of(label: Floats, groups: Groups, kind: str) -> Floats:
    """Return what a fit aims at: the label as is, demeaned, or its z clipped to +-3."""
    if kind == "raw":
        return label
    if kind == "demeaned":
        return demean(label, groups)
    return np.clip(standardise(label, groups), -3.0, 3.0)


def rank_correlations(x: Floats, y: Floats, groups: Groups, names_min: int) -> Floats:
    """Return Spearman's correlation of x and y for each group (Spearman 1904), average ranks.

    NaN for a group with fewer than `names_min` rows or with a constant side.
    """
    bounds = group_bounds(groups)
    return np.array(
        [
            _spearman(x[a:b], y[a:b]) if b - a >= names_min else np.nan
            for a, b in pairwise(bounds.tolist())
        ],
        dtype=np.float64,
    )


def _spearman(x: Floats, y: Floats) -> float:
    a, b = rankdata(x), rankdata(y)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else float("nan")
