"""From a score to an expected return: a shrunken line fitted on out-of-sample scores."""

import numpy as np

from models.artifact import Calibration
from models.cross_section import Groups, demean, standardise
from models.panel import Floats, group_bounds
from models.statistics.newey_west import mean_t

_SCORE_STD_MIN = 1e-12
NAMES_MIN = 3  # below this a z in the cross-section is arithmetic, not a comparison


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


def to_forecast(scores: Floats, groups: Groups, calibration: Calibration) -> Floats:
    """Return each score's z among its decision's, or against the record of a decision too small."""
    if scores.size == 0:
        return scores
    within = standardise(scores, groups)
    overall = (scores - calibration.score_mean) / calibration.score_std
    sizes = np.diff(group_bounds(groups))
    return np.where(np.repeat(sizes, sizes) >= NAMES_MIN, within, overall)


def _group_sums(values: Floats, groups: Groups) -> Floats:
    return np.add.reduceat(values, group_bounds(groups)[:-1])
