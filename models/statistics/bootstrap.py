"""Resampling that keeps the dependence of a series: circular and stationary block bootstrap."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.statistics.series import Floats, Series, finite

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
    rng = np.random.default_rng(seed)
    fresh = rng.random((replications, count)) < 1.0 / block_length
    fresh[:, 0] = True
    starts = rng.integers(0, count, (replications, count))
    place = np.arange(count)
    begun = np.maximum.accumulate(np.where(fresh, place, 0), axis=1)
    first = np.take_along_axis(starts, begun, axis=1)
    return (first + place - begun) % count


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
    x = finite(values)
    if x.size < 2:
        raise ValueError(f"an interval must have at least 2 values, had {x.size}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be in (0, 1), was {level}")
    length = block_length(x) if mean_block_length is None else mean_block_length
    drawn = statistic(x[stationary_indices(x.size, length, replications, seed)])
    low, high = np.quantile(drawn, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    value = float(statistic(x[None, :])[0])
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
