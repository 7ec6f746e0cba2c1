"""The default files as text, and what their parsers share: row numbers and local times."""

import io
from collections.abc import Callable
from datetime import time

import polars as pl

NEW_YORK, CHICAGO, LONDON = "America/New_York", "America/Chicago", "Europe/London"

ReadFile = Callable[[str], bytes]
"""Returns a data set's verified content by its name in the manifest."""


def read_csv(content: bytes) -> pl.DataFrame:
    """Return the file with every column as text and its row number (from 0) in source_row."""
    return pl.read_csv(
        io.BytesIO(content), infer_schema=False, row_index_name="source_row"
    ).with_columns(pl.col("source_row").cast(pl.Int64))


def to_utc(day: pl.Expr, at: time, zone: str) -> pl.Expr:
    """Return the UTC moment of a local time on a day."""
    return day.dt.combine(at).dt.replace_time_zone(zone).dt.convert_time_zone("UTC")
