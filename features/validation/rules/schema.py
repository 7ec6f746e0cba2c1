"""Columns, types and zones: what must hold before any value can be judged."""

from collections.abc import Iterable

import polars as pl

from features.schemas import TableSchema
from features.validation.findings import table_hit

RULE = "schema"


def schema_findings(schema: TableSchema, rows: pl.DataFrame) -> Iterable[pl.DataFrame]:
    """Yield one blocking finding for each column that is missing or cannot be of its type."""
    for name in schema.required:
        if name not in rows.columns:
            reason = f"{schema.name} must have the column {name}, had {', '.join(rows.columns)}"
            yield table_hit(RULE, "missing_column", "block", 1.0, reason)
    for name, dtype in schema.columns.items():
        if name in rows.columns and rows.schema[name] != dtype:
            yield from _type_findings(schema.name, rows.get_column(name), dtype)


def _type_findings(table: str, column: pl.Series, dtype: pl.DataType) -> Iterable[pl.DataFrame]:
    """Yield a finding where a cast would fail, or would guess a time zone."""
    wanted = f"{table}.{column.name} must be {dtype}, was {column.dtype}"
    if isinstance(dtype, pl.Datetime):
        zone = getattr(column.dtype, "time_zone", None)
        if not isinstance(column.dtype, pl.Datetime) or zone is None:
            if column.null_count() < column.len() or not column.len():
                yield table_hit(RULE, "wrong_type", "block", 1.0, wanted)
            return
    try:
        column.cast(dtype)
    except pl.exceptions.PolarsError:
        yield table_hit(RULE, "wrong_type", "block", 1.0, f"{wanted} and cannot be cast")
