"""Days as spreadsheets count them: 45293.395833333 is 09:30 of 2024-01-02."""

from datetime import datetime

import polars as pl

_FIRST = datetime(1899, 12, 30)  # noqa: DTZ001 - naive, as spreadsheets are
_SECONDS = 86_400.0
# A millisecond is 1.2e-8 of a day: with fewer decimals only the second can be told.
_DECIMALS = 8


def of_serial(text: pl.Expr) -> pl.Expr:
    """Return serial days, with a decimal point or comma, as naive moments; null for other text.

    The part of a day, which may stand behind a space (of a column of its own), is rounded to the
    second, or with enough decimals to the millisecond.
    """
    plain = text.str.replace_all(",", ".", literal=True)
    is_fine = plain.str.len_chars() - plain.str.find(".", literal=True) > _DECIMALS
    unit = pl.when(is_fine).then(1_000).otherwise(1)
    parts = plain.str.splitn(" ", 2)
    day, clock = parts.struct.field("field_0"), parts.struct.field("field_1").fill_null("0")
    days = day.cast(pl.Float64, strict=False) + clock.cast(pl.Float64, strict=False)
    ticks = (days * _SECONDS * unit).round(0)
    microseconds = (ticks * (1_000_000 // unit)).cast(pl.Int64, strict=False)
    return pl.lit(_FIRST).cast(pl.Datetime("us")) + pl.duration(microseconds=microseconds)
