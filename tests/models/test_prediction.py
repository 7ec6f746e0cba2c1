"""Prediction: the same bits alone, in a batch, in any order, and by the fast path."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from models.artifact import decode, model_version
from models.fast_prediction import FastScorer
from models.panel import feature_matrix
from models.prediction import FORECAST_COLUMNS, predict
from models.settings import TrainingSettings
from models.training import TrainedModel, train
from tests.models.builders import make_panel_frame

KEYS = ["instrument_id", "event_time", "knowledge_time", "as_of"]


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    settings = TrainingSettings(
        trials=2, folds=2, rounds_max=20, train_sessions_min=80, workers=1, name="test_model"
    )
    return train(make_panel_frame(signal=0.5), settings)


@pytest.fixture
def rows() -> pl.DataFrame:
    frame = make_panel_frame(sessions=20, names=9, signal=0.5, seed=5)
    return frame.select(*KEYS, "f0", "f1", "f2", "f3")


def test_the_forecast_table_has_its_columns_and_names_the_model(
    trained: TrainedModel, rows: pl.DataFrame
) -> None:
    forecast = predict(trained.artifact, rows)
    assert dict(forecast.schema) == FORECAST_COLUMNS
    assert forecast.height == rows.height
    assert set(forecast["model_version"]) == {model_version(trained.artifact)}
    assert set(forecast["model_name"]) == {"test_model"}


def test_a_row_alone_is_expected_to_return_the_same_bits_as_in_the_batch(
    trained: TrainedModel, rows: pl.DataFrame
) -> None:
    batch = predict(trained.artifact, rows)
    alone = pl.concat(predict(trained.artifact, rows.slice(k, 1)) for k in range(0, rows.height, 7))
    both = alone.join(batch, on=["instrument_id", "as_of"], suffix="_batch")
    assert both.height == alone.height
    assert both["expected_return"].to_list() == both["expected_return_batch"].to_list()


def test_one_decision_alone_gives_the_same_bits_as_all_of_them_in_any_order(
    trained: TrainedModel, rows: pl.DataFrame
) -> None:
    batch = predict(trained.artifact, rows)
    shuffled = predict(trained.artifact, rows.sample(fraction=1.0, shuffle=True, seed=2))
    parts = pl.concat(
        predict(trained.artifact, part) for part in rows.partition_by("as_of", maintain_order=True)
    )
    assert shuffled.equals(batch)
    assert parts.equals(batch)


def test_forecasts_are_standardised_within_their_decision(
    trained: TrainedModel, rows: pl.DataFrame
) -> None:
    by_decision = (
        predict(trained.artifact, rows)
        .group_by("as_of")
        .agg(pl.col("forecast").mean().alias("mean"), pl.col("forecast").std(ddof=0).alias("std"))
    )
    assert np.allclose(by_decision["mean"].to_numpy(), 0.0, atol=1e-12)
    assert np.allclose(by_decision["std"].to_numpy(), 1.0)


def test_a_decision_with_too_few_names_is_measured_against_the_record(
    trained: TrainedModel, rows: pl.DataFrame
) -> None:
    one = predict(trained.artifact, rows.head(1)).row(0, named=True)
    calibration = decode(trained.artifact).calibration
    score = (one["expected_return"] - calibration.intercept) / calibration.slope
    expected = (score - calibration.score_mean) / calibration.score_std
    assert one["forecast"] == pytest.approx(expected)


def test_a_row_of_which_nothing_is_known_is_not_forecast(
    trained: TrainedModel, rows: pl.DataFrame
) -> None:
    blank = rows.with_columns(
        pl.when(pl.col("instrument_id") == "US.000").then(None).otherwise(c).alias(c)
        for c in ("f0", "f1", "f2", "f3")
    )
    forecast = predict(trained.artifact, blank)
    missing = forecast.filter(pl.col("forecast").is_null())
    assert set(missing["instrument_id"]) == {"US.000"}
    others = predict(trained.artifact, rows.filter(pl.col("instrument_id") != "US.000"))
    assert forecast.filter(pl.col("forecast").is_not_null()).equals(others)


def test_the_order_and_number_of_other_columns_does_not_matter(
    trained: TrainedModel, rows: pl.DataFrame
) -> None:
    mixed = rows.select("f3", "f1", *KEYS, "f0", "f2").with_columns(more=pl.lit(1.0))
    assert predict(trained.artifact, mixed).equals(predict(trained.artifact, rows))


def test_no_rows_give_an_empty_forecast_table(trained: TrainedModel, rows: pl.DataFrame) -> None:
    empty = predict(trained.artifact, rows.clear())
    assert empty.is_empty()
    assert dict(empty.schema) == FORECAST_COLUMNS


def test_the_fast_path_gives_the_same_bits(trained: TrainedModel, rows: pl.DataFrame) -> None:
    ordered = rows.sort("as_of", "instrument_id").with_columns(
        f1=pl.when(pl.col("f1") > 0.5).then(None).otherwise("f1")
    )
    forecast = predict(trained.artifact, ordered)
    with FastScorer(trained.artifact) as scorer:
        expected = scorer.expected_returns(feature_matrix(ordered, scorer.feature_names))
    assert expected.tolist() == forecast["expected_return"].to_list()


def test_a_closed_fast_scorer_refuses_to_score(trained: TrainedModel) -> None:
    scorer = FastScorer(trained.artifact)
    scorer.close()
    scorer.close()
    with pytest.raises(ValueError, match="was closed"):
        scorer.score(np.zeros(4))


def test_rows_that_cannot_be_predicted_say_why(trained: TrainedModel, rows: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match="must have \\['f2'\\]"):
        predict(trained.artifact, rows.drop("f2"))
    with pytest.raises(ValueError, match="one row per decision"):
        predict(trained.artifact, pl.concat([rows, rows]))
    with pytest.raises(ValueError, match="knowledge_time must be at most"):
        predict(
            trained.artifact,
            rows.with_columns(knowledge_time=pl.col("as_of") + timedelta(microseconds=1)),
        )
    with pytest.raises(ValueError, match="must begin with"):
        predict(b"\x80\x04pickle", rows)
