"""Rows as sentences: a template with a place for each column."""

import polars as pl


def format_text(template: str, *values: pl.Expr | str) -> pl.Expr:
    """Return the template with each {} replaced by a value's text; null where one is null.

    A string names a column, as in polars' own `format`. That one panics on frames of several
    chunks, which a filter over a large file leaves (polars 2.1, pola-rs/polars issue 25187).
    Raises ValueError where places and values differ in number.
    """
    first, *rest = template.split("{}")
    if len(rest) != len(values):
        raise ValueError(f"{template!r} must have {len(values)} places, had {len(rest)}")
    parts = [pl.lit(first)]
    for value, text in zip(values, rest, strict=True):
        parts += [pl.col(value) if isinstance(value, str) else value, pl.lit(text)]
    return pl.concat_str(parts)
