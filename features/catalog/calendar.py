"""Calendar: the season of the decision, from the session's own date alone."""

import math

import polars as pl

from features.catalog.feature import Feature
from features.catalog.panel import SESSION

_MONTH_ANGLE = (SESSION.dt.month().cast(pl.Float64) - 1.0) * (2.0 * math.pi / 12.0)
_FIRST = SESSION.dt.month_start()
_NEXT = SESSION.dt.month_end().dt.offset_by("1d")
# Weekdays of the month up to this one, and from this one to the month's end, both inclusive.
_WEEKDAYS_GONE = pl.business_day_count(_FIRST, SESSION.dt.offset_by("1d"))
_WEEKDAYS_LEFT = pl.business_day_count(SESSION, _NEXT)


def _seasonal(name: str, formula: str, reference: str, expr: pl.Expr) -> Feature:
    return Feature(
        name=name,
        family="calendar",
        formula=formula,
        lookback_sessions=0,
        reference=reference,
        expr=expr.cast(pl.Float64),
    )


FEATURES = (
    _seasonal(
        "turn_of_month",
        "1 on the last and the first three weekdays of a month, else 0",
        "Lakonishok and Smidt (1988)",
        (_WEEKDAYS_GONE <= 3) | (_WEEKDAYS_LEFT <= 1),
    ),
    _seasonal(
        "day_of_week", "0 on Monday to 6 on Sunday", "French (1980)", SESSION.dt.weekday() - 1
    ),
    _seasonal("month_sin", "sin(2 pi (month - 1) / 12)", "Keim (1983)", _MONTH_ANGLE.sin()),
    _seasonal("month_cos", "cos(2 pi (month - 1) / 12)", "Keim (1983)", _MONTH_ANGLE.cos()),
)
