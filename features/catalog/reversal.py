"""Reversal: what fell over the last days tends to recover some of it."""

from features.catalog.feature import Feature
from features.catalog.panel import CLOSE
from features.catalog.returns import change
from features.kernels.expressions import moment


def _reversal(sessions: int, reference: str) -> Feature:
    return Feature(
        name=f"rev_{sessions}d",
        family="reversal",
        formula=f"-(C[t] / C[t-{sessions}] - 1)",
        lookback_sessions=sessions,
        reference=reference,
        expr=-change(sessions),
    )


FEATURES = (
    _reversal(1, "Lehmann (1990)"),
    _reversal(5, "Jegadeesh (1990)"),
    Feature(
        name="rev_zscore_21d",
        family="reversal",
        formula="-(C[t] - mean(C, 21)) / std(C, 21)",
        lookback_sessions=20,
        reference="Bollinger (2001)",
        expr=-(CLOSE - moment(CLOSE, "mean", 21)) / moment(CLOSE, "std", 21),
    ),
)
