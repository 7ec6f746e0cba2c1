"""Compiled maximum over many ranges of one array."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def range_maximum(
    values: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return max(values[first[i]:last[i] + 1]) for each i, by a sparse table of powers of two."""
    n = values.size
    levels = 1
    while (1 << levels) <= n:
        levels += 1
    table = np.empty((levels, n), np.int64)
    table[0] = values
    for k in range(1, levels):
        half = 1 << (k - 1)
        for i in range(n - (1 << k) + 1):
            table[k, i] = max(table[k - 1, i], table[k - 1, i + half])
    out = np.empty(first.size, np.int64)
    for i in range(first.size):
        k, width = 0, np.int64(last[i]) - np.int64(first[i]) + 1
        while (1 << (k + 1)) <= width:
            k += 1
        out[i] = max(table[k, first[i]], table[k, last[i] - (1 << k) + 1])
    return out
