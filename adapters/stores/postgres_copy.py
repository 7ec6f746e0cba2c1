"""Frames through PostgreSQL's COPY and back, exactly: the fastest way in and out of the server."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import LiteralString, cast

import polars as pl
import psycopg
import pyarrow as pa
import pyarrow.csv as arrow_csv
from psycopg import sql

_COPY_OPTIONS = sql.SQL("(FORMAT csv, ENCODING 'UTF8')")  # null is nothing, empty text is ""
_SIMPLE: dict[str, tuple[pl.DataType, str]] = {
    "String": (pl.String(), "text"),
    "Int8": (pl.Int8(), "smallint"),
    "Int16": (pl.Int16(), "smallint"),
    "Int32": (pl.Int32(), "integer"),
    "Int64": (pl.Int64(), "bigint"),
    "Float32": (pl.Float32(), "real"),
    "Float64": (pl.Float64(), "double precision"),
    "Boolean": (pl.Boolean(), "boolean"),
    "Date": (pl.Date(), "date"),
    "Datetime": (pl.Datetime("us", "UTC"), "timestamptz"),
    "Binary": (pl.Binary(), "bytea"),
    "Null": (pl.Null(), "text"),
}


def described(schema: Mapping[str, pl.DataType]) -> list[list[str]]:
    """Return a schema as [column, type] pairs for JSON; ValueError on a type that has no column."""
    return [[name, _type_name(name, dtype)] for name, dtype in schema.items()]


def schema_of(description: Iterable[Sequence[str]]) -> pl.Schema:
    """Return the schema that `described` gave."""
    return pl.Schema({name: _dtype(type_name) for name, type_name in description})


def column_type(type_name: str) -> LiteralString:
    """Return the SQL type that keeps values of this type."""
    if type_name.startswith("Decimal"):
        return "numeric"
    return cast("LiteralString", _SIMPLE[type_name][1])


def _type_name(name: str, dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Decimal):
        return f"Decimal({dtype.precision},{dtype.scale})"
    base = str(dtype.base_type())
    if base not in _SIMPLE:
        raise ValueError(f"{name} must be of a type that PostgreSQL keeps, was {dtype}")
    return base


def _dtype(type_name: str) -> pl.DataType:
    if type_name.startswith("Decimal"):
        precision, scale = type_name[8:-1].split(",")
        return pl.Decimal(int(precision), int(scale))
    return _SIMPLE[type_name][0]


def copy_in(
    connection: psycopg.Connection[object],
    relation: sql.Composable,
    rows: pl.DataFrame,
    columns: Sequence[str],
) -> None:
    """Append the rows' columns (without ids that the table sets itself) inside the transaction."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN {}").format(relation, names, _COPY_OPTIONS)
    buffer = io.BytesIO()
    rows.select(_sent(name, rows.schema[name]) for name in columns).write_csv(
        buffer,
        include_header=False,
        quote_style="necessary",
        datetime_format="%Y-%m-%d %H:%M:%S%.6f+00",
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        view = memoryview(buffer.getvalue())
        for start in range(0, len(view), 1 << 20):
            copy.write(view[start : start + (1 << 20)])


def _sent(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype == pl.Binary:
        return pl.concat_str(pl.lit("\\x"), column.bin.encode("hex")).alias(name)
    if dtype == pl.Null:
        return column.cast(pl.String)
    if isinstance(dtype, pl.Datetime):
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return column


def copy_out(
    connection: psycopg.Connection[object], query: sql.Composable, schema: pl.Schema
) -> pl.DataFrame:
    """Return the answer of a query whose columns are those of the schema, in its order."""
    if not schema:
        return pl.DataFrame()
    statement = sql.SQL("COPY ({}) TO STDOUT {}").format(query, _COPY_OPTIONS)
    buffer = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for block in copy:
            buffer.write(block)
    if not buffer.tell():
        return pl.DataFrame(schema=schema)
    buffer.seek(0)
    wire = {name: _wire(dtype) for name, dtype in schema.items()}
    read = arrow_csv.read_csv(
        buffer,
        read_options=arrow_csv.ReadOptions(column_names=list(wire), block_size=8 << 20),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=arrow_csv.ConvertOptions(
            column_types=wire,
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    frame = pl.DataFrame(read)
    return frame.select(_received(name, dtype) for name, dtype in schema.items())


def _wire(dtype: pl.DataType) -> pa.DataType:
    if isinstance(dtype, pl.Datetime):
        return pa.timestamp("us", "UTC")
    if dtype.is_decimal() or dtype in (pl.Binary, pl.Null):
        return pa.string()
    return pl.Series(dtype=dtype).to_arrow().type


def _received(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype == pl.Binary:
        return column.str.strip_prefix("\\x").str.decode("hex")
    if isinstance(dtype, pl.Decimal):
        return column.str.to_decimal(scale=dtype.scale).cast(dtype)
    return column.cast(dtype)
