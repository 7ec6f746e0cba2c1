"""Rows of a CSV or Parquet file that a person names, with one line on what does not hold."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl


def read_rows(path: Path, needed: Sequence[str], what: str) -> pl.DataFrame:
    """Return the rows of a file of `what`; ValueError where it cannot be read or lacks a column."""
    try:
        if path.suffix == ".parquet":
            rows = pl.read_parquet(path)
        else:
            rows = pl.read_csv(path, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        line = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} must be a readable file of {what}: {line}") from error
    missing = [name for name in needed if name not in rows.columns]
    if missing:
        raise ValueError(f"{path} must have the columns {list(needed)}, lacked {missing}")
    return rows
