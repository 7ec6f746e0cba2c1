"""Training: from labelled features to one artifact with its out-of-sample record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from models.artifact import Artifact, Calibration, encode, model_version
from models.baselines import baselines
from models.boosting import TreeParameters, fit, importance, make_dataset
from models.calibration import calibrate, to_forecast
from models.cross_section import target_of
from models.drift import drift, weighted_psi
from models.panel import Floats, Panel, make_panel
from models.search import (
    Fold,
    Progress,
    best,
    fold_scores,
    make_folds,
    search,
    search_overfitting,
    trial_rows,
)
from models.settings import TrainingSettings
from models.splits import Split, walk_forward

__all__ = ["RECENT_SESSIONS", "SESSIONS_MIN", "TrainedModel", "TrainingSettings", "train"]

SESSIONS_MIN = 60  # below a quarter of a year there is nothing to fit on and to judge by
RECENT_SESSIONS = 63  # a quarter: enough rows to tell drift from noise


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What one training leaves.

    `oof` holds one row per tested label: keys, labels, fold, `in_search` (its fold helped to
    choose the parameters; judge a model on the others), score, forecast, expected_return.
    `importance`: feature, gain_share. `trials`: one row per trial, in order. `baselines`: what
    the last block gave the best single feature and the equal-weight rank. `drift`: the newest
    `RECENT_SESSIONS` against all before, as in `drift.drift`. `search_overfitting`: the
    probability that the chosen trial ranks in the lower half where it was not chosen.
    """

    artifact: bytes
    feature_names: tuple[str, ...]
    settings: TrainingSettings
    parameters: TreeParameters
    trials: pl.DataFrame
    oof: pl.DataFrame
    importance: pl.DataFrame
    baselines: pl.DataFrame
    drift: pl.DataFrame
    search_overfitting: float | None
    data_hash: str
    train_start: str
    train_end: str

    @property
    def version(self) -> str:
        """The version that the artifact's content gives it."""
        return model_version(self.artifact)

    @property
    def psi(self) -> float:
        """The drift of the newest rows, weighted by what the model makes of each feature."""
        return weighted_psi(self.drift, self.importance)

    @property
    def holdout(self) -> pl.DataFrame:
        """The out-of-sample rows that no search has seen."""
        return self.oof.filter(~pl.col("in_search"))


def train(
    frame: pl.DataFrame,
    settings: TrainingSettings | None = None,
    progress: Progress | None = None,
) -> TrainedModel:
    """Search, judge and fit one model on labelled features.

    `frame`: feature table joined with `labels.forward_returns` on (instrument_id, event_time).
    The same rows (in any order) and settings give the same bytes. A history of less than twice
    `train_sessions_min` begins to be tested at its half; where the median decision has fewer
    than `names_min` names there is no cross-section, and the label itself is the target. The
    settings in the result are those in force. Raises ValueError on a frame that has fewer than
    `SESSIONS_MIN` sessions, leaks, or lacks a column.
    """
    settings = settings or TrainingSettings()
    panel = make_panel(frame, settings.feature_names, settings.label, settings.rows_max)
    if not np.ptp(panel.label) > 0:
        raise ValueError("returns to learn from must differ, were all the same: prices never move")
    settings = _fitting(settings, panel)
    folds = make_folds(panel, _splits(panel, settings), settings)
    searched = folds[: settings.folds - settings.holdout_folds]
    trials = search(panel, searched, settings, progress)
    tree = best(trials).parameters
    oof, calibration = _judge(panel, folds, tree, settings)
    target = target_of(panel.label, panel.groups, settings.target)
    dataset = make_dataset(panel.features, target, panel.feature_names, settings)
    booster = fit(dataset, tree, settings)
    times = panel.frame["decision_time"]
    return TrainedModel(
        artifact=_artifact(panel, settings, tree, calibration, booster.model_to_string()),
        feature_names=panel.feature_names,
        settings=settings,
        parameters=tree,
        trials=pl.DataFrame(trial_rows(trials)),
        oof=oof,
        importance=_importance_frame(importance(booster)),
        baselines=baselines(panel, folds[-1].split.train, folds[-1].split.test, settings.names_min),
        drift=_recent_drift(panel),
        search_overfitting=search_overfitting(trials),
        data_hash=panel.data_hash,
        train_start=times[0].isoformat(),
        train_end=times[-1].isoformat(),
    )


