"""Forecasts for members of other exchanges than the desk's: its own model on their features."""

import polars as pl

from assets.ports import ModelRegistry
from features.schemas_derived import FORECASTS
from models.experiments.fields import ExperimentError
from models.prediction import predict

_MODEL = ("model_name", "model_version")


def forecast_abroad(
    home: pl.DataFrame, rows: pl.DataFrame, registry: ModelRegistry
) -> pl.DataFrame:
    """Return what the desk's models say of feature rows of one other exchange, all that it lists.

    `home` is the desk's table of forecasts: the model that spoke at its newest close by then speaks
    of a row, so the versions of that table name the models, and none speaks of days that it was
    trained on. The forecast is the score's z within the exchange, as it is at home. Raises
    ExperimentError where the registry has a model no longer.
    """
    from features.store.on_demand import with_on_demand  # pandas, half a second of every start

    spoke = home.select("event_time", *_MODEL).unique().sort("event_time", *_MODEL)
    spoke = spoke.unique("event_time", keep="last", maintain_order=True)
    if spoke.is_empty() or rows.is_empty():
        return pl.DataFrame(schema=dict(FORECASTS.columns))
    told = rows.sort("event_time", "instrument_id").join_asof(
        spoke.set_sorted("event_time"), on="event_time", strategy="backward"
    )
    parts = told.filter(pl.col("model_name").is_not_null()).partition_by(
        *_MODEL, as_dict=True, maintain_order=True, include_key=False
    )
    found = [
        predict(_load(registry, str(name), str(version)), with_on_demand(part))
        for (name, version), part in parts.items()
    ]
    if not found:
        return pl.DataFrame(schema=dict(FORECASTS.columns))
    return pl.concat(found).select(list(FORECASTS.columns))


def _load(registry: ModelRegistry, name: str, version: str) -> bytes:
    try:
        return registry.load(name, version)
    except KeyError as error:
        raise ExperimentError(
            f"the registry must have model {name} {version}, which the table of forecasts names, "
            f"to forecast instruments of other exchanges, had it not"
        ) from error
