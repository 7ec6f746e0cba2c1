"""The compiled rolling statistics as polars expressions over a panel with a `segment` column."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.kernels import rolling

Moment = Literal["mean", "std", "skew", "downside"]
Extreme = Literal["max", "min"]
Regression = Literal["beta", "residual_std", "t_statistic"]

SEGMENT = "segment"  # a code that changes where the next instrument begins
MOMENT = "moment"  # a code of the event_time, the same for the instruments that closed together

# A window may miss one value in ten: a single bad print must not silence a year.
_KNOWN_SHARE_MIN = 0.9

_MOMENTS = {
    "mean": rolling.MEAN,
    "std": rolling.STD,
    "skew": rolling.SKEW,
    "downside": rolling.DOWNSIDE,
}
_EXTREMES = {"max": rolling.MAX, "min": rolling.MIN}
_REGRESSIONS = {
    "beta": rolling.BETA,
    "residual_std": rolling.RESIDUAL_STD,
    "t_statistic": rolling.T_STATISTIC,
}
_Kernel = Callable[[NDArray[np.int64], list[NDArray[np.float64]]], NDArray[np.float64]]


def samples_min(window: int) -> int:
    """Return how many known values a window must hold to speak."""
    return max(2, math.ceil(_KNOWN_SHARE_MIN * window))


def segment_starts(codes: pl.Series) -> NDArray[np.int64]:
    """Return the first row of each run of equal codes and, last, the number of rows."""
    values = codes.to_numpy()
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    first = np.zeros(1 if len(values) else 0, dtype=np.int64)
    return np.concatenate([first, changes, [len(values)]]).astype(np.int64)


def _doubles(column: pl.Series) -> NDArray[np.float64]:
    """Return the column as one read-only array, nulls as NaN.

    Read-only always: the compiler makes another version for writable arrays, whose sums may
    differ in the last bit, and whether polars must copy depends on how the rows were read.
    """
    values = np.ascontiguousarray(column.cast(pl.Float64).to_numpy()).view()
    values.setflags(write=False)
    return values


def _expression(kernel: _Kernel, *columns: pl.Expr) -> pl.Expr:
    def call(series: Sequence[pl.Series]) -> pl.Series:
        arrays = [_doubles(s) for s in series[1:]]
        values = kernel(segment_starts(series[0]), arrays)
        return pl.Series(series[1].name, values, dtype=pl.Float64, nan_to_null=True)

    inputs = [pl.col(SEGMENT), *columns]
    return pl.map_batches(inputs, call, return_dtype=pl.Float64, returns_scalar=False)


def _check_window(window: int) -> None:
    if window < 2:
        raise ValueError(f"window must be at least 2 rows, was {window}")


def moment(column: pl.Expr, kind: Moment, window: int, min_samples: int | None = None) -> pl.Expr:
    """Return the rolling mean, std (n - 1), skew or downside deviation of the column."""
    _check_window(window)
    least = samples_min(window) if min_samples is None else min_samples
    return _expression(
        lambda starts, a: rolling.rolling_moment(starts, a[0], window, least, _MOMENTS[kind]),
        column,
    )


def extreme(column: pl.Expr, kind: Extreme, window: int, min_samples: int | None = None) -> pl.Expr:
    """Return the rolling maximum or minimum of the column."""
    _check_window(window)
    least = samples_min(window) if min_samples is None else min_samples
    return _expression(
        lambda starts, a: rolling.rolling_extreme(starts, a[0], window, least, _EXTREMES[kind]),
        column,
    )


def exponential(column: pl.Expr, decay: float, window: int) -> pl.Expr:
    """Return the exponentially weighted mean over a finite window: weights decay**age, sum 1.

    The window is finite so that a value never depends on how much history was read.
    """
    _check_window(window)
    if not 0.0 < decay < 1.0:
        raise ValueError(f"decay must lie strictly between 0 and 1, was {decay}")
    weights = decay ** np.arange(window - 1, -1, -1, dtype=np.float64)
    least = samples_min(window)
    return _expression(
        lambda starts, a: rolling.rolling_weighted(starts, a[0], weights, least), column
    )


def regression(y: pl.Expr, x: pl.Expr, kind: Regression, window: int) -> pl.Expr:
    """Return the rolling least-squares slope of y on x, its residual std or its t-statistic."""
    _check_window(window)
    least = samples_min(window)
    return _expression(
        lambda starts, a: rolling.rolling_regression(
            starts, a[0], a[1], window, least, _REGRESSIONS[kind]
        ),
        y,
        x,
    )


def trend_t_statistic(column: pl.Expr, window: int) -> pl.Expr:
    """Return the t-statistic of the column's slope on time, counted in rows of the window."""
    _check_window(window)
    least = samples_min(window)
    return _expression(
        lambda starts, a: rolling.rolling_trend(starts, a[0], window, least, rolling.T_STATISTIC),
        column,
    )


def mean_of_moment(column: pl.Expr) -> pl.Expr:
    """Return the mean of the column over the rows of one moment, null where none is known.

    Added up in the order of the rows, so that the same rows always give the same bits.
    """

    def call(series: Sequence[pl.Series]) -> pl.Series:
        code, values = series[0].to_numpy(), series[1].to_numpy()
        known = np.isfinite(values)
        total = np.bincount(code, np.where(known, values, 0.0))
        count = np.bincount(code, known)
        mean = total / np.where(count > 0.0, count, np.nan)
        return pl.Series(series[1].name, mean[code], nan_to_null=True)

    inputs = [pl.col(MOMENT), column]
    return pl.map_batches(inputs, call, return_dtype=pl.Float64, returns_scalar=False)
