"""Pieces of sentences: times and numbers as text, for the reasons of findings."""

import polars as pl


def moment(column: str) -> pl.Expr:
    """Return a time column as text to the second."""
    return pl.col(column).dt.strftime("%Y-%m-%d %H:%M:%SZ").fill_null("null")


def number(column: str) -> pl.Expr:
    """Return a numeric column as text with six significant digits' room."""
    return pl.col(column).round(6).cast(pl.String).fill_null("null")
