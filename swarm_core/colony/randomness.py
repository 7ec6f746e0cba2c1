"""Random numbers as a function of (seed, step, purpose, lane): no hidden sequence to keep in step.

Philox 4x32-10 (Salmon, Moraes, Dror & Shaw 2011). A number depends only on its address, so a
replay, a parallel evaluation and a permutation of the scouts all draw the same ones.
"""

import math

import numpy as np

from swarm_core.colony.arithmetic import log
from swarm_core.colony.compiled import kernel

_MASK = 0xFFFFFFFF
_MULTIPLIER_0 = 0xD2511F53
_MULTIPLIER_1 = 0xCD9E8D57
_WEYL_0 = 0x9E3779B9
_WEYL_1 = 0xBB67AE85

PURPOSE_ALLOCATION = 1
PURPOSE_BIRTH = 2
PURPOSE_TILT = 3


@kernel
def philox(counter: np.ndarray, key_0: int, key_1: int) -> np.ndarray:
    """Return four 32-bit words (as uint64) for a counter of four and a key of two words."""
    c0, c1, c2, c3 = counter[0], counter[1], counter[2], counter[3]
    k0 = np.uint64(key_0)
    k1 = np.uint64(key_1)
    mask = np.uint64(_MASK)
    shift = np.uint64(32)
    for _ in range(10):
        product_0 = np.uint64(_MULTIPLIER_0) * c0
        product_1 = np.uint64(_MULTIPLIER_1) * c2
        c0, c1, c2, c3 = (
            (product_1 >> shift) ^ c1 ^ k0,
            product_1 & mask,
            (product_0 >> shift) ^ c3 ^ k1,
            product_0 & mask,
        )
        k0 = (k0 + np.uint64(_WEYL_0)) & mask
        k1 = (k1 + np.uint64(_WEYL_1)) & mask
    words = np.empty(4, np.uint64)
    words[0], words[1], words[2], words[3] = c0, c1, c2, c3
    return words


@kernel
def uniforms(seed: int, step: int, purpose: int, lane: int) -> tuple[float, float]:
    """Return two numbers in (0, 1) for one address."""
    counter = np.empty(4, np.uint64)
    mask = np.uint64(_MASK)
    counter[0] = np.uint64(step) & mask
    counter[1] = np.uint64(step) >> np.uint64(32)
    counter[2] = np.uint64(lane) & mask
    counter[3] = np.uint64(purpose) & mask
    words = philox(counter, seed & _MASK, seed >> 32)
    first = (words[0] * np.uint64(1 << 21)) ^ (words[1] >> np.uint64(11))
    second = (words[2] * np.uint64(1 << 21)) ^ (words[3] >> np.uint64(11))
    scale = 1.0 / 9007199254740992.0  # 2^-53
    return (np.float64(first) + 0.5) * scale, (np.float64(second) + 0.5) * scale


@kernel
def normal(seed: int, step: int, purpose: int, lane: int) -> float:
    """Return one standard normal for one address (Marsaglia's polar method, retried by lane)."""
    attempt = 0
    while True:
        u, v = uniforms(seed, step, purpose, lane + (attempt << 20))
        x, y = 2.0 * u - 1.0, 2.0 * v - 1.0
        radius = x * x + y * y
        if 0.0 < radius < 1.0:
            return x * math.sqrt(-2.0 * log(radius) / radius)
        attempt += 1
