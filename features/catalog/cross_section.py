"""Cross-section: where an instrument stands among those that closed at the same moment.

Instruments that close at another hour are another cross-section: at the decision of one close,
the other's prices of that day may not be known.
"""

import math

import polars as pl

from features.catalog.feature import SESSIONS_PER_YEAR, Feature
from features.catalog.panel import LOG_RETURN, MARKET_RETURN
from features.kernels.expressions import regression


def _rank(name: str, lookback_sessions: int, reference: str) -> Feature:
    column = pl.col(name)
    known = column.count().over("event_time")
    rank = 2.0 * (column.rank("average").over("event_time") - 1.0) / (known - 1) - 1.0
    return Feature(
        name=f"{name}_rank",
        family="cross_section",
        formula=f"2 (rank({name}) - 1) / (n - 1) - 1 over the n instruments of a close, in [-1, 1]",
        lookback_sessions=lookback_sessions,
        reference=reference,
        needs=(name,),
        expr=pl.when(known > 1).then(rank),
    )


FEATURES = (
    _rank("mom_252d_21d", 252, "Asness, Moskowitz and Pedersen (2013)"),
    _rank("rev_5d", 5, "Jegadeesh (1990)"),
    _rank("vol_63d", 63, "Ang, Hodrick, Xing and Zhang (2006)"),
    _rank("mom_63d", 63, "Jegadeesh and Titman (1993)"),
    Feature(
        name="beta_63d",
        family="cross_section",
        formula="slope of r on the equal-weighted mean r of the same close, 63 sessions",
        lookback_sessions=63,
        reference="Frazzini and Pedersen (2014)",
        expr=regression(LOG_RETURN, MARKET_RETURN, "beta", 63),
    ),
    Feature(
        name="idio_vol_63d",
        family="cross_section",
        formula="residual deviation of that regression * sqrt(252)",
        lookback_sessions=63,
        reference="Ang, Hodrick, Xing and Zhang (2006)",
        expr=regression(LOG_RETURN, MARKET_RETURN, "residual_std", 63)
        * math.sqrt(SESSIONS_PER_YEAR),
    ),
    Feature(
        name="market_ret_1d",
        family="cross_section",
        formula="mean of r over the instruments of the same close",
        lookback_sessions=1,
        reference="Fama and French (1993), equal weights",
        expr=MARKET_RETURN,
    ),
)
