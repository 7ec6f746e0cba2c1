"""On-demand features: formulas over stored features, computed when they are asked for.

Feast keeps a function's source text in its registry and runs it there without this module, so each
transformation stands alone: it names nothing outside itself but `pd` and `np`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl


@dataclass(frozen=True, slots=True)
class OnDemand:
    """One on-demand feature: its name, the stored features it reads, and how it is computed."""

    name: str
    inputs: tuple[str, ...]
    transform: Callable[[pd.DataFrame], pd.DataFrame]
    description: str


def risk_adjusted_momentum(inputs: pd.DataFrame) -> pd.DataFrame:
    """Return 126-session momentum per unit of 63-session volatility; unknown at no volatility."""
    momentum = np.asarray(inputs["mom_126d"], dtype="float64")
    volatility = np.asarray(inputs["vol_63d"], dtype="float64")
    unknown = np.full(len(volatility), np.nan)
    ratio = np.divide(momentum, volatility, out=unknown, where=volatility > 0.0)
    return pd.DataFrame({"mom_126d_per_vol_63d": ratio})


def sentiment_in_turbulence(inputs: pd.DataFrame) -> pd.DataFrame:
    """Return 5-session news sentiment scaled by how turbulent prices are against their own norm."""
    sentiment = np.asarray(inputs["news_sentiment_5d"], dtype="float64")
    product = sentiment * np.asarray(inputs["vol_ratio_21d_126d"], dtype="float64")
    return pd.DataFrame({"news_sentiment_5d_x_vol_ratio": product})


ON_DEMAND: tuple[OnDemand, ...] = (
    OnDemand(
        "mom_126d_per_vol_63d",
        ("mom_126d", "vol_63d"),
        risk_adjusted_momentum,
        "Momentum over 126 sessions divided by volatility over 63 (Barroso and Santa-Clara, 2015)",
    ),
    OnDemand(
        "news_sentiment_5d_x_vol_ratio",
        ("news_sentiment_5d", "vol_ratio_21d_126d"),
        sentiment_in_turbulence,
        "News sentiment of 5 sessions times short over long volatility: news counts in turbulence",
    ),
)


def with_on_demand(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with every on-demand feature beside the stored ones, as Feast adds them."""
    added = rows
    for feature in ON_DEMAND:
        inputs = rows.select(pl.col(feature.inputs).cast(pl.Float64).fill_null(float("nan")))
        given = pd.DataFrame({name: inputs[name].to_numpy() for name in feature.inputs})
        values = np.asarray(feature.transform(given)[feature.name], dtype="float64")
        added = added.with_columns(pl.Series(feature.name, values))
    return added
