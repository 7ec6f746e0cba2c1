"""One series under many names: equal values, or returns that are the same but for scale."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl

from features.validation.context import CheckContext
from features.validation.findings import make_hits
from features.validation.rule import TableRule
from features.validation.settings import ValidationSettings
from features.validation.view import Floats, Ints, SeriesArrays, TableView

# Odd constants spread the bits of times and values (Steele, Lea and Flood, 2014: splitmix).
_MIX_TIME = np.uint64(0x9E3779B97F4A7C15)
_MIX_VALUE = np.uint64(0xBF58476D1CE4E5B9)
_MIX_LAST = np.uint64(0x94D049BB133111EB)
_WINDOW_US = 91 * 86_400_000_000
_CORRELATED_BARS = 256
# A series that stands still more often than this shows nothing to compare.
_MOVING_SHARE_MIN = 0.5


def _find(view: TableView, context: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield the rows of series that are one series under several instruments."""
    arrays = view.series
    if arrays.names.height < 2:
        return
    identity = _identity(arrays)
    seen: set[tuple[int, int]] = set()
    for pair, rows in _equal_windows(arrays, identity, context.settings):
        seen.add(pair)
        yield _pair_hits(arrays, pair, rows, "equal values", 0.95)
    for pair, correlation, bars in _correlated(arrays, identity, context.settings):
        if pair not in seen:
            rows = _rows_of(arrays, pair)
            text = f"returns correlated by {correlation:.6f} over {bars} bars"
            yield _pair_hits(arrays, pair, rows, text, 0.8)


def _identity(arrays: SeriesArrays) -> npt.NDArray[np.object_]:
    return arrays.names.to_series(0).to_numpy()


def _moving(arrays: SeriesArrays) -> npt.NDArray[np.bool_]:
    """Return which series move often enough to be told apart (s)."""
    still = (arrays.log_return == 0) | ~np.isfinite(arrays.log_return)
    counts = np.bincount(arrays.series, minlength=arrays.names.height)
    share = np.bincount(arrays.series, weights=~still, minlength=counts.size) / np.maximum(
        counts, 1
    )
    return share > _MOVING_SHARE_MIN


def _equal_windows(
    arrays: SeriesArrays, identity: npt.NDArray[np.object_], settings: ValidationSettings
) -> Iterable[tuple[tuple[int, int], Ints]]:
    """Yield pairs of series with equal (time, value) over whole windows, and their rows.

    A window is a quarter of a series; its hash is the sum of the hashes of its records, so that
    windows meet in one grouping and no pair of series is compared value by value.
    """
    window = arrays.time // _WINDOW_US
    starts = np.flatnonzero(arrays.first | np.append(True, window[1:] != window[:-1]))
    with np.errstate(over="ignore"):
        mixed = (
            arrays.time.astype(np.uint64) * _MIX_TIME ^ arrays.close.view(np.uint64) * _MIX_VALUE
        )
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX_LAST
        hashes = np.add.reduceat(mixed ^ (mixed >> np.uint64(32)), starts)
    series = arrays.series[starts]
    frame = pl.DataFrame(
        {
            "hash": hashes,
            "series": series,
            "start": starts,
            "bars": np.diff(np.append(starts, arrays.row.size)),
            "moving": _moving(arrays)[series],
        }
    ).filter(pl.col("moving"), pl.col("bars") >= 5, pl.col("hash").is_duplicated())
    if frame.is_empty():
        return
    pairs = (
        frame.join(frame, on="hash", suffix="_b")
        .filter(pl.col("series") < pl.col("series_b"))
        .group_by("series", "series_b", maintain_order=True)
        .agg(pl.col("bars").sum(), "start", "start_b", pl.col("bars").alias("lengths"))
        .filter(pl.col("bars") >= settings.same_series_bars_min)
    )
    for a, b, _, start, start_b, lengths in pairs.iter_rows():
        if identity[a] != identity[b]:
            spans = [
                np.arange(s, s + n)
                for both in zip(start, start_b, lengths, strict=True)
                for s, n in ((both[0], both[2]), (both[1], both[2]))
            ]
            yield (a, b), arrays.row[np.concatenate(spans)]


def _correlated(
    arrays: SeriesArrays, identity: npt.NDArray[np.object_], settings: ValidationSettings
) -> Iterable[tuple[tuple[int, int], float, int]]:
    """Yield pairs whose newest returns correlate beyond what two securities can."""
    usable = np.flatnonzero(_moving(arrays))
    if not 2 <= usable.size <= settings.same_series_instruments_max:
        return
    matrix, present = _recent_returns(arrays, usable)
    counts = present.T @ present
    mean = np.where(present.sum(axis=0) > 0, matrix.sum(axis=0) / np.maximum(present.sum(0), 1), 0)
    centred = (matrix - mean) * present
    cross = centred.T @ centred
    square = (centred**2).T @ present  # each variance over the bars that both have
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = cross / np.sqrt(square * square.T)
    hot = (correlation > settings.same_series_correlation_min) & (
        counts >= settings.same_series_bars_min
    )
    for i, j in np.argwhere(np.triu(hot, 1)):
        a, b = int(usable[i]), int(usable[j])
        if identity[a] != identity[b]:
            yield (a, b), float(correlation[i, j]), int(counts[i, j])


def _recent_returns(arrays: SeriesArrays, usable: Ints) -> tuple[Floats, Floats]:
    """Return the newest returns (bars x series) with 0 where absent, and a mask of 0 and 1."""
    times = np.unique(arrays.time[np.isin(arrays.series, usable)])[-_CORRELATED_BARS:]
    column = np.full(arrays.names.height, -1)
    column[usable] = np.arange(usable.size)
    chosen = np.flatnonzero(
        (arrays.time >= times[0]) & (column[arrays.series] >= 0) & np.isfinite(arrays.log_return)
    )
    matrix = np.zeros((times.size, usable.size))
    present = np.zeros_like(matrix)
    at = np.searchsorted(times, arrays.time[chosen]), column[arrays.series[chosen]]
    matrix[at] = arrays.log_return[chosen]
    present[at] = 1.0
    return matrix, present


def _rows_of(arrays: SeriesArrays, pair: tuple[int, int]) -> Ints:
    spans = [np.arange(arrays.start[s], arrays.start[s + 1]) for s in pair]
    return arrays.row[np.concatenate(spans)]


def _pair_hits(
    arrays: SeriesArrays, pair: tuple[int, int], rows: Ints, text: str, confidence: float
) -> pl.DataFrame:
    """Two names in one source contradict each other; two sources may well carry one series."""
    first, second = (arrays.names.row(s, named=True) for s in pair)
    names = [arrays.label(s) for s in pair]
    same_source = first.get("source") == second.get("source")
    reason = f"{names[0]} and {names[1]} must be two series, had {text}"
    if not same_source:
        newest = arrays.row[[arrays.start[s + 1] - 1 for s in pair]]
        return make_hits("same_series", "same_series", "info", confidence, newest, reason)
    severity = "quarantine" if confidence > 0.9 else "warn"
    if severity == "warn":
        rows = arrays.row[[arrays.start[s + 1] - 1 for s in pair]]
    return make_hits("same_series", "same_series", severity, confidence, rows, reason)


IDENTITY_RULES = (
    TableRule(
        name="same_series",
        kinds=("same_series",),
        severity="quarantine",
        tables=("bars", "macro"),
        find=_find,
        text=(
            "two instruments of one source must not have one series of values; returns that are "
            "equal but for scale warn, and one series in two sources is only noted"
        ),
    ),
)
