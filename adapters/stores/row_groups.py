"""Which bytes of a Parquet file a question needs: its row groups ruled out by their statistics."""

import operator
from collections.abc import Callable, Sequence
from typing import BinaryIO, cast

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from adapters.stores.plan_parts import conjuncts

Spans = NDArray[np.int64]  # rows of (first byte, byte after the last)
Mask = NDArray[np.bool_]  # one of a row group

Compare = Callable[[pl.Expr, pl.Expr], pl.Expr]

# Each with what it is from the other side.
_COMPARISONS: dict[Compare, Compare] = {
    operator.eq: operator.eq,
    operator.lt: operator.gt,
    operator.le: operator.ge,
    operator.gt: operator.lt,
    operator.ge: operator.le,
}
_AMONG_MAX = 100  # values; more are in most row groups anyway


class RowGroups:
    """Where the columns of each row group of a file lie, and between which values."""

    def __init__(self, footer: pq.FileMetaData, size: int) -> None:
        self._footer = footer
        self._bounds: dict[str, pl.DataFrame] = {}
        spans: dict[str, list[tuple[int, int]]] = {}
        self._columns: dict[str, int] = {}  # where each stands in a row group
        end = 4  # behind the magic bytes
        for group in map(footer.row_group, range(footer.num_row_groups)):
            for number in range(group.num_columns):
                chunk = group.column(number)
                first = chunk.data_page_offset
                if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                    first = min(first, chunk.dictionary_page_offset)
                after = first + chunk.total_compressed_size
                spans.setdefault(chunk.path_in_schema, []).append((first, after))
                self._columns[chunk.path_in_schema] = number
                end = max(end, after)
        self.tail = end, size  # what is behind the columns: indices and the footer
        self._spans: dict[str, Spans] = {
            name: np.array(found, np.int64).reshape(-1, 2) for name, found in spans.items()
        }

    @classmethod
    def read(cls, file: BinaryIO, size: int) -> "RowGroups":
        """Read the footer of a file of `size` bytes; raises pyarrow's errors where it is none."""
        return cls(pq.read_metadata(file), size)

    def needed(self, columns: Sequence[str] | None, predicate: pl.Expr | None) -> Spans:
        """Return the spans that hold these columns of the row groups that a condition leaves.

        All columns for None. What cannot be ruled out is needed.
        """
        kept: Mask | None = None
        for part in conjuncts(predicate) if predicate is not None else ():
            mask = self._may_hold(part)
            if mask is not None:
                kept = mask if kept is None else kept & mask
        found = [
            spans if kept is None else spans[kept]
            for name, spans in self._spans.items()
            if columns is None or name.partition(".")[0] in columns
        ]
        return np.concatenate(found) if found else np.empty((0, 2), np.int64)

    def _may_hold(self, part: pl.Expr) -> Mask | None:
        """Return which row groups may hold rows of a condition; None where that is not known."""
        names = part.meta.root_names()
        if len(set(names)) != 1 or names[0] not in self._columns:
            return None
        bounds, column = self._bounds_of(names[0]), pl.col(names[0])
        pair = part.meta.pop()
        if len(pair) != 2 or bounds["low"].dtype.is_float():  # what is no number is in no bounds
            return None
        value = pair[0] if pair[1].meta.eq(column) else pair[1]
        if value.meta.root_names():
            return None
        for compare, mirrored in _COMPARISONS.items():
            if compare(column, value).meta.eq(part):
                return _tested(bounds, _comparison(compare, value))
            if compare(value, column).meta.eq(part):
                return _tested(bounds, _comparison(mirrored, value))
        if column.is_in(value).meta.eq(part):
            return _among(bounds, pl.select(value).to_series())
        return None

    def _bounds_of(self, column: str) -> pl.DataFrame:
        """Return (low, high) of each row group, null where the file does not say."""
        if column not in self._bounds:
            number = self._columns[column]
            told = [
                self._footer.row_group(n).column(number).statistics
                for n in range(self._footer.num_row_groups)
            ]
            pairs = [
                (s.min, s.max) if s is not None and s.has_min_max else (None, None) for s in told
            ]
            self._bounds[column] = pl.DataFrame(pairs, schema=["low", "high"], orient="row")
        return self._bounds[column]


def _comparison(compare: Compare, value: pl.Expr) -> pl.Expr:
    low, high = pl.col("low"), pl.col("high")
    if compare is operator.eq:
        return (low <= value) & (value <= high)
    return compare(low if compare in (operator.lt, operator.le) else high, value)


def _among(bounds: pl.DataFrame, values: pl.Series) -> Mask | None:
    given = (values.explode() if values.dtype == pl.List else values).drop_nulls().unique()
    if len(given) > _AMONG_MAX:
        return None
    tests = [_comparison(operator.eq, pl.lit(v, dtype=given.dtype)) for v in given]
    return _tested(bounds, pl.any_horizontal(tests) if tests else pl.lit(value=False))


def _tested(bounds: pl.DataFrame, test: pl.Expr) -> Mask | None:
    """Return which row groups pass; those without bounds do, and all do of another type."""
    try:
        found = bounds.select("low", may=test.fill_null(value=True))["may"]
    except pl.exceptions.PolarsError:
        return None
    return cast("Mask", found.to_numpy())
