"""Prediction: from an artifact and feature rows to the forecast table, bit for bit repeatable."""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from features.schemas import UTC_TIME
from models.artifact import Artifact, decode, model_version
from models.boosting import load, score
from models.calibration import to_forecast
from models.panel import (
    Floats,
    check_known,
    feature_matrix,
    group_numbers,
    with_decision_time,
)

if TYPE_CHECKING:
    import lightgbm as lgb

FORECAST_COLUMNS: dict[str, pl.DataType] = {
    "instrument_id": pl.String(),
    "event_time": UTC_TIME,
    "as_of": UTC_TIME,
    "knowledge_time": UTC_TIME,
    "forecast": pl.Float64(),
    "expected_return": pl.Float64(),
    "model_name": pl.String(),
    "model_version": pl.String(),
}


def predict(artifact: bytes, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the forecast table of feature rows, sorted by decision and instrument.

    `expected_return` (fraction over the label's horizon, in excess of the cross-section where
    the model is relative) depends on the row alone: the same bits for one row and for a batch.
    `forecast` is the score's z within all rows of one decision (as_of, or event_time without
    one), or against the out-of-sample scores where fewer than three names stand there. Rows
    without a single known feature get null. Raises ValueError on a missing feature, a leak, a
    repeated row, or bytes that are no artifact.
    """
    model, booster = _loaded(artifact)
    rows = _checked(frame, model).sort("decision_time", "instrument_id")
    features = feature_matrix(rows, model.feature_names)
    known = np.atleast_1d(~np.isnan(features).all(axis=1))
    scores = score(booster, features[known])
    groups = group_numbers(rows["decision_time"])[known]
    calibration = model.calibration
    expected = _spread(calibration.intercept + calibration.slope * scores, known)
    forecast = _spread(to_forecast(scores, groups, calibration), known)
    return _table(rows, forecast, expected, model, model_version(artifact))


def _table(
    rows: pl.DataFrame, forecast: Floats, expected: Floats, model: Artifact, version: str
) -> pl.DataFrame:
    optional = {
        "as_of": pl.col("decision_time"),
        "knowledge_time": pl.col("decision_time"),
    }
    present = [expr.alias(c) for c, expr in optional.items() if c not in rows.columns]
    return (
        rows.with_columns(present)
        .with_columns(
            pl.Series("forecast", forecast).fill_nan(None),
            pl.Series("expected_return", expected).fill_nan(None),
            pl.lit(model.name).alias("model_name"),
            pl.lit(version).alias("model_version"),
        )
        .select(pl.col(c).cast(t) for c, t in FORECAST_COLUMNS.items())
    )


def _spread(values: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    out = np.full(known.size, np.nan)
    out[known] = values
    return out


def _checked(frame: pl.DataFrame, model: Artifact) -> pl.DataFrame:
    needed = ("instrument_id", "event_time", *model.feature_names)
    missing = [c for c in needed if c not in frame.columns]
    if missing:
        raise ValueError(f"rows to predict must have {missing}, had {frame.columns}")
    check_known(frame)
    rows = with_decision_time(frame)
    if rows.select("instrument_id", "decision_time").is_duplicated().any():
        raise ValueError("one instrument must have one row per decision, but some have more")
    return rows


@lru_cache(maxsize=8)
def _loaded(artifact: bytes) -> tuple[Artifact, "lgb.Booster"]:
    """Parse once per artifact: a decision predicts with the same one again and again."""
    model = decode(artifact)
    return model, load(model.model_text)
