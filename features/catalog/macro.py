"""Macro: the state of fear, rates, oil and the dollar, and how the newest releases surprised.

Changes are over observations of the series, in the values that were known at the decision.
"""

import polars as pl

from features.catalog.feature import Feature


def _positive_return(role: str) -> pl.Expr:
    """Return the change over 21 observations; null where a price is not positive (oil, 2020)."""
    new, old = pl.col(f"{role}_0"), pl.col(f"{role}_21")
    return pl.when((new > 0.0) & (old > 0.0)).then(new / old - 1.0)


def _macro(name: str, formula: str, lookback: int, reference: str, expr: pl.Expr) -> Feature:
    return Feature(
        name=name,
        family="macro",
        formula=formula,
        lookback_sessions=lookback,
        source_tables=("bars", "macro"),
        reference=reference,
        expr=expr,
    )


FEATURES = (
    _macro("vix", "VIX, newest known close", 0, "Whaley (2000)", pl.col("vix_0")),
    _macro(
        "vix_change_5d",
        "VIX[t] - VIX[t-5], points",
        5,
        "Whaley (2000)",
        pl.col("vix_0") - pl.col("vix_5"),
    ),
    _macro(
        "term_slope",
        "10-year minus 3-month Treasury yield, percentage points",
        0,
        "Estrella and Mishkin (1998)",
        pl.col("rate_10y_0") - pl.col("rate_short_0"),
    ),
    _macro(
        "rate_change_21d",
        "10-year Treasury yield, change over 21 observations, percentage points",
        21,
        "Fama and French (1989)",
        pl.col("rate_10y_0") - pl.col("rate_10y_21"),
    ),
    _macro(
        "oil_ret_21d",
        "WTI[t] / WTI[t-21] - 1, null where a price is not positive",
        21,
        "Driesprong, Jacobsen and Maat (2008)",
        _positive_return("oil"),
    ),
    _macro(
        "dollar_ret_21d",
        "trade-weighted dollar[t] / [t-21] - 1; without it, minus that of dollars per euro",
        21,
        "Lustig, Roussanov and Verdelhan (2014)",
        pl.coalesce(_positive_return("dollar"), -_positive_return("euro")),
    ),
    _macro(
        "macro_surprise",
        "mean over series of (change - mean) / std of its 24 changes before, at each first"
        " publication of the last 30 days; market prices left out, unemployment turned round",
        0,
        "after Scotti (2016)",
        pl.col("surprise"),
    ),
)
