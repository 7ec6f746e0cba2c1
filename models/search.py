"""Hyperparameter search over walk-forward folds by seeded TPE (Bergstra et al. 2011)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from models.boosting import TreeParameters, fit, make_dataset, score
from models.cross_section import rank_correlations, target_of
from models.panel import Floats, Panel
from models.settings import TrainingSettings
from models.splits import Split
from models.statistics import backtest_overfitting

if TYPE_CHECKING:
    import lightgbm as lgb
    import optuna

Progress = Callable[[int, int, float], None]  # trials done, trials in all, best objective so far


@dataclass(frozen=True, slots=True)
class Fold:
    """One walk-forward block with its binned training rows."""

    split: Split
    dataset: lgb.Dataset


@dataclass(frozen=True, slots=True)
class Trial:
    """One tried set of parameters: its mean rank IC in each searched fold, and the objective.

    `decision_ics`: [decisions of all searched folds], 0 where a decision has no rank IC.
    """

    parameters: TreeParameters
    fold_ics: tuple[float, ...]
    objective: float
    decision_ics: Floats


def make_folds(panel: Panel, splits: Sequence[Split], settings: TrainingSettings) -> list[Fold]:
    """Bin each split's training rows; the target is taken within each decision's rows."""
    target = target_of(panel.label, panel.groups, settings.target)
    names = panel.feature_names

    def make(split: Split) -> Fold:
        rows = split.train
        return Fold(split, make_dataset(panel.features[rows], target[rows], names, settings))

    with ThreadPoolExecutor(settings.workers) as pool:
        return list(pool.map(make, splits))


def fold_scores(
    panel: Panel, folds: Sequence[Fold], tree: TreeParameters, settings: TrainingSettings
) -> list[Floats]:
    """Fit each fold and return the scores of its test rows, in the order of the folds."""

    def fit_one(fold: Fold) -> Floats:
        booster = fit(fold.dataset, tree, settings)
        return score(booster, panel.features[fold.split.test])

    with ThreadPoolExecutor(settings.workers) as pool:
        return list(pool.map(fit_one, folds))


def search(
    panel: Panel,
    folds: Sequence[Fold],
    settings: TrainingSettings,
    progress: Progress | None = None,
) -> list[Trial]:
    """Return all `settings.trials` trials in the order they ran; the first is the default."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(
        seed=settings.seed, n_startup_trials=max(3, settings.trials // 3)
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial(asdict(_bounded_default(settings)))
    trials: list[Trial] = []
    for done in range(1, settings.trials + 1):
        asked = study.ask()
        trial = _try(panel, folds, _suggest(asked, settings), settings)
        study.tell(asked, trial.objective)
        trials.append(trial)
        if progress is not None:
            progress(done, settings.trials, best(trials).objective)
    return trials


def best(trials: Sequence[Trial]) -> Trial:
    """Return the trial with the highest objective, the earliest of equals."""
    return max(trials, key=lambda t: t.objective)


def search_overfitting(trials: Sequence[Trial]) -> float | None:
    """Return the probability that choosing the best trial was overfitting, by CSCV on rank ICs.

    None where there are fewer than two trials or too few decisions to halve.
    """
    sizes = {t.decision_ics.size for t in trials}
    if len(sizes) > 1:  # a trial that split nowhere has no rank IC to set beside the others
        return None
    ics = np.column_stack([t.decision_ics for t in trials])
    blocks = 10  # 252 halvings
    if ics.shape[1] < 2 or ics.shape[0] < 2 * blocks:
        return None
    return backtest_overfitting(ics, blocks).probability


def _try(
    panel: Panel, folds: Sequence[Fold], tree: TreeParameters, settings: TrainingSettings
) -> Trial:
    scores = fold_scores(panel, folds, tree, settings)
    ics = [
        _ics(panel, fold.split, values, settings.names_min)
        for fold, values in zip(folds, scores, strict=True)
    ]
    means = tuple(_mean(values) for values in ics)
    # Half a deviation off: a model that works in every block beats one that shone in a single one.
    objective = float(np.mean(means) - 0.5 * np.std(means))
    return Trial(tree, means, objective, np.nan_to_num(np.concatenate(ics), nan=0.0))


def _ics(panel: Panel, split: Split, scores: Floats, names_min: int) -> Floats:
    """Return the rank IC of each decision, or one over time where none has the names for it."""
    label, groups = panel.label[split.test], panel.groups[split.test]
    ics = rank_correlations(scores, label, groups, names_min)
    if np.isfinite(ics).any():
        return ics
    return rank_correlations(scores, label, np.zeros_like(groups), names_min)


def _mean(ics: Floats) -> float:
    known = ics[np.isfinite(ics)]
    return float(known.mean()) if known.size else 0.0


def _suggest(trial: optuna.Trial, settings: TrainingSettings) -> TreeParameters:
    return TreeParameters(
        leaves=trial.suggest_int("leaves", 3, settings.leaves_max),
        rounds=trial.suggest_int("rounds", 5, settings.rounds_max),
        learning_rate=trial.suggest_float("learning_rate", 0.02, 0.15, log=True),
        leaf_fraction_min=trial.suggest_float("leaf_fraction_min", 0.002, 0.05, log=True),
        l2=trial.suggest_float("l2", 0.1, 100.0, log=True),
        feature_fraction=trial.suggest_float("feature_fraction", 0.3, 1.0),
        row_fraction=trial.suggest_float("row_fraction", 0.4, 0.9),
    )


def _bounded_default(settings: TrainingSettings) -> TreeParameters:
    default = TreeParameters()
    return TreeParameters(
        leaves=min(default.leaves, settings.leaves_max),
        rounds=min(default.rounds, settings.rounds_max),
    )


def trial_rows(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return the trials as plain rows: number, parameters, IC of each fold, objective."""
    names = [f.name for f in fields(TreeParameters)]
    return [
        {
            "trial": number,
            **{n: getattr(t.parameters, n) for n in names},
            **{f"rank_ic_fold_{k}": ic for k, ic in enumerate(t.fold_ics)},
            "objective": t.objective,
        }
        for number, t in enumerate(trials)
    ]
