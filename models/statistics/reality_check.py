"""Whether the best of many strategies beats a benchmark once the search is paid for."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.statistics.bootstrap import block_length, stationary_indices
from models.statistics.series import Floats


@dataclass(frozen=True, slots=True)
class RealityCheck:
    """p-values of "no strategy beats the benchmark".

    `white`: White (2000), unstudentised. `spa_lower`, `spa`, `spa_upper`: Hansen (2005); the
    middle one is consistent, the others bound it.
    """

    best: int
    white: float
    spa_lower: float
    spa: float
    spa_upper: float


def reality_check(
    excess: npt.ArrayLike,
    *,
    mean_block_length: float | None = None,
    replications: int = 1_000,
    seed: int = 0,
) -> RealityCheck:
    """Test the returns of strategies in excess of a benchmark, [periods, strategies], finite.

    The block length defaults to the median of the strategies' automatic ones: the longest of many
    is the longest by chance, and deviations over such blocks are so unsure that the best of a
    thousand without skill would be called better. Raises ValueError on fewer than ten periods.
    """
    d = np.asarray(excess, dtype=np.float64)
    if d.ndim != 2 or d.shape[0] < 10 or d.shape[1] < 1 or not np.isfinite(d).all():
        raise ValueError(f"excess must be finite [periods >= 10, strategies >= 1], was {d.shape}")
    n = d.shape[0]
    if mean_block_length is None:
        mean_block_length = float(np.median([block_length(column) for column in d.T]))
    means = d.mean(axis=0)
    omega = _long_run_deviation(d, mean_block_length)
    drawn = _resampled_means(d, stationary_indices(n, mean_block_length, replications, seed))
    root = np.sqrt(n)
    white = root * (drawn - means).max(axis=1)
    studentised = max(float((root * means / omega).max()), 0.0)
    threshold = -np.sqrt(2.0 * np.log(np.log(n)))
    centres = {
        "lower": np.maximum(means, 0.0),
        "consistent": np.where(root * means / omega >= threshold, means, 0.0),
        "upper": means,
    }
    p = {
        kind: float(
            (np.maximum((root * (drawn - g) / omega).max(axis=1), 0.0) >= studentised).mean()
        )
        for kind, g in centres.items()
    }
    return RealityCheck(
        best=int((means / omega).argmax()),
        white=float((white >= root * means.max()).mean()),
        spa_lower=p["lower"],
        spa=p["consistent"],
        spa_upper=p["upper"],
    )


def _resampled_means(d: Floats, indices: npt.NDArray[np.int64]) -> Floats:
    """Return [replications, strategies] means: counts of each period times the returns."""
    n = d.shape[0]
    flat = (indices + n * np.arange(len(indices))[:, None]).ravel()
    counts = np.bincount(flat, minlength=n * len(indices)).reshape(len(indices), n)
    return counts.astype(np.float64) @ d / n


def _long_run_deviation(d: Floats, mean_block_length: float) -> Floats:
    """Return each strategy's deviation under the stationary bootstrap (Hansen 2005, eq. 9)."""
    n = d.shape[0]
    centred = d - d.mean(axis=0)
    p = 1.0 / mean_block_length
    variance = (centred**2).mean(axis=0)
    # Beyond this lag the kernel (1 - p)^lag is below 1e-8 and adds nothing that is measured.
    last = n - 1 if p < 1e-3 else min(n - 1, int(np.ceil(-18.5 / np.log1p(-min(p, 0.999)))))
    for lag in range(1, last + 1):
        kernel = (n - lag) / n * (1.0 - p) ** lag + lag / n * (1.0 - p) ** (n - lag)
        variance = variance + 2.0 * kernel * (centred[lag:] * centred[:-lag]).sum(axis=0) / n
    floor = 1e-12 * np.maximum((centred**2).mean(axis=0), 1e-300)
    return np.sqrt(np.maximum(variance, floor))
