"""Quarters in stamps, which no strptime reads: `%q` behind a Q is the quarter's first month."""

from typing import TypeVar

import polars as pl

_QUARTERS = ["Q1", "Q2", "Q3", "Q4"]
_MONTHS = ["Q_01", "Q_04", "Q_07", "Q_10"]  # marked, so that Q5 is no May
_DIRECTIVE = "Q%q"
_MONTH = ("%m", "%b", "%B")

Texts = TypeVar("Texts", pl.Series, pl.Expr)


def with_months(text: Texts, form: str) -> tuple[Texts, str]:
    """Return texts and format with months for quarters: 2023-Q2 is 2023-Q_04, by %Y-Q_%m."""
    if _DIRECTIVE not in form:
        return text, form
    months = text.str.replace_many(_QUARTERS, _MONTHS, ascii_case_insensitive=True)
    return months, form.replace(_DIRECTIVE, "Q_%m")


def has_month(form: str) -> bool:
    """Return whether a format names the month."""
    return any(code in form for code in _MONTH)
