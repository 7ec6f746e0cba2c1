"""The hash of a frame's content: the same rows give the same hash on every machine."""

import hashlib
from collections.abc import Sequence

import numpy as np
import polars as pl

_FORMAT = b"frame/1"  # a change of the layout below must change this name

# Rows are told apart by these first; the other columns only break ties.
IDENTITY_COLUMNS = (
    "event_time",
    "session",
    "instrument_id",
    "series_id",
    "knowledge_time",
    "decision_id",
    "order_id",
)


def canonical_order(rows: pl.DataFrame, key: Sequence[str] = ()) -> pl.DataFrame:
    """Return the rows sorted by the key, then by time and identity, then by every other column.

    Equal sets of rows come back in the same order, however they were ordered before.
    """
    first = [*key, *(c for c in IDENTITY_COLUMNS if c in rows.columns and c not in key)]
    rest = [c for c in rows.columns if c not in first]
    if not rows.width or rows.height < 2:
        return rows
    if not first:
        return rows.sort(rest, nulls_last=True)
    ordered = rows.sort(first, nulls_last=True)
    # Sorting on every column costs twice as much, and is needed only where the identity repeats.
    same = pl.all_horizontal(pl.col(c).eq_missing(pl.col(c).shift(1)) for c in first)
    if not rest or not ordered.select(same.slice(1).any()).item():
        return ordered
    return rows.sort([*first, *rest], nulls_last=True)


def content_hash(rows: pl.DataFrame) -> str:
    """Return the sha256 (hex) of the rows in the order given, whatever the order of the columns.

    Hashed are, for each column by name: name, kind, validity (one byte a row), then the values as
    little-endian fixed-width numbers, or the lengths and the UTF-8 bytes of text. Nothing depends
    on the memory layout or the version of polars. Nulls hash as zero under their validity byte,
    every NaN alike, and -0.0 as 0.0: values that compare equal hash equal. Widths of numbers do
    not count (Int32 1 is Int64 1), kinds do (1 is not 1.0). Raises TypeError on nested columns.
    """
    digest = hashlib.sha256(_FORMAT)
    digest.update(f"|{rows.height}".encode())
    for name in sorted(rows.columns):
        column = rows.get_column(name)
        kind, parts = _canonical_parts(column)
        digest.update(f"|{name}|{kind}|".encode())
        digest.update(np.ascontiguousarray(column.is_null().to_numpy()).view(np.uint8).data)
        for part in parts:
            digest.update(part if isinstance(part, bytes) else part.data)
    return digest.hexdigest()


def _canonical_parts(column: pl.Series) -> tuple[str, Sequence[np.ndarray | bytes]]:
    dtype = column.dtype
    if dtype.is_float():
        values = column.cast(pl.Float64).fill_null(0.0).to_numpy() + 0.0  # -0.0 + 0.0 is 0.0
        values[np.isnan(values)] = np.nan
        return "float", [values.astype("<f8", copy=False)]
    if dtype.is_integer() or dtype == pl.Boolean:
        return ("bool" if dtype == pl.Boolean else "int"), [_integers(column)]
    if dtype.is_temporal():
        return _temporal_kind(dtype), [_integers(column.to_physical())]
    if dtype == pl.Null:
        return "null", []
    if dtype == pl.Binary:
        return _blob("binary", column.fill_null(b""))
    if dtype == pl.String or dtype in (pl.Categorical, pl.Enum) or dtype.is_decimal():
        return _text("decimal" if dtype.is_decimal() else "text", column.cast(pl.String))
    raise TypeError(f"column {column.name} must be of a flat type to be hashed, was {dtype}")


def _temporal_kind(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Datetime):
        return f"datetime[{dtype.time_unit},{dtype.time_zone}]"
    return str(dtype).lower()


def _integers(column: pl.Series) -> np.ndarray:
    kind = pl.UInt64 if column.dtype == pl.UInt64 else pl.Int64
    return np.ascontiguousarray(column.cast(kind).fill_null(0).to_numpy()).astype("<i8", copy=False)


def _text(kind: str, column: pl.Series) -> tuple[str, Sequence[np.ndarray | bytes]]:
    filled = column.fill_null("")
    lengths = filled.str.len_bytes().cast(pl.Int64).to_numpy().astype("<i8", copy=False)
    joined: str | None = filled.str.join("").item() if len(filled) else ""
    return kind, [np.ascontiguousarray(lengths), (joined or "").encode()]


def _blob(kind: str, column: pl.Series) -> tuple[str, Sequence[np.ndarray | bytes]]:
    values: list[bytes] = column.to_list()
    lengths = np.array([len(v) for v in values], dtype="<i8")
    return kind, [lengths, b"".join(values)]
