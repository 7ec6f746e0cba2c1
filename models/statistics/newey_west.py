"""Standard errors that allow for autocorrelation and changing variance (Newey & West 1987)."""

import numpy as np

from models.statistics.series import Series, finite


def default_lags(count: int) -> int:
    """Return floor(4 (n/100)^(2/9)) lags (Newey & West 1994)."""
    return int(4.0 * (count / 100.0) ** (2.0 / 9.0)) if count > 0 else 0


def mean_standard_error(values: Series, lags: int | None = None) -> float:
    """Return the standard error of the mean with Bartlett weights; NaN below two values.

    `values`: [n], non-finite ones left out. `lags`: autocovariances counted, h - 1 at least for
    returns over h overlapping steps; None takes `default_lags`.
    """
    x = finite(values)
    n = x.size
    if n < 2:
        return float("nan")
    lags = min(default_lags(n) if lags is None else lags, n - 1)
    centred = x - x.mean()
    variance = float(centred @ centred) / n
    for lag in range(1, lags + 1):
        weight = 1.0 - lag / (lags + 1.0)
        variance += 2.0 * weight * float(centred[lag:] @ centred[:-lag]) / n
    return float(np.sqrt(max(variance, 0.0) / n))


def mean_t(values: Series, lags: int | None = None) -> float:
    """Return mean / standard error; 0 where the error is zero or cannot be measured."""
    x = finite(values)
    error = mean_standard_error(x, lags)
    # An error at rounding level of the values is a constant series, which proves nothing.
    if not error > 1e-15 * max(1e-300, float(np.abs(x).max(initial=0.0))):
        return 0.0
    return float(x.mean()) / error
