"""Fourteen features of Qlib's Alpha158 (Yang et al., 2020) in one compiled pass over the bars."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from features.kernels import fused_clean as clean
from features.kernels import fused_direct as direct
from features.kernels.expressions import segment_starts

FUSED_NAMES = (
    "ROC", "MA", "STD", "BETA", "RSQR", "RESI", "MAX",
    "MIN", "QTLU", "RSV", "CORR", "CNTP", "VSTD", "MACD",
)  # fmt: skip
_COLUMNS = ("close", "high", "low", "volume")


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedSettings:
    """The window of the rolling features in rows, QTLU's quantile, and MACD's two spans."""

    window: int = 20
    quantile: float = 0.8
    fast: int = 12
    slow: int = 26

    def __post_init__(self) -> None:
        if not 3 <= self.window <= 10_000:
            raise ValueError(f"window must lie in [3, 10000] rows, was {self.window}")
        if not 0.0 <= self.quantile <= 1.0:
            raise ValueError(f"quantile must lie in [0, 1], was {self.quantile}")
        if not 1 <= self.fast < self.slow:
            raise ValueError(f"spans must be 1 <= fast < slow, were {self.fast} and {self.slow}")


@njit(cache=True, nogil=True, error_model="numpy")
def _clean_segment(
    close: NDArray[np.float32], high: NDArray[np.float32], low: NDArray[np.float32],
    volume: NDArray[np.float32], window: int, quantile: float, fast: int, slow: int,
    scratch: NDArray[np.float64], out: NDArray[np.float32],
) -> None:  # fmt: skip
    n = close.size
    c, h, lo, v, g = scratch[0, :n], scratch[1, :n], scratch[2, :n], scratch[3, :n], scratch[4, :n]
    for i in range(n):
        c[i], h[i], lo[i], v[i] = close[i], high[i], low[i], volume[i]
    clean.log_volume(v, scratch[5, :n], g)
    clean.macd_feature(c, fast, slow, out)
    if n < window:
        return
    sums = np.empty((8, clean.BLOCK))
    pair = np.empty((2, window + 2))
    clean.plain_features(c, window, out)
    clean.sum_features(c, g, v, window, sums, out)
    clean.extreme_features(c, h, lo, window, scratch[5:8], out)
    clean.quantile_feature(c, window, quantile, pair, out)


@njit(cache=True, nogil=True, error_model="numpy")
def fused_clean(
    starts: NDArray[np.int64], gaps: NDArray[np.bool_],
    close: NDArray[np.float32], high: NDArray[np.float32], low: NDArray[np.float32],
    volume: NDArray[np.float32], window: int, quantile: float, fast: int, slow: int,
    out: NDArray[np.float32],
) -> None:  # fmt: skip
    """Write the features of every instrument without gaps into out[14, rows]."""
    longest = 0
    for s in range(starts.size - 1):
        longest = max(longest, starts[s + 1] - starts[s])
    scratch = np.empty((8, longest))
    for s in range(starts.size - 1):
        if not gaps[s]:
            a, b = starts[s], starts[s + 1]
            _clean_segment(
                close[a:b], high[a:b], low[a:b], volume[a:b], window, quantile, fast, slow,
                scratch, out[:, a:b],
            )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def fused_direct(
    starts: NDArray[np.int64], gaps: NDArray[np.bool_], prices: NDArray[np.float64],
    nulls: NDArray[np.bool_], window: int, quantile: float, fast: int, slow: int,
    out: NDArray[np.float32], known: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Write the features of every instrument with gaps, and where they are known."""
    for s in range(starts.size - 1):
        if gaps[s]:
            a, b = starts[s], starts[s + 1]
            known[:, a:b] = False
            direct.window_features(
                prices[:, a:b], nulls[:, a:b], window, quantile, out[:, a:b], known[:, a:b]
            )
            direct.macd_with_nulls(
                prices[0, a:b], nulls[0, a:b], fast, slow, out[:, a:b], known[:, a:b]
            )


def _first_known(name: str, settings: FusedSettings) -> int:
    """Return the row of an instrument from which the feature is known where nothing is missing."""
    if name == "MACD":
        return 0
    return settings.window if name in ("ROC", "CNTP") else settings.window - 1


def _known_after(starts: NDArray[np.int64], rows: int) -> NDArray[np.bool_]:
    known = np.ones(starts[-1], dtype=np.bool_)
    for k in range(rows):
        at = starts[:-1] + k
        known[at[at < starts[1:]]] = False
    return known


