"""Whether a Sharpe ratio is skill: its odds given length, skew, tails and the number of trials.

Bailey & Lopez de Prado, The Sharpe ratio efficient frontier (2012) and The deflated Sharpe ratio
(2014). Ratios here are annualised; `periods_per_year` takes them back to one period.
"""

from statistics import NormalDist

import numpy as np

from models.statistics.performance import YEAR, sharpe
from models.statistics.series import Floats, Series, finite

EULER_MASCHERONI = 0.5772156649015329
_NORMAL = NormalDist()


def sharpe_standard_error(returns: Series) -> float:
    """Return the standard error of the ratio of one period (Mertens 2002); NaN below 3 values."""
    x = finite(returns)
    if x.size < 3:
        return float("nan")
    ratio = sharpe(x, 1.0)
    return float(np.sqrt(_variance_factor(x, ratio) / (x.size - 1)))


def probabilistic_sharpe(
    returns: Series, benchmark: float = 0.0, periods_per_year: float = YEAR
) -> float:
    """Return the probability that the true ratio exceeds `benchmark` (annualised), in [0, 1]."""
    x = finite(returns)
    excess = sharpe(x, 1.0) - benchmark / np.sqrt(periods_per_year)
    return _NORMAL.cdf(excess / sharpe_standard_error(x))


def expected_max_sharpe(trials: int, sharpe_std: float) -> float:
    """Return the best ratio to be expected of `trials` without any skill.

    `sharpe_std`: deviation of the ratios across trials; the result has its unit. With no skill
    over y years it is about 1 / sqrt(y) annualised: 1,000 trials over five years give 1.46.
    """
    if trials < 1:
        raise ValueError(f"trials must be at least 1, were {trials}")
    if not sharpe_std >= 0.0:
        raise ValueError(f"sharpe_std must be at least 0, was {sharpe_std}")
    if trials == 1:
        return 0.0
    most = -_NORMAL.inv_cdf(1.0 / trials)
    more = -_NORMAL.inv_cdf(1.0 / (trials * np.e))
    return float(sharpe_std * ((1.0 - EULER_MASCHERONI) * most + EULER_MASCHERONI * more))


def deflated_sharpe(
    returns: Series,
    trials: int,
    sharpe_std: float | None = None,
    periods_per_year: float = YEAR,
) -> float:
    """Return the probability that the true ratio is positive, given that it was the best found.

    `trials`: every backtest ever run on the question, not those that were kept. `sharpe_std`:
    deviation of their annualised ratios; None takes the sampling error of a ratio of zero over
    as many periods, which is right where the trials had no skill and were independent.
    """
    x = finite(returns)
    if x.size < 3:
        return float("nan")
    if sharpe_std is None:
        sharpe_std = float(np.sqrt(periods_per_year / (x.size - 1)))
    return probabilistic_sharpe(x, expected_max_sharpe(trials, sharpe_std), periods_per_year)


def min_track_record_length(
    returns: Series,
    benchmark: float = 0.0,
    confidence: float = 0.95,
    periods_per_year: float = YEAR,
) -> float:
    """Return how many periods it takes to be sure that the ratio exceeds `benchmark`.

    Infinite where the measured ratio does not exceed it.
    """
    if not 0.5 < confidence < 1.0:
        raise ValueError(f"confidence must be in (0.5, 1), was {confidence}")
    x = finite(returns)
    ratio = sharpe(x, 1.0)
    excess = ratio - benchmark / np.sqrt(periods_per_year)
    if not excess > 0.0:
        return float("inf") if np.isfinite(excess) else float("nan")
    return float(1.0 + _variance_factor(x, ratio) * (_NORMAL.inv_cdf(confidence) / excess) ** 2)


def _variance_factor(x: Floats, ratio: float) -> float:
    """Return 1 - skew * SR + (kurtosis - 1) / 4 * SR^2, the non-normal variance of a ratio."""
    centred = x - x.mean()
    deviation = float(np.sqrt(np.mean(centred**2)))
    if deviation == 0.0:
        return float("nan")
    skew = float(np.mean(centred**3)) / deviation**3
    kurtosis = float(np.mean(centred**4)) / deviation**4
    return 1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
