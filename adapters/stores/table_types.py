"""Types that every store of tables keeps exactly: what is written is what is read."""

import polars as pl

_UNSIGNED = {pl.UInt8: pl.Int16, pl.UInt16: pl.Int32, pl.UInt32: pl.Int64}


def storable(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows in types that survive Delta, Parquet and DuckDB unchanged.

    Times become microseconds of UTC, categories text, small unsigned integers signed ones.
    Raises ValueError on times without a zone and on nested columns.
    """
    return rows.select(_storable(table, name, dtype) for name, dtype in rows.schema.items())


def _storable(table: str, name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None:
            raise ValueError(f"{table}.{name} must carry a time zone, was {dtype}")
        return column.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    if dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    if dtype in _UNSIGNED:
        return column.cast(_UNSIGNED[type(dtype)])
    if dtype.is_nested() or dtype in (pl.Object, pl.UInt64, pl.Time, pl.Duration):
        raise ValueError(f"{table}.{name} must be a flat type that Delta keeps, was {dtype}")
    return column


def unified(table: str, rows: pl.DataFrame, stored: pl.Schema) -> pl.DataFrame:
    """Return the rows with the stored columns and types first, columns new to the table after.

    Raises ValueError where a value does not fit the stored type.
    """
    known = [
        pl.col(c).cast(t) if c in rows.columns else pl.lit(None, dtype=t).alias(c)
        for c, t in stored.items()
    ]
    added = [pl.col(c) for c in rows.columns if c not in stored]
    try:
        rows = rows.select([*known, *added])
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{table} must keep the types of its columns: {error}") from error
    untyped = [c for c, t in rows.schema.items() if t == pl.Null]
    if untyped:
        raise ValueError(f"{table} must give a new column a type, {untyped} are all null")
    return rows
