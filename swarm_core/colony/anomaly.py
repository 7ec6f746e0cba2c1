"""Isolation scores of a bar: a forest fitted offline, kept as arrays, walked in a kernel."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swarm_core.colony.arithmetic import exp, log
from swarm_core.colony.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_LN2 = 0.6931471805599453
_EULER = 0.5772156649015329
INPUTS = ("outcome", "outcome_before", "age_days", "volatility_ratio")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Forest:
    """An isolation forest (Liu, Ting & Zhou 2008) of T trees with at most M nodes each.

    Raises ValueError where the arrays do not fit together or a child points outside its tree.
    """

    inputs: tuple[str, ...]
    feature: Integers  # [T, M] column to split on, -1 at a leaf
    threshold: Floats  # [T, M] go left where value <= threshold
    left: Integers  # [T, M]
    right: Integers  # [T, M]
    depth: Floats  # [T, M] at a leaf: its depth plus the expected depth below it
    sample_count: int  # that each tree was grown from

    def __post_init__(self) -> None:
        shape = self.feature.shape
        for name in ("threshold", "left", "right", "depth"):
            values: Floats = getattr(self, name)
            if values.shape != shape:
                raise ValueError(f"{name} must have the shape {shape}, had another")
        split = self.feature >= 0
        if split.any() and self.feature.max() >= len(self.inputs):
            raise ValueError(f"feature must be below {len(self.inputs)}, was {self.feature.max()}")
        for child in (self.left, self.right):
            # A child stands after its parent, so that every walk ends.
            parent: Integers = np.broadcast_to(np.arange(shape[1], dtype=np.int64), shape)[split]
            after = child[split] > parent
            if not (after.all() and (child[split] < shape[1]).all()):
                raise ValueError("children must stand after their parent and inside the tree")
        if self.sample_count < 2:
            raise ValueError(f"sample_count must be at least 2, was {self.sample_count}")

    def score(self, values: Floats) -> Floats:
        """Return the score in (0, 1] of rows [N, len(inputs)]; NaN anywhere in a row gives 0.

        About 0.5 is usual, near 1 is isolated. What is not known is no anomaly here: missing and
        stale data have drones of their own.
        """
        if values.ndim != 2 or values.shape[1] != len(self.inputs):
            raise ValueError(f"values must be [N, {len(self.inputs)}], was {values.shape}")
        out = np.zeros(len(values))
        score_rows(
            np.ascontiguousarray(values, np.float64), self.feature, self.threshold, self.left,
            self.right, self.depth, expected_depth(self.sample_count), out,
        )  # fmt: skip
        return out


@kernel
def expected_depth(count: int) -> float:
    """Return c(n), the mean depth of an unsuccessful search in a binary tree of n leaves."""
    if count <= 1:
        return 0.0
    if count == 2:
        return 1.0
    return 2.0 * (log(count - 1.0) + _EULER) - 2.0 * (count - 1.0) / count


@kernel
def score_rows(
    values: np.ndarray,
    feature: np.ndarray,
    threshold: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    depth: np.ndarray,
    usual_depth: float,
    out: np.ndarray,
) -> None:
    """Fill out[N] with 2^(-mean depth / usual depth)."""
    for i in range(values.shape[0]):
        total, known = 0.0, True
        for j in range(values.shape[1]):
            known = known and math.isfinite(values[i, j])
        if not known:
            out[i] = 0.0
            continue
        for t in range(feature.shape[0]):
            node = 0
            while feature[t, node] >= 0:
                below = values[i, feature[t, node]] <= threshold[t, node]
                node = left[t, node] if below else right[t, node]
            total += depth[t, node]
        out[i] = exp(-_LN2 * total / feature.shape[0] / usual_depth)


def bar_inputs(
    returns: Floats, returns_before: Floats, sigma: Floats, sigma_usual: Floats, age_s: Floats
) -> Floats:
    """Return the rows [N, 4] of INPUTS for one bar: log returns in sigmas, age, sigma ratio."""
    with np.errstate(all="ignore"):
        columns = (returns / sigma, returns_before / sigma, age_s / 86_400.0, sigma / sigma_usual)
    return np.stack(columns, axis=1)
