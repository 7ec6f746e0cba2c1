"""Volume and liquidity: how much is traded, and how far a dollar moves the price."""

import polars as pl

from features.catalog.feature import Feature
from features.catalog.panel import CLOSE, VOLUME
from features.catalog.returns import change
from features.kernels.expressions import moment

_LOG_VOLUME = pl.when(VOLUME > 0.0).then(VOLUME.log())
_DOLLARS = CLOSE * VOLUME

FEATURES = (
    Feature(
        name="volume_z_21d",
        family="volume",
        formula="(ln V - mean(ln V, 21)) / std(ln V, 21)",
        lookback_sessions=20,
        reference="Gervais, Kaniel and Mingelgrin (2001)",
        expr=(_LOG_VOLUME - moment(_LOG_VOLUME, "mean", 21)) / moment(_LOG_VOLUME, "std", 21),
    ),
    Feature(
        name="amihud_21d",
        family="volume",
        formula="1e6 * mean(|ret_1d| / (C V), 21)",
        lookback_sessions=21,
        reference="Amihud (2002)",
        expr=1e6 * moment(pl.when(_DOLLARS > 0.0).then(change(1).abs() / _DOLLARS), "mean", 21),
    ),
    Feature(
        name="dollar_volume_21d",
        family="volume",
        formula="ln(mean(C V, 21)), in the bar's currency",
        lookback_sessions=20,
        reference="Brennan, Chordia and Subrahmanyam (1998)",
        expr=moment(_DOLLARS, "mean", 21).log(),
    ),
    Feature(
        name="volume_trend_5d_63d",
        family="volume",
        formula="ln(mean(V, 5) / mean(V, 63))",
        lookback_sessions=62,
        reference="Llorente, Michaely, Saar and Wang (2002)",
        expr=(moment(VOLUME, "mean", 5) / moment(VOLUME, "mean", 63)).log(),
    ),
)
