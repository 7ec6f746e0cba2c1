"""Range: where the price stands between its recent extremes, and how wide they lie apart."""

import math

import polars as pl

from features.catalog.feature import SESSIONS_PER_YEAR, Feature
from features.catalog.panel import CLOSE, HIGH, LOW, shifted, squared
from features.kernels.expressions import extreme, moment


def _donchian(sessions: int) -> Feature:
    top, bottom = extreme(CLOSE, "max", sessions), extreme(CLOSE, "min", sessions)
    return Feature(
        name=f"donchian_{sessions}d",
        family="range",
        formula=(
            f"2 (C - min(C, {sessions})) / (max(C, {sessions}) - min(C, {sessions})) - 1,"
            " in [-1, 1]; on closes, so that close-only series have it"
        ),
        lookback_sessions=sessions - 1,
        reference="Donchian (1960)",
        expr=2.0 * (CLOSE - bottom) / (top - bottom) - 1.0,
    )


_TRUE_RANGE = pl.max_horizontal(
    HIGH - LOW, (HIGH - shifted(CLOSE, 1)).abs(), (LOW - shifted(CLOSE, 1)).abs()
)

FEATURES = (
    _donchian(20),
    _donchian(55),
    Feature(
        name="parkinson_21d",
        family="range",
        formula="sqrt(252 * mean(ln(H/L)^2, 21) / (4 ln 2))",
        lookback_sessions=20,
        reference="Parkinson (1980)",
        # Times the reciprocal: polars divides by a number so, except in a chunk of a single row,
        # and the last bit would depend on how the rows were cut.
        expr=(
            moment(squared((HIGH / LOW).log()), "mean", 21)
            * SESSIONS_PER_YEAR
            * (1.0 / (4.0 * math.log(2.0)))
        ).sqrt(),
    ),
    Feature(
        name="drawdown_252d",
        family="range",
        formula="C / max(C, 252) - 1, zero at a high",
        lookback_sessions=251,
        reference="Magdon-Ismail and Atiya (2004)",
        expr=CLOSE / extreme(CLOSE, "max", 252) - 1.0,
    ),
    Feature(
        name="high_52w_ratio",
        family="range",
        formula="C / max(H, 252)",
        lookback_sessions=251,
        reference="George and Hwang (2004)",
        expr=CLOSE / extreme(HIGH, "max", 252),
    ),
    Feature(
        name="atr_14d",
        family="range",
        formula="mean(max(H - L, |H - C[t-1]|, |L - C[t-1]|), 14) / C",
        lookback_sessions=14,
        reference="Wilder (1978)",
        expr=moment(pl.when(shifted(CLOSE, 1).is_not_null()).then(_TRUE_RANGE), "mean", 14) / CLOSE,
    ),
    Feature(
        name="stochastic_14d",
        family="range",
        formula="2 (C - min(L, 14)) / (max(H, 14) - min(L, 14)) - 1, in [-1, 1]",
        lookback_sessions=13,
        reference="Lane (1984)",
        expr=2.0
        * (CLOSE - extreme(LOW, "min", 14))
        / (extreme(HIGH, "max", 14) - extreme(LOW, "min", 14))
        - 1.0,
    ),
)