def _fitting(settings: TrainingSettings, panel: Panel) -> TrainingSettings:
    """Return the settings that the panel's length and width allow."""
    sessions = int(panel.groups[-1]) + 1
    if sessions < SESSIONS_MIN:
        raise ValueError(f"training must have at least {SESSIONS_MIN} sessions, had {sessions}")
    if np.median(np.bincount(panel.groups)) < settings.names_min:
        settings = replace(settings, target="raw")
    shorter = min(settings.train_sessions_min, sessions // 2)
    return replace(settings, train_sessions_min=shorter)


def _splits(panel: Panel, settings: TrainingSettings) -> list[Split]:
    known = [c for c in ("label_end_time", "label_knowledge_time") if c in panel.frame.columns]
    # A label is over when its exit happened and could be known, and never before its decision.
    ends = panel.frame.select(pl.max_horizontal("decision_time", *known)).to_series()
    return walk_forward(
        panel.frame["decision_time"],
        ends,
        folds=settings.folds,
        embargo_sessions=settings.embargo_sessions,
        scheme=settings.scheme,
        train_sessions_min=settings.train_sessions_min,
    )


def _judge(
    panel: Panel, folds: Sequence[Fold], tree: TreeParameters, settings: TrainingSettings
) -> tuple[pl.DataFrame, Calibration]:
    """Return the out-of-sample table and the calibration that it gives."""
    scores = fold_scores(panel, folds, tree, settings)
    rows = np.concatenate([f.split.test for f in folds])
    score = np.concatenate(scores)
    fold_numbers = np.repeat([f.split.fold for f in folds], [f.split.test.size for f in folds])
    in_search = fold_numbers < settings.folds - settings.holdout_folds
    groups = panel.groups[rows]

    def line(chosen: npt.NDArray[np.bool_]) -> Calibration:
        relative, overlap = settings.target != "raw", _overlap(panel)
        realised = _realised(panel)[rows[chosen]]
        return calibrate(
            score[chosen], realised, groups[chosen], relative=relative, overlap=overlap
        )

    # The record's expected returns come from the searched folds alone: the others judge them.
    told = line(in_search)
    oof = panel.frame[rows].with_columns(
        pl.Series("fold", fold_numbers.astype(np.int64)),
        pl.Series("in_search", in_search),
        pl.Series("score", score),
        pl.Series("forecast", to_forecast(score, groups, told)),
        pl.Series("expected_return", told.intercept + told.slope * score),
    )
    return oof, line(np.ones(rows.size, dtype=bool))


def _realised(panel: Panel) -> Floats:
    if "forward_return" not in panel.frame.columns:
        return panel.label
    values = panel.frame["forward_return"].cast(pl.Float64).fill_null(0.0)
    return np.ascontiguousarray(values.to_numpy())


def _overlap(panel: Panel) -> int:
    """Return how many further decisions are taken while the median label runs."""
    times = panel.frame["decision_time"].unique().sort()
    ends = panel.frame.group_by("decision_time").agg(pl.col("label_end_time").median())
    last = times.search_sorted(ends.sort("decision_time")["label_end_time"], side="left")
    ahead = last.to_numpy() - np.arange(times.len())
    return max(0, int(np.median(ahead)))


def _artifact(
    panel: Panel,
    settings: TrainingSettings,
    tree: TreeParameters,
    calibration: Calibration,
    model_text: str,
) -> bytes:
    import lightgbm as lgb

    told = replace(settings, workers=1).to_mapping()  # workers do not change a model
    return encode(
        Artifact(
            name=settings.name,
            feature_names=panel.feature_names,
            settings={**told, "parameters": asdict(tree)},
            calibration=calibration,
            data_hash=panel.data_hash,
            library=f"lightgbm {lgb.__version__}",
            model_text=model_text,
        )
    )


def _recent_drift(panel: Panel) -> pl.DataFrame:
    sessions = int(panel.groups[-1]) + 1
    first_recent = sessions - min(RECENT_SESSIONS, sessions // 4)
    frame = pl.DataFrame(panel.features, schema=list(panel.feature_names))
    recent = pl.Series(panel.groups >= first_recent)
    return drift(frame.filter(~recent), frame.filter(recent), panel.feature_names)


def _importance_frame(shares: Mapping[str, float]) -> pl.DataFrame:
    frame = pl.DataFrame({"feature": list(shares), "gain_share": list(shares.values())})
    return frame.sort(["gain_share", "feature"], descending=[True, False])
