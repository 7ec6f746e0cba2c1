"""Resampling that keeps the dependence of a series: circular and stationary block bootstrap."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from models.statistics.series import Floats, Series, finite
from swarm_core.colony.compiled import kernel

_KEPT_MAX = 4_000_000  # draws that are kept for the next series of the same length: 64 MB
Ints = npt.NDArray[np.int64]
Statistic = Callable[[Floats], Floats]  # [replications, n] -> [replications]


@dataclass(frozen=True, slots=True)
class Interval:
    """A statistic with its bootstrap error and percentile interval."""

    value: float
    low: float
    high: float
    standard_error: float


def stationary_indices(
    count: int, block_length: float, replications: int, seed: int
) -> npt.NDArray[np.int64]:
    """Return [replications, count] indices in blocks of geometric length (Politis & Romano 1994).

    `block_length` is the mean length; the series is taken as a circle.
    """
    _check(count, block_length, replications)
    return blocks_of(*_draws(count, replications, seed), 1.0 / block_length)


def _draws(count: int, replications: int, seed: int) -> tuple[Floats, Ints]:
    draw = _kept if count * replications <= _KEPT_MAX else _drawn
    return draw(count, replications, seed)


def _drawn(count: int, replications: int, seed: int) -> tuple[Floats, Ints]:
    """Return the chance that a block ends at each place, and where the next would begin."""
    rng = np.random.default_rng(seed)
    chances, starts = (
        rng.random((replications, count)),
        rng.integers(0, count, (replications, count)),
    )
    chances.flags.writeable = starts.flags.writeable = False
    return chances, starts


# The points of a sweep have as many sessions each, and differ in the length of their blocks alone.
_kept = lru_cache(maxsize=1)(_drawn)


@kernel
def blocks_of(chances: Floats, starts: Ints, end: float) -> Ints:
    """Return the indices of blocks that go on until a chance falls below `end`, in a circle."""
    replications, count = chances.shape
    out = np.empty((replications, count), np.int64)
    for row in range(replications):
        at = starts[row, 0]
        out[row, 0] = at
        for t in range(1, count):
            at = starts[row, t] if chances[row, t] < end else at + 1
            if at == count:
                at = 0
            out[row, t] = at
    return out


@kernel
def block_sums(values: Floats, chances: Floats, starts: Ints, end: float) -> Floats:
    """Return [replications, 2] sums and sums of squares of values [n] over the same blocks."""
    replications, count = chances.shape
    out = np.empty((replications, 2))
    for row in range(replications):
        at = starts[row, 0]
        total = values[at]
        squares = total * total
        for t in range(1, count):
            at = starts[row, t] if chances[row, t] < end else at + 1
            if at == count:
                at = 0
            value = values[at]
            total += value
            squares += value * value
        out[row, 0], out[row, 1] = total, squares
    return out


def circular_indices(
    count: int, block_length: int, replications: int, seed: int
) -> npt.NDArray[np.int64]:
    """Return [replications, count] indices in blocks of one length (Politis & Romano 1992)."""
    _check(count, block_length, replications)
    rng = np.random.default_rng(seed)
    blocks = -(-count // block_length)
    starts = rng.integers(0, count, (replications, blocks))
    indices = (starts[:, :, None] + np.arange(block_length)) % count
    return indices.reshape(replications, -1)[:, :count]


def block_length(values: Series) -> float:
    """Return a mean block length for the stationary bootstrap of the mean.

    The automatic choice of Politis & White (2004) with the correction of Patton et al. (2009):
    (2 G^2 / D)^(1/3) n^(1/3) from flat-top autocovariances, in [1, 3 sqrt(n)].
    """
    x = finite(values)
    n = x.size
    if n < 4 or np.ptp(x) == 0.0:
        return 1.0
    quiet = max(5, int(np.log10(n)))
    bound = int(min(np.ceil(np.sqrt(n)) + quiet, n - 1))
    covariance = _autocovariances(x, bound)
    limit = 2.0 * np.sqrt(np.log10(n) / n)
    small = np.abs(covariance[1:] / covariance[0]) < limit
    bandwidth = 2 * max(1, _first_quiet(small, quiet))
    lags = np.arange(1, min(bandwidth, bound) + 1)
    window = np.clip(2.0 * (1.0 - lags / bandwidth), 0.0, 1.0)
    weighted = window * covariance[lags]
    spectrum = float(covariance[0] + 2.0 * weighted.sum())
    slope = float(2.0 * (lags * weighted).sum())
    if spectrum <= 0.0:
        return 1.0
    best = (slope**2 / spectrum**2) ** (1.0 / 3.0) * n ** (1.0 / 3.0)
    return float(np.clip(best, 1.0, np.ceil(min(3.0 * np.sqrt(n), n / 3.0))))


def mean_of(samples: Floats) -> Floats:
    """The mean of each replication."""
    return samples.mean(axis=1)


def sharpe_of(samples: Floats) -> Floats:
    """The Sharpe ratio of one period of each replication; 0 where a replication is constant."""
    spread = samples.std(axis=1, ddof=1)
    return np.divide(samples.mean(axis=1), spread, out=np.zeros_like(spread), where=spread > 0)


def confidence_interval(
    values: Series,
    statistic: Statistic = mean_of,
    *,
    level: float = 0.95,
    mean_block_length: float | None = None,
    replications: int = 2_000,
    seed: int = 0,
) -> Interval:
    """Return the statistic with its stationary-bootstrap percentile interval.

    `values`: [n], non-finite ones left out; None for the block length takes `block_length`.
    Raises ValueError on fewer than two values or a level outside (0, 1).
    """
    x = _enough(values, level)
    length = block_length(x) if mean_block_length is None else mean_block_length
    drawn = statistic(x[stationary_indices(x.size, length, replications, seed)])
    return _interval_of(drawn, float(statistic(x[None, :])[0]), level)


def sharpe_interval(
    values: Series, *, level: float = 0.95, replications: int = 2_000, seed: int = 0
) -> Interval:
    """Return what confidence_interval gives for sharpe_of, without writing the samples down.

    A sweep asks for it once for each of its points. Raises as confidence_interval does.
    """
    x = _enough(values, level)
    length, n, mean = block_length(x), x.size, float(x.mean())
    _check(n, length, replications)
    # Squares of what is centred lose no digits.
    sums = block_sums(x - mean, *_draws(n, replications, seed), 1.0 / length)
    variance = np.maximum(sums[:, 1] - sums[:, 0] ** 2 / n, 0.0) / (n - 1)
    means, spread = sums[:, 0] / n + mean, np.sqrt(variance)
    drawn = np.divide(means, spread, out=np.zeros_like(spread), where=spread > 0)
    return _interval_of(drawn, float(sharpe_of(x[None, :])[0]), level)


def _enough(values: Series, level: float) -> Floats:
    x = finite(values)
    if x.size < 2:
        raise ValueError(f"an interval must have at least 2 values, had {x.size}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be in (0, 1), was {level}")
    return x


def _interval_of(drawn: Floats, value: float, level: float) -> Interval:
    low, high = np.quantile(drawn, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(value, float(low), float(high), float(drawn.std(ddof=1)))


def _autocovariances(x: Floats, lags: int) -> Floats:
    centred = x - x.mean()
    return np.array([centred[k:] @ centred[: x.size - k] / x.size for k in range(lags + 1)])


def _first_quiet(small: npt.NDArray[np.bool_], run: int) -> int:
    """Return the last lag before `run` small autocorrelations in a row; the last large one else."""
    for lag in range(small.size - run + 1):
        if small[lag : lag + run].all():
            return lag
    large = np.flatnonzero(~small)
    return int(large[-1]) + 1 if large.size else 1


def _check(count: int, block_length: float, replications: int) -> None:
    if count < 1:
        raise ValueError(f"a series to resample must not be empty, had {count} values")
    if not block_length >= 1.0:
        raise ValueError(f"block_length must be at least 1, was {block_length}")
    if not 1 <= replications <= 1_000_000:
        raise ValueError(f"replications must be in 1..1000000, were {replications}")