def _gaps(columns: Sequence[pl.Series], starts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which instruments have a null or a number that is not finite in some column."""
    missing: NDArray[np.bool_] | None = None
    for s in columns:
        if s.null_count() or not math.isfinite(float(s.sum())):
            bad = (s.is_null() | ~s.is_finite().fill_null(value=False)).to_numpy()
            missing = bad if missing is None else missing | bad
    if missing is None:
        return np.zeros(len(starts) - 1, dtype=np.bool_)
    return np.add.reduceat(missing, starts[:-1]) > 0


def _read_only(column: pl.Series) -> NDArray[np.float32]:
    """Return the column as one read-only array: the pass is compiled for no other kind."""
    values = np.ascontiguousarray(column.to_numpy()).view()
    values.setflags(write=False)
    return values


def _run_clean(
    starts: NDArray[np.int64], gaps: NDArray[np.bool_], columns: Sequence[pl.Series],
    settings: FusedSettings, out: NDArray[np.float32], threads: int,
) -> None:  # fmt: skip
    close, high, low, volume = (_read_only(s) for s in columns)
    s = settings

    def work(piece: NDArray[np.int64]) -> None:
        fused_clean(
            starts[piece[0] : piece[-1] + 2], gaps[piece], close, high, low, volume,
            s.window, s.quantile, s.fast, s.slow, out,
        )  # fmt: skip

    pieces = [p for p in np.array_split(np.arange(len(gaps)), max(threads, 1)) if len(p)]
    if len(pieces) <= 1:
        for piece in pieces:
            work(piece)
        return
    with ThreadPoolExecutor(len(pieces)) as pool:
        list(pool.map(work, pieces))


def _without_infinity(column: pl.Series) -> pl.Series:
    """Return the column in doubles, infinity as NaN: neither is a number to compute with."""
    return column.cast(pl.Float64).replace([math.inf, -math.inf], [math.nan, math.nan])


def _run_direct(
    starts: NDArray[np.int64], gaps: NDArray[np.bool_], columns: Sequence[pl.Series],
    settings: FusedSettings, out: NDArray[np.float32],
) -> NDArray[np.bool_]:  # fmt: skip
    masks = {r: _known_after(starts, r) for r in {_first_known(n, settings) for n in FUSED_NAMES}}
    known = np.stack([masks[_first_known(n, settings)] for n in FUSED_NAMES])
    doubles = [_without_infinity(s) for s in columns]
    prices = np.empty((5, starts[-1]))
    prices[:4] = [s.to_numpy() for s in doubles]
    clean.log_volume(prices[3], np.empty(starts[-1]), prices[4])
    nulls = np.stack([s.is_null().to_numpy() for s in [*doubles, doubles[3]]])
    s = settings
    fused_direct(starts, gaps, prices, nulls, s.window, s.quantile, s.fast, s.slow, out, known)
    return known


def _series(name: str, values: NDArray[np.float32], bits: pa.Buffer, nulls: int) -> pl.Series:
    """Return the values as a column without copying them; `bits` marks the known ones."""
    array = pa.Array.from_buffers(
        pa.float32(), len(values), [bits, pa.py_buffer(values)], null_count=nulls
    )
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)
    return series.alias(name)


def _bits(known: NDArray[np.bool_]) -> tuple[pa.Buffer, int]:
    packed = np.packbits(known, bitorder="little")
    return pa.py_buffer(packed), len(known) - int(np.count_nonzero(known))


def _columns(
    names: Sequence[str], out: NDArray[np.float32], settings: FusedSettings,
    starts: NDArray[np.int64], known: NDArray[np.bool_] | None,
) -> list[pl.Series]:  # fmt: skip
    shared = {
        row: _bits(_known_after(starts, row))
        for row in {_first_known(n, settings) for n in names}
        if known is None
    }
    series: list[pl.Series] = []
    for name in names:
        f = FUSED_NAMES.index(name)
        bits = shared[_first_known(name, settings)] if known is None else _bits(known[f])
        series.append(_series(name, out[f], *bits))
    return series


def panel(
    bars: pl.DataFrame,
    names: Sequence[str] = FUSED_NAMES,
    *,
    by: str = "instrument_id",
    settings: FusedSettings | None = None,
    threads: int = 1,
) -> pl.DataFrame:
    """Return the bars' columns of `names` as Float32, row by row, computed per instrument.

    `bars` has `by`, close, high, low and volume; the rows of an instrument stand together and in
    order of time. Values agree with the same polars expressions to 1e-6; a window with a null is
    null, one with NaN and no null is NaN. Raises ValueError where an instrument's rows are
    scattered or a name is unknown.
    """
    unknown = [n for n in names if n not in FUSED_NAMES]
    if unknown:
        raise ValueError(f"names must be of {FUSED_NAMES}, were {unknown}")
    chosen = settings or FusedSettings()
    if bars.is_empty():
        return pl.DataFrame(schema=dict.fromkeys(names, pl.Float32()))
    starts = segment_starts(bars[by].rle_id())
    if len(starts) - 1 != bars[by].n_unique():
        raise ValueError(f"the rows of each {by} must stand together, were scattered")
    # One type for all four: the compiled pass exists once for each type it meets.
    single = all(bars.schema[c] == pl.Float32() for c in _COLUMNS)
    columns = [bars[c].cast(pl.Float32() if single else pl.Float64()) for c in _COLUMNS]
    out = np.empty((len(FUSED_NAMES), bars.height), dtype=np.float32)
    gaps = _gaps(columns, starts)
    _run_clean(starts, gaps, columns, chosen, out, threads)
    known = _run_direct(starts, gaps, columns, chosen, out) if gaps.any() else None
    return pl.DataFrame(_columns(names, out, chosen, starts, known))
