"""LightGBM behind one door: every fit here gives the same trees for the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.panel import Floats
from models.settings import TrainingSettings

if TYPE_CHECKING:
    import lightgbm as lgb


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeParameters:
    """The searched shape of one boosted model; the defaults are the search's first trial."""

    leaves: int = 7
    rounds: int = 50
    learning_rate: float = 0.05
    leaf_fraction_min: float = 0.01  # of the fitted rows, so that it means the same in each fold
    l2: float = 10.0
    feature_fraction: float = 0.5
    row_fraction: float = 0.6


def make_dataset(
    features: Floats, target: Floats, names: Sequence[str], settings: TrainingSettings
) -> lgb.Dataset:
    """Bin the rows once; every trial of a fold fits on the same bins."""
    import lightgbm as lgb

    parameters = {**_fixed(settings), "max_bin": settings.bins_max}
    dataset = lgb.Dataset(
        features,
        target,
        feature_name=list(names),
        params=parameters,
        free_raw_data=False,
        categorical_feature=[],
    )
    return dataset.construct()


def fit(dataset: lgb.Dataset, tree: TreeParameters, settings: TrainingSettings) -> lgb.Booster:
    """Return the model of `tree.rounds` trees. Deterministic in rows, parameters and seed."""
    import lightgbm as lgb

    rows = dataset.num_data()
    parameters: dict[str, Any] = {
        **_fixed(settings),
        "num_leaves": tree.leaves,
        "learning_rate": tree.learning_rate,
        "min_data_in_leaf": max(5, int(tree.leaf_fraction_min * rows)),
        "lambda_l2": tree.l2,
        "feature_fraction": tree.feature_fraction,
        "bagging_fraction": tree.row_fraction,
        "bagging_freq": 1,
    }
    return lgb.train(parameters, dataset, num_boost_round=tree.rounds)


def load(model_text: str) -> lgb.Booster:
    """Return the model of a text that `model_to_string` wrote."""
    import lightgbm as lgb

    return lgb.Booster(model_str=model_text)


def score(booster: lgb.Booster, features: Floats) -> Floats:
    """Return the raw scores of [rows, features]; a row's score does not depend on its company."""
    if features.shape[0] == 0:
        return np.zeros(0)
    raw = booster.predict(features, num_threads=1)
    return np.ascontiguousarray(np.asarray(raw, dtype=np.float64))


def importance(booster: lgb.Booster) -> Mapping[str, float]:
    """Return each feature's share of the total gain of all splits (sums to one, or all zero)."""
    gains = np.asarray(booster.feature_importance("gain"), dtype=np.float64)
    total = float(gains.sum())
    shares = gains / total if total > 0 else gains
    return dict(zip(booster.feature_name(), shares.tolist(), strict=True))


def _fixed(settings: TrainingSettings) -> dict[str, Any]:
    return {
        "objective": "regression",
        "deterministic": True,
        "force_row_wise": True,  # otherwise a timing at start decides, and with it the sums
        "num_threads": 1,
        "seed": settings.seed,
        "feature_pre_filter": False,  # trials with other leaf sizes share the bins
        "verbosity": -1,
    }
