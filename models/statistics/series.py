"""What every statistic does first: take a clean, one-dimensional float64 array."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Series = Floats | Sequence[float]


def finite(values: Series) -> Floats:
    """Return the finite values of [n] as float64. Raises ValueError on more dimensions."""
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1:
        raise ValueError(f"a series must have one dimension, had {x.ndim}")
    return x[np.isfinite(x)]
