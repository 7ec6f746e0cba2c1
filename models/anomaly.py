"""Fits the drones' isolation forest offline and exports it to the arrays that the colony walks."""

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from swarm_core.colony.anomaly import Forest, expected_depth

Floats = NDArray[np.float64]


def fit_forest(
    values: Floats, inputs: tuple[str, ...], *, trees: int = 100, samples: int = 256, seed: int = 0
) -> Forest:
    """Return a forest fitted on the rows [T, len(inputs)] that are wholly known.

    Deterministic for one seed (Liu, Ting & Zhou 2008). Raises ValueError where fewer than two
    rows are known.
    """
    known = np.asarray(values[np.isfinite(values).all(axis=1)], np.float64)
    if len(known) < 2:
        raise ValueError(f"values must have at least two known rows, had {len(known)}")
    fitted = IsolationForest(
        n_estimators=trees,
        max_samples=min(samples, len(known)),  # pyright: ignore[reportArgumentType]  stubs: str only
        random_state=seed,
    ).fit(known)
    return export_forest(fitted, inputs)


def export_forest(fitted: IsolationForest, inputs: tuple[str, ...]) -> Forest:
    """Return the fitted forest as arrays; scores agree with scikit-learn's to rounding."""
    trees = [estimator.tree_ for estimator in fitted.estimators_]
    shape = (len(trees), max(tree.node_count for tree in trees))
    feature, left, right = (np.full(shape, -1, np.int64) for _ in range(3))
    threshold, depth = np.zeros(shape), np.zeros(shape)
    for t, tree in enumerate(trees):
        m = tree.node_count
        split = tree.children_left >= 0
        feature[t, :m] = np.where(split, tree.feature, -1)
        threshold[t, :m] = tree.threshold
        left[t, :m], right[t, :m] = tree.children_left, tree.children_right
        level = np.zeros(m)
        for node in np.flatnonzero(split):  # children stand after their parent
            level[tree.children_left[node]] = level[tree.children_right[node]] = level[node] + 1.0
        below = np.array([expected_depth(int(count)) for count in tree.n_node_samples])
        depth[t, :m] = level + below
    return Forest(
        inputs=inputs,
        feature=feature,
        threshold=threshold,
        left=left,
        right=right,
        depth=depth,
        sample_count=int(fitted.max_samples_),
    )
