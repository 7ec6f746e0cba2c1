"""The bitemporal as-of join: for each request, the row that was newest among those then known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

_NO_ROW = -1
_FOREVER_US = np.iinfo(np.int64).max
_UTC_US = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class AsOf:
    """What a row must satisfy: its keys, its times, and how old it may be.

    `left_keys` are the request's columns that must equal the `right_keys` of the row. A row
    counts when event <= request <= event + max_age and, if `known_only`, known <= request.
    Without `known_only` the `known` column only tells versions of one event apart.
    """

    left_keys: tuple[str, ...]
    right_keys: tuple[str, ...]
    left_time: str
    event: str
    known: str | None
    max_age: timedelta | None
    known_only: bool = True

    def __post_init__(self) -> None:
        if len(self.left_keys) != len(self.right_keys):
            raise ValueError(
                f"both sides must have as many keys, were {self.left_keys} and {self.right_keys}"
            )


def matching_rows(requests: pl.DataFrame, rows: pl.DataFrame, rule: AsOf) -> NDArray[np.int64]:
    """Return for each request the number of the row that answers it, -1 where none does.

    Newest event first, then newest knowledge, then the row that stands last. Null keys and null
    times match nothing. O(requests log rows + rows) where each key's rows stand in order of time,
    else one sort more.
    """
    if requests.is_empty() or rows.is_empty():
        return np.full(requests.height, _NO_ROW, dtype=np.int64)
    left, right, key_count = _codes(requests, rows, rule)
    event = _microseconds(rows, rule.event)
    known = event if rule.known is None else _microseconds(rows, rule.known)
    # A row without a time can never be shown to have been known: it leaves every key.
    right = np.where(_null(rows, rule.event) | _null(rows, rule.known), _NO_ROW, right)
    left = np.where(_null(requests, rule.left_time), _NO_ROW, left)
    order, starts = _grouped(right, key_count)
    if not _ordered(order, starts, event, known):
        order = np.lexsort((known, event, right))[np.sum(right < 0) :]
    wanted = _microseconds(requests, rule.left_time)
    age = _FOREVER_US if rule.max_age is None else rule.max_age // timedelta(microseconds=1)
    bound = known[order] if rule.known_only else event[order]
    return _search(left, wanted, order, starts, event[order], bound, age)


def _codes(
    requests: pl.DataFrame, rows: pl.DataFrame, rule: AsOf
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Number the distinct keys of the rows and return both sides by those numbers (-1: none)."""
    names = [f"key_{i}" for i in range(len(rule.right_keys))]
    if not names:
        zeros = np.zeros(requests.height, np.int64), np.zeros(rows.height, np.int64)
        return (*zeros, 1)
    right = rows.select(pl.col(k).alias(n) for k, n in zip(rule.right_keys, names, strict=True))
    left = requests.select(
        pl.col(k).cast(right.schema[n]).alias(n) for k, n in zip(rule.left_keys, names, strict=True)
    )
    keys = right.unique().drop_nulls().with_row_index("code")
    return _numbered(left, keys, names), _numbered(right, keys, names), max(keys.height, 1)


def _numbered(frame: pl.DataFrame, keys: pl.DataFrame, names: Sequence[str]) -> NDArray[np.int64]:
    joined = frame.join(keys, on=list(names), how="left", maintain_order="left")
    return joined["code"].cast(pl.Int64).fill_null(_NO_ROW).to_numpy()


def _microseconds(frame: pl.DataFrame, column: str) -> NDArray[np.int64]:
    """Return the column's instants as microseconds since 1970; a naive time is taken as UTC."""
    series, kind = frame[column], frame.schema[column]
    if not isinstance(kind, pl.Datetime):
        raise TypeError(f"{column} must be a column of instants, was {kind}")
    zoned = series if kind.time_zone else series.dt.replace_time_zone("UTC")
    return zoned.cast(_UTC_US).to_physical().fill_null(0).to_numpy()


def _null(frame: pl.DataFrame, column: str | None) -> NDArray[np.bool_]:
    if column is None or not frame[column].null_count():
        return np.zeros(1, dtype=np.bool_)
    return frame[column].is_null().to_numpy()


@njit(cache=True)
def _grouped(
    codes: NDArray[np.int64], key_count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counting sort: the rows of each key together, in the order they stand; -1 is left out."""
    starts = np.zeros(key_count + 1, dtype=np.int64)
    for code in codes:
        if code >= 0:
            starts[code + 1] += 1
    starts = np.cumsum(starts)
    order = np.empty(starts[-1], dtype=np.int64)
    cursor = starts[:-1].copy()
    for row in range(len(codes)):
        code = codes[row]
        if code >= 0:
            order[cursor[code]] = row
            cursor[code] += 1
    return order, starts


@njit(cache=True)
def _ordered(
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    event: NDArray[np.int64],
    known: NDArray[np.int64],
) -> bool:
    """Return whether each key's rows already stand by event, then by knowledge."""
    for key in range(len(starts) - 1):
        for i in range(starts[key] + 1, starts[key + 1]):
            before, after = order[i - 1], order[i]
            if event[before] > event[after]:
                return False
            if event[before] == event[after] and known[before] > known[after]:
                return False
    return True


@njit(cache=True)
def _search(
    left: NDArray[np.int64],
    wanted: NDArray[np.int64],
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    event: NDArray[np.int64],
    known: NDArray[np.int64],
    age: int,
) -> NDArray[np.int64]:
    """For each request, step back from its last event to the first row that was known by then."""
    found = np.full(len(left), _NO_ROW, dtype=np.int64)
    for i in range(len(left)):
        key = left[i]
        if key < 0:
            continue
        first, stop, at = starts[key], starts[key + 1], wanted[i]
        while first < stop:
            middle = (first + stop) // 2
            if event[middle] <= at:
                first = middle + 1
            else:
                stop = middle
        row = first - 1
        while row >= starts[key] and at - event[row] <= age:
            if known[row] <= at:
                found[i] = order[row]
                break
            row -= 1
    return found
