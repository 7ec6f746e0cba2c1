"""Training: the same bytes for the same rows, and an honest record of what was found."""

import json
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from models.artifact import decode, encode
from models.evaluation import evaluate
from models.settings import TrainingSettings
from models.training import TrainedModel, train
from tests.models.builders import make_panel_frame

SMALL = TrainingSettings(
    trials=3, folds=3, rounds_max=20, train_sessions_min=80, embargo_sessions=2, workers=1
)


@pytest.fixture(scope="module")
def skilled() -> TrainedModel:
    """A model trained where there is something to find."""
    return train(make_panel_frame(signal=0.5), SMALL)


@pytest.fixture(scope="module")
def unskilled() -> TrainedModel:
    """A model trained on noise."""
    return train(make_panel_frame(signal=0.0), SMALL)


def test_the_same_rows_in_any_order_and_any_workers_give_the_same_bytes(
    skilled: TrainedModel,
) -> None:
    shuffled = make_panel_frame(signal=0.5).sample(fraction=1.0, shuffle=True, seed=9)
    again = train(shuffled, TrainingSettings(**{**_values(SMALL), "workers": 2}))
    assert again.artifact == skilled.artifact
    assert again.version == skilled.version
    assert again.oof.equals(skilled.oof)
    assert again.trials.equals(skilled.trials)


def test_one_changed_value_gives_another_version(skilled: TrainedModel) -> None:
    frame = make_panel_frame(signal=0.5).with_row_index("row")
    changed = frame.with_columns(
        f0=pl.when(pl.col("row") == 77).then(pl.col("f0") + 1e-9).otherwise("f0")
    ).drop("row")
    assert train(changed, SMALL).version != skilled.version


def test_a_signal_is_found_out_of_sample_and_noise_is_not(
    skilled: TrainedModel, unskilled: TrainedModel
) -> None:
    assert evaluate(skilled.holdout).metrics["rank_ic"] > 0.3
    assert abs(evaluate(unskilled.holdout).metrics["rank_ic"]) < 0.08
    assert skilled.importance["feature"][0] == "f0"


def test_scores_without_evidence_promise_next_to_nothing(
    skilled: TrainedModel, unskilled: TrainedModel
) -> None:
    promised = {
        name: float(model.oof["expected_return"].std() or 0.0)
        for name, model in (("skilled", skilled), ("unskilled", unskilled))
    }
    assert promised["unskilled"] < 0.2 * promised["skilled"]
    assert evaluate(skilled.holdout).metrics["calibration_slope"] == pytest.approx(1.0, abs=0.35)


def test_only_the_last_fold_is_kept_from_the_search(skilled: TrainedModel) -> None:
    folds = skilled.oof.group_by("fold").agg(pl.col("in_search").unique().first()).sort("fold")
    assert folds["in_search"].to_list() == [True, True, False]
    assert (
        skilled.holdout["decision_time"].min()
        > skilled.oof.filter(pl.col("in_search"))["decision_time"].max()
    )  # type: ignore[operator]  # polars types min() loosely
    assert [c for c in skilled.trials.columns if c.startswith("rank_ic_fold")] == [
        "rank_ic_fold_0",
        "rank_ic_fold_1",
    ]


def test_the_future_does_not_reach_an_out_of_sample_forecast() -> None:
    """Scrambling everything after the first test block leaves its forecasts alone."""
    frame = make_panel_frame(signal=0.5)
    settings = TrainingSettings(**{**_values(SMALL), "trials": 1})
    before = train(frame, settings).oof.filter(pl.col("fold") == 0)
    end = before["decision_time"].max()
    later = pl.col("as_of") > end
    scrambled = frame.with_columns(
        pl.when(later).then(-pl.col(c)).otherwise(c).alias(c) for c in ("f0", "label")
    )
    after = train(scrambled, settings).oof.filter(pl.col("fold") == 0)
    assert before["score"].to_list() == after["score"].to_list()


def test_the_artifact_carries_everything_and_reads_back(skilled: TrainedModel) -> None:
    artifact = decode(skilled.artifact)
    assert artifact.feature_names == ("f0", "f1", "f2", "f3")
    assert artifact.data_hash == skilled.data_hash
    assert artifact.settings["trials"] == 3
    assert encode(artifact) == skilled.artifact
    json.loads(skilled.artifact.splitlines()[2])


