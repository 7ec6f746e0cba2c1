"""Volatility: how wide the returns scatter, and how lopsided; annual figures, 252 sessions."""

import math

from features.catalog.feature import SESSIONS_PER_YEAR, Feature
from features.catalog.panel import CLOSE, HIGH, LOG_RETURN, LOW, OPEN, squared
from features.catalog.returns import change
from features.kernels.expressions import exponential, extreme, moment

_ANNUAL = math.sqrt(SESSIONS_PER_YEAR)
_RISKMETRICS_DECAY = 0.94  # the daily decay of J.P. Morgan (1996)
_EWMA_WINDOW = 126  # the weights beyond it sum to 0.0004

_VOL_21D = moment(LOG_RETURN, "std", 21) * _ANNUAL
_VOL_63D = moment(LOG_RETURN, "std", 63) * _ANNUAL
_VOL_126D = moment(LOG_RETURN, "std", 126) * _ANNUAL
_GARMAN_KLASS = 0.5 * squared((HIGH / LOW).log()) - (2.0 * math.log(2.0) - 1.0) * squared(
    (CLOSE / OPEN).log()
)

FEATURES = (
    Feature(
        name="vol_21d",
        family="volatility",
        formula="std(r, 21) * sqrt(252), r = ln(C[t] / C[t-1])",
        lookback_sessions=21,
        reference="Hull (2018)",
        expr=_VOL_21D,
    ),
    Feature(
        name="vol_63d",
        family="volatility",
        formula="std(r, 63) * sqrt(252)",
        lookback_sessions=63,
        reference="Hull (2018)",
        expr=_VOL_63D,
    ),
    Feature(
        name="vol_ratio_21d_126d",
        family="volatility",
        formula="std(r, 21) / std(r, 126)",
        lookback_sessions=126,
        reference="Engle (1982)",
        expr=_VOL_21D / _VOL_126D,
    ),
    Feature(
        name="ewma_vol",
        family="volatility",
        formula="sqrt(252 * sum(w r^2)), w ~ 0.94^age over 126 sessions, sum(w) = 1",
        lookback_sessions=_EWMA_WINDOW,
        reference="J.P. Morgan RiskMetrics (1996)",
        expr=exponential(squared(LOG_RETURN), _RISKMETRICS_DECAY, _EWMA_WINDOW).sqrt() * _ANNUAL,
    ),
    Feature(
        name="vol_of_vol_63d",
        family="volatility",
        formula="std(vol_21d, 63) / mean(vol_21d, 63)",
        lookback_sessions=83,
        reference="Baltussen, van Bekkum and van der Grient (2018)",
        expr=moment(_VOL_21D, "std", 63) / moment(_VOL_21D, "mean", 63),
    ),
    Feature(
        name="downside_vol_63d",
        family="volatility",
        formula="sqrt(mean(min(r, 0)^2, 63)) * sqrt(252)",
        lookback_sessions=63,
        reference="Sortino and van der Meer (1991)",
        expr=moment(LOG_RETURN, "downside", 63) * _ANNUAL,
    ),
    Feature(
        name="skew_63d",
        family="volatility",
        formula="mean((r - mean(r))^3, 63) / mean((r - mean(r))^2, 63)^1.5",
        lookback_sessions=63,
        reference="Harvey and Siddique (2000)",
        expr=moment(LOG_RETURN, "skew", 63),
    ),
    Feature(
        name="max_ret_21d",
        family="volatility",
        formula="max(ret_1d, 21)",
        lookback_sessions=21,
        reference="Bali, Cakici and Whitelaw (2011)",
        expr=extreme(change(1), "max", 21),
    ),
    Feature(
        name="garman_klass_21d",
        family="volatility",
        formula="sqrt(252 * mean(ln(H/L)^2 / 2 - (2 ln 2 - 1) ln(C/O)^2, 21))",
        lookback_sessions=20,
        reference="Garman and Klass (1980)",
        expr=(moment(_GARMAN_KLASS, "mean", 21) * SESSIONS_PER_YEAR).sqrt(),
    ),
)
