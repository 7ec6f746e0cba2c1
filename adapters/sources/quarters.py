"""Days and periods that strptime does not read as written: quarters, weeks, days of a year.

`%q` behind a Q is the quarter's first month, `%G-W%V` a week's Monday, `%Y%j` reads 2024067.
"""

from typing import TypeVar

import polars as pl

_QUARTERS = ["Q1", "Q2", "Q3", "Q4"]
_MONTHS = ["Q_01", "Q_04", "Q_07", "Q_10"]  # marked, so that Q5 is no May
_DIRECTIVE = "Q%q"
_MONTH = ("%m", "%b", "%B")
_DAY = ("%d", "%j", "%u")
# A shorter number would be read as well, and wrongly: by %Y%m%d 2024067 is the seventh of June.
_SHAPES = {"%Y%m%d": r"\d{8}", "%Y%j": r"\d{7}", "%Y-%j": r"\d{4}-\d{3}"}

Texts = TypeVar("Texts", pl.Series, pl.Expr)


def with_months(text: Texts, form: str) -> tuple[Texts, str]:
    """Return texts and format as strptime reads them: 2023-Q2 is 2023-Q_04, by %Y-Q_%m.

    A text that is no such day or period is null.
    """
    day, space, _ = form.partition(" ")
    if day in _SHAPES:
        rest = r"\D.*" if space else ""
        text = text.str.extract(f"^({_SHAPES[day]}{rest})$", 1)
    if "%G" in form and "%u" not in form:
        return text + pl.lit("-1") if isinstance(text, pl.Expr) else text + "-1", f"{form}-%u"
    if _DIRECTIVE not in form:
        return text, form
    months = text.str.replace_many(_QUARTERS, _MONTHS, ascii_case_insensitive=True)
    return months, form.replace(_DIRECTIVE, "Q_%m")


def has_month(form: str) -> bool:
    """Return whether a format names the month."""
    return any(code in form for code in _MONTH)


def has_day(form: str) -> bool:
    """Return whether a format names the day."""
    return any(code in form for code in _DAY)


def with_whole_clock(text: pl.Expr) -> pl.Expr:
    """Return stamps of a day and a clock whose numbers have their first zero: 930, 93000."""
    return text.str.replace(r" (\d{3}|\d{5})$", " 0${1}")
