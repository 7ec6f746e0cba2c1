"""Momentum: winners of the last months tend to go on winning."""

from features.catalog.feature import Feature
from features.catalog.panel import CLOSE, LOG_RETURN, shifted
from features.kernels.expressions import moment


def _log(sessions: int) -> Feature:
    return Feature(
        name=f"mom_{sessions}d",
        family="momentum",
        formula=f"ln(C[t] / C[t-{sessions}])",
        lookback_sessions=sessions,
        reference="Moskowitz, Ooi and Pedersen (2012)",
        expr=(CLOSE / shifted(CLOSE, sessions)).log(),
    )


FEATURES = (
    _log(21),
    _log(63),
    _log(126),
    Feature(
        name="mom_252d_21d",
        family="momentum",
        formula="C[t-21] / C[t-252] - 1: twelve months without the last one",
        lookback_sessions=252,
        reference="Jegadeesh and Titman (1993)",
        expr=shifted(CLOSE, 21) / shifted(CLOSE, 252) - 1.0,
    ),
    Feature(
        name="mom_sharpe_126d",
        family="momentum",
        formula="mean(r, 126) / std(r, 126) * sqrt(252), r = ln(C[t] / C[t-1])",
        lookback_sessions=126,
        reference="Barroso and Santa-Clara (2015)",
        expr=moment(LOG_RETURN, "mean", 126) / moment(LOG_RETURN, "std", 126) * 252**0.5,
    ),
)