@pytest.mark.parametrize("place", [3, 20, 200, -50])
def test_a_changed_byte_of_an_artifact_is_refused(skilled: TrainedModel, place: int) -> None:
    data = bytearray(skilled.artifact)
    data[place] ^= 1
    with pytest.raises(ValueError, match="must"):
        decode(bytes(data))


def test_baselines_are_chosen_before_they_are_judged(skilled: TrainedModel) -> None:
    best, equal = skilled.baselines.rows(named=True)
    assert (best["baseline"], best["detail"]) == ("best_feature", "f0")
    assert best["rank_ic"] > equal["rank_ic"] > 0


def test_progress_is_told_after_every_trial() -> None:
    told: list[tuple[int, int]] = []
    train(make_panel_frame(), SMALL, lambda done, of, best: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_row_known_only_after_its_decision_is_refused() -> None:
    frame = make_panel_frame()
    late = frame.with_columns(knowledge_time=pl.col("as_of") + timedelta(seconds=1))
    with pytest.raises(ValueError, match="knowledge_time must be at most as_of"):
        train(late, SMALL)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.drop("label"), "must have \\['label'\\]"),
        (lambda f: pl.concat([f, f]), "one row per decision"),
        (lambda f: f.with_columns(label=pl.lit(None, pl.Float64)), "labelled rows must be"),
        (lambda f: f.head(590), "at least 60 sessions, had 50"),
    ],
)
def test_a_frame_that_cannot_be_trained_on_says_why(spoil: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(spoil(make_panel_frame()), SMALL)  # type: ignore[operator]  # a lambda of the table


def test_a_single_instrument_is_forecast_over_time() -> None:
    frame = make_panel_frame(sessions=900, names=1, signal=0.8)
    trained = train(frame, SMALL)
    assert trained.settings.target == "raw"
    assert trained.holdout["score"].n_unique() > 10
    judged = evaluate(trained.holdout).metrics
    assert judged["rank_ic_pooled"] > 0.3
    assert "rank_ic" not in judged


def test_a_short_history_is_tested_from_its_half() -> None:
    trained = train(make_panel_frame(sessions=70, signal=0.5), SMALL)
    assert trained.settings.train_sessions_min == 35
    assert trained.oof["decision_time"].n_unique() == 35
    assert trained.drift["rows_current"][0] == 17 * 12


def test_missing_and_infinite_feature_values_are_not_known() -> None:
    frame = make_panel_frame(signal=0.5).with_columns(
        f1=pl.lit(None, pl.Float64), f2=pl.lit(float("inf"))
    )
    trained = train(frame, SMALL)
    shares = dict(trained.importance.iter_rows())
    assert shares["f1"] == shares["f2"] == 0.0
    assert np.isfinite(trained.oof["score"].to_numpy()).all()


@pytest.mark.parametrize(
    "change",
    [
        {"trials": 0},
        {"folds": 1},
        {"holdout_folds": 4},
        {"target": "median"},
        {"name": "a/b"},
        {"seed": -1},
    ],
)
def test_settings_out_of_bounds_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(change))} must be"):
        TrainingSettings(**change)  # type: ignore[arg-type]  # wrong on purpose


def test_settings_survive_as_plain_values() -> None:
    settings = TrainingSettings(feature_names=("a", "b"), trials=5)
    values = json.loads(json.dumps(settings.to_mapping()))
    assert TrainingSettings.from_mapping(values) == settings
    with pytest.raises(ValueError, match="known names"):
        TrainingSettings.from_mapping({"trees": 5})


def _values(settings: TrainingSettings) -> dict[str, object]:
    return {k: v for k, v in settings.to_mapping().items() if k != "feature_names"}


def test_returns_that_are_all_the_same_teach_nothing_and_are_refused() -> None:
    flat = make_panel_frame(signal=0.0).with_columns(pl.lit(0.0).alias(SMALL.label))
    with pytest.raises(ValueError, match="returns to learn from must differ"):
        train(flat, SMALL)
