"""From a score to an expected return: a shrunken line fitted on out-of-sample scores."""

import numpy as np

from models.artifact import Calibration
from models.cross_section import Groups, demean
from models.panel import Floats, group_bounds
from models.statistics.newey_west import mean_t

_SCORE_STD_MIN = 1e-12


def calibrate(
    scores: Floats, returns: Floats, groups: Groups, *, relative: bool, overlap: int
) -> Calibration:
    """Fit expected return = intercept + slope * score on out-of-sample rows.

    `returns` are realised returns, fractions over the horizon; relative ones are taken in excess
    of their cross-section, without an intercept. The slope is the pooled least-squares one,
    shrunk by the positive part of 1 - 1/t^2 (James & Stein 1961), t being Newey-West's over
    decisions with `overlap` lags: scores that earned nothing out of sample promise nothing.
    """
    x = demean(scores, groups) if relative else scores - scores.mean()
    y = demean(returns, groups) if relative else returns - returns.mean()
    spread = float(x @ x)
    slope = float(x @ y) / spread if spread > 0 else 0.0
    t = mean_t(_group_sums(x * y, groups), lags=overlap)
    shrink = max(0.0, 1.0 - 1.0 / t**2) if t > 0 else 0.0
    slope = max(0.0, slope) * shrink
    intercept = 0.0 if relative else float(returns.mean() - slope * scores.mean())
    return Calibration(
        slope=slope,
        intercept=intercept,
        score_mean=float(scores.mean()),
        score_std=max(float(scores.std()), _SCORE_STD_MIN),
        relative=relative,
    )


def _group_sums(values: Floats, groups: Groups) -> Floats:
    return np.add.reduceat(values, group_bounds(groups)[:-1])
