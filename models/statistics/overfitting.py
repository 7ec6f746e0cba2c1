"""The probability of backtest overfitting by combinatorially symmetric cross-validation."""

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from models.statistics.series import Floats

_COMBINATIONS_PER_BATCH = 512  # bounds memory at a few MB for a thousand trials


@dataclass(frozen=True, slots=True)
class Overfitting:
    """What choosing the best in sample was worth out of sample (Bailey et al. 2017).

    `probability`: share of halvings in which the chosen trial ended in the lower half.
    `logits`: [combinations] ln(w / (1 - w)) of its relative rank w out of sample.
    `degradation`: slope of out-of-sample on in-sample ratios of the chosen.
    `loss_probability`: share of halvings in which the chosen lost money out of sample.
    """

    probability: float
    logits: Floats
    degradation: float
    loss_probability: float


def backtest_overfitting(returns: npt.ArrayLike, blocks: int = 16) -> Overfitting:
    """Split time into blocks, pick the best of one half, and look where it ranks in the other.

    `returns`: [periods, trials], the same periods for every trial, finite. All C(blocks,
    blocks / 2) halvings are tried (12,870 of 16). Periods beyond a multiple of `blocks` are left
    out at the start. Raises ValueError on fewer than 2 trials or 2 periods a block.
    """
    x = np.asarray(returns, dtype=np.float64)
    if blocks % 2 or not 4 <= blocks <= 20:
        raise ValueError(f"blocks must be even and in 4..20, was {blocks}")
    if x.ndim != 2 or x.shape[1] < 2 or x.shape[0] < 2 * blocks or not np.isfinite(x).all():
        raise ValueError(
            f"returns must be finite [periods >= {2 * blocks}, trials >= 2], were {x.shape}"
        )
    length = x.shape[0] // blocks
    cut = x[x.shape[0] - length * blocks :].reshape(blocks, length, x.shape[1])
    sums, squares = cut.sum(axis=1), (cut**2).sum(axis=1)
    masks = np.zeros((comb(blocks, blocks // 2), blocks))
    for row, chosen in enumerate(combinations(range(blocks), blocks // 2)):
        masks[row, list(chosen)] = 1.0
    size = length * blocks // 2
    parts = [
        _halves(masks[a : a + _COMBINATIONS_PER_BATCH], sums, squares, size)
        for a in range(0, len(masks), _COMBINATIONS_PER_BATCH)
    ]
    inside, outside, rank = (np.concatenate(column) for column in zip(*parts, strict=True))
    logits = np.log(rank / (1.0 - rank))
    slope = float(np.polyfit(inside, outside, 1)[0]) if np.ptp(inside) > 0 else float("nan")
    return Overfitting(
        probability=float((logits <= 0.0).mean()),
        logits=logits,
        degradation=slope,
        loss_probability=float((outside < 0.0).mean()),
    )


def _halves(
    masks: Floats, sums: Floats, squares: Floats, size: int
) -> tuple[Floats, Floats, Floats]:
    """Return the chosen trial's ratio in sample, out of sample, and its rank out of sample."""
    inside = _ratios(masks @ sums, masks @ squares, size)
    outside = _ratios((1.0 - masks) @ sums, (1.0 - masks) @ squares, size)
    best = inside.argmax(axis=1)
    rows = np.arange(len(masks))
    reached = outside[rows, best]
    # Ties count half, so that equal trials rank in the middle; N + 1 keeps the logit finite.
    below = (outside < reached[:, None]).sum(axis=1)
    equal = (outside == reached[:, None]).sum(axis=1)
    rank = (below + 0.5 * (equal + 1)) / (outside.shape[1] + 1)
    return inside[rows, best], reached, rank


def _ratios(sums: Floats, squares: Floats, size: int) -> Floats:
    mean = sums / size
    variance = np.maximum(squares / size - mean**2, 0.0)
    return np.divide(mean, np.sqrt(variance), out=np.zeros_like(mean), where=variance > 0)
