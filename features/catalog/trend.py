"""Trend: which way the price leans against its own averages."""

from features.catalog.feature import Feature
from features.catalog.panel import CLOSE, shifted
from features.kernels.expressions import exponential, moment, trend_t_statistic

# The slow average's weights beyond it sum to one in ten million.
_MACD_WINDOW = 208
_FAST, _SLOW = 1.0 - 2.0 / 13.0, 1.0 - 2.0 / 27.0  # decay of a span of 12 and of 26


def _gap(sessions: int) -> Feature:
    return Feature(
        name=f"ma_gap_{sessions}d",
        family="trend",
        formula=f"C / mean(C, {sessions}) - 1",
        lookback_sessions=sessions - 1,
        reference="Brock, Lakonishok and LeBaron (1992)",
        expr=CLOSE / moment(CLOSE, "mean", sessions) - 1.0,
    )


_DELTA = CLOSE - shifted(CLOSE, 1)

FEATURES = (
    _gap(50),
    _gap(200),
    Feature(
        name="macd_12d_26d",
        family="trend",
        formula="(EMA(C, 12) - EMA(C, 26)) / C, each over 208 sessions",
        lookback_sessions=_MACD_WINDOW - 1,
        reference="Appel (1979)",
        expr=(exponential(CLOSE, _FAST, _MACD_WINDOW) - exponential(CLOSE, _SLOW, _MACD_WINDOW))
        / CLOSE,
    ),
    Feature(
        name="rsi_14d",
        family="trend",
        formula="2 * mean(max(d, 0), 14) / mean(|d|, 14) - 1, d = C[t] - C[t-1], in [-1, 1]",
        lookback_sessions=14,
        reference="Wilder (1978), with simple means",
        expr=2.0
        * moment(_DELTA.clip(lower_bound=0.0), "mean", 14)
        / moment(_DELTA.abs(), "mean", 14)
        - 1.0,
    ),
    Feature(
        name="trend_t_63d",
        family="trend",
        formula="t-statistic of the slope of ln(C) on time over 63 sessions",
        lookback_sessions=62,
        reference="Lo, Mamaysky and Wang (2000)",
        expr=trend_t_statistic(CLOSE.log(), 63),
    ),
)
