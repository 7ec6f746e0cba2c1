"""Returns: how far the price moved over the last sessions."""

import polars as pl

from features.catalog.feature import Feature
from features.catalog.panel import CLOSE, OPEN, shifted


def change(sessions: int) -> pl.Expr:
    """Return the simple return over so many sessions, a fraction."""
    return CLOSE / shifted(CLOSE, sessions) - 1.0


def _simple(sessions: int) -> Feature:
    return Feature(
        name=f"ret_{sessions}d",
        family="returns",
        formula=f"C[t] / C[t-{sessions}] - 1",
        lookback_sessions=sessions,
        reference="Campbell, Lo and MacKinlay (1997)",
        expr=change(sessions),
    )


FEATURES = (
    _simple(1),
    _simple(5),
    _simple(21),
    Feature(
        name="ret_overnight",
        family="returns",
        formula="O[t] / C[t-1] - 1",
        lookback_sessions=1,
        reference="Lou, Polk and Skouras (2019)",
        expr=OPEN / shifted(CLOSE, 1) - 1.0,
    ),
    Feature(
        name="ret_intraday",
        family="returns",
        formula="C[t] / O[t] - 1",
        lookback_sessions=0,
        reference="Lou, Polk and Skouras (2019)",
        expr=CLOSE / OPEN - 1.0,
    ),
)
