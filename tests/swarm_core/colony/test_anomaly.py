"""The drones' forest scores as scikit-learn's does, and finds what is odd."""

import dataclasses

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from models.anomaly import export_forest, fit_forest
from swarm_core.colony.anomaly import INPUTS, bar_inputs


def test_scores_agree_with_the_library_that_fitted_the_forest() -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_normal((600, 4)).astype(np.float32).astype(np.float64)
    fitted = IsolationForest(n_estimators=60, max_samples=128, random_state=1).fit(values)
    ours = export_forest(fitted, INPUTS).score(values)
    np.testing.assert_allclose(ours, -fitted.score_samples(values), rtol=1e-9)


def test_a_crash_is_odd_and_a_usual_bar_is_not() -> None:
    rng = np.random.default_rng(3)
    usual = rng.standard_normal((2_000, 4))
    forest = fit_forest(usual, INPUTS)
    scores = forest.score(np.array([[0.1, 0.0, -0.2, 0.3], [-25.0, 12.0, 9.0, 15.0]]))
    assert scores[0] < 0.5 < 0.7 < scores[1]


def test_what_is_not_known_is_no_anomaly() -> None:
    forest = fit_forest(np.random.default_rng(3).standard_normal((100, 4)), INPUTS)
    rows = bar_inputs(
        np.array([np.nan, 0.01]), np.zeros(2), np.array([0.01, 0.0]), np.ones(2), np.zeros(2)
    )
    assert forest.score(rows).tolist() == [0.0, 0.0]


def test_a_forest_that_could_walk_in_a_circle_is_refused() -> None:
    forest = fit_forest(np.random.default_rng(3).standard_normal((100, 4)), INPUTS)
    with pytest.raises(ValueError, match="children must stand after their parent"):
        dataclasses.replace(forest, left=np.zeros_like(forest.left))


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two known rows, had 0"):
        fit_forest(np.full((5, 4), np.nan), INPUTS)
