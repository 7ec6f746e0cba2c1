"""Arithmetic within each decision's cross-section, the same bits whatever the batch."""

import numpy as np
import numpy.typing as npt

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


def group_ranks(values: Floats, groups: Groups) -> Floats:
    """Return each value's rank within its group, from 1; equal values share their mean rank."""
    if values.size == 0:
        return values
    order = np.lexsort((values, groups))
    ordered, group = values[order], groups[order]
    new_group = np.diff(group, prepend=group[0] - 1) != 0
    new_value = new_group | (np.diff(ordered, prepend=ordered[0]) != 0)
    place = np.arange(values.size)
    group_start = np.maximum.accumulate(np.where(new_group, place, 0))
    first = np.flatnonzero(new_value)
    length = np.diff(np.append(first, values.size))
    shared = np.repeat(first + (length - 1) / 2.0, length)
    ranks = np.empty(values.size)
    ranks[order] = shared - group_start + 1.0
    return ranks


def correlations(x: Floats, y: Floats, groups: Groups, names_min: int) -> Floats:
    """Return Pearson's correlation of x and y for each group, in the order of the groups.

    NaN for a group with fewer than `names_min` rows or with a constant side.
    """
    if x.size == 0:
        return x
    a, b = standardise(x, groups), standardise(y, groups)
    bounds = group_bounds(groups)
    sizes = np.diff(bounds)
    sums = np.add.reduceat(a * b, bounds[:-1])
    moving = (np.add.reduceat(a * a, bounds[:-1]) > 0) & (np.add.reduceat(b * b, bounds[:-1]) > 0)
    return np.where((sizes >= names_min) & moving, sums / sizes, np.nan)


def rank_correlations(x: Floats, y: Floats, groups: Groups, names_min: int) -> Floats:
    """Return Spearman's correlation (Spearman 1904) for each group; NaN as in `correlations`."""
    return correlations(group_ranks(x, groups), group_ranks(y, groups), groups, names_min)
