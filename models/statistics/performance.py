"""How well a series of returns did: Sharpe, Sortino, Calmar, hit rate, turnover, alpha and beta."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.statistics.drawdown import max_drawdown
from models.statistics.newey_west import default_lags
from models.statistics.series import Floats, Series, finite

YEAR = 252  # sessions


def sharpe(returns: Series, periods_per_year: float = YEAR) -> float:
    """Return the annualised Sharpe ratio (Sharpe 1994) of excess returns; NaN where undefined.

    `returns`: [n] simple returns over cash, fractions a period.
    """
    x = _in_units_of_the_largest(finite(returns))
    spread = float(x.std(ddof=1)) if x.size > 1 else 0.0
    # A constant series has no risk in floating point either: its deviation is rounding.
    if not spread > 1e-12:
        return float("nan")
    return float(x.mean()) / spread * float(np.sqrt(periods_per_year))


def sortino(returns: Series, target: float = 0.0, periods_per_year: float = YEAR) -> float:
    """Return the annualised Sortino ratio (Sortino & Price 1994); inf without any shortfall."""
    x = _in_units_of_the_largest(finite(returns) - target)
    if x.size == 0:
        return float("nan")
    shortfall = float(np.sqrt(np.mean(np.minimum(x, 0.0) ** 2)))
    if shortfall == 0.0:
        return float("inf") if x.mean() > 0 else float("nan")
    return float(x.mean()) / shortfall * float(np.sqrt(periods_per_year))


def _in_units_of_the_largest(x: Floats) -> Floats:
    """Return x over its largest size, which no ratio of moments depends on: squares of tiny
    returns would vanish in floating point, and a risk of nothing with them."""
    top = float(np.abs(x).max(initial=0.0))
    return x / top if top > 0.0 else x


def annual_return(returns: Series, periods_per_year: float = YEAR) -> float:
    """Return the compound growth a year, a fraction; -1 once everything is lost."""
    x = finite(returns)
    if x.size == 0:
        return float("nan")
    if bool((x <= -1.0).any()):
        return -1.0
    return float(np.expm1(np.log1p(x).sum() * periods_per_year / x.size))


def annual_volatility(returns: Series, periods_per_year: float = YEAR) -> float:
    """Return the standard deviation of the returns scaled to a year, a fraction."""
    x = finite(returns)
    return float(x.std(ddof=1) * np.sqrt(periods_per_year)) if x.size > 1 else float("nan")


def calmar(returns: Series, periods_per_year: float = YEAR) -> float:
    """Return annual growth over the deepest drawdown (Young 1991); inf without a drawdown."""
    growth, depth = annual_return(returns, periods_per_year), max_drawdown(returns)
    if depth == 0.0:
        return float("inf") if growth > 0 else float("nan")
    return growth / depth


def hit_rate(returns: Series) -> float:
    """Return the share of positive ones among the non-zero returns; NaN without any."""
    x = finite(returns)
    bets = x[x != 0.0]
    return float((bets > 0).mean()) if bets.size else float("nan")


def turnover(weights: npt.ArrayLike) -> Floats:
    """Return the one-way turnover of each step, fractions of NAV: half of sum |change of weight|.

    `weights`: [steps, instruments]; the result has steps - 1 entries. NaN counts as no position.
    """
    w = np.nan_to_num(np.asarray(weights, dtype=np.float64), nan=0.0)
    if w.ndim != 2:
        raise ValueError(f"weights must be [steps, instruments], had {w.ndim} dimensions")
    return 0.5 * np.abs(np.diff(w, axis=0)).sum(axis=1)


@dataclass(frozen=True, slots=True)
class Regression:
    """What a benchmark explains: alpha a year, its Newey-West t, beta and R squared."""

    alpha: float
    alpha_t: float
    beta: float
    r_squared: float


def alpha_beta(
    returns: Series, benchmark: Series, periods_per_year: float = YEAR, lags: int | None = None
) -> Regression:
    """Regress returns on a benchmark's (Jensen 1968), alpha with Newey-West errors.

    Both: [n] excess returns of the same periods; a pair with a non-finite side is left out.
    Raises ValueError on unequal lengths, fewer than three pairs or a constant benchmark.
    """
    y, x = np.asarray(returns, dtype=np.float64), np.asarray(benchmark, dtype=np.float64)
    if y.shape != x.shape or y.ndim != 1:
        raise ValueError(
            f"returns and benchmark must be two equal series, were {y.shape}, {x.shape}"
        )
    both = np.isfinite(y) & np.isfinite(x)
    y, x = y[both], x[both]
    if y.size < 3 or np.ptp(x) == 0.0:
        raise ValueError(f"a regression must have 3 pairs and a moving benchmark, had {y.size}")
    design = np.column_stack([np.ones(x.size), x])
    inverse: Floats = np.linalg.inv(design.T @ design).astype(np.float64)
    alpha, beta = inverse @ design.T @ y
    residual = y - design @ np.array([alpha, beta])
    error = float(np.sqrt(_hac(design, residual, inverse, lags)[0, 0]))
    total = float(((y - y.mean()) ** 2).sum())
    return Regression(
        alpha=float(alpha) * periods_per_year,
        alpha_t=float(alpha) / error if error > 0 else 0.0,
        beta=float(beta),
        r_squared=1.0 - float(residual @ residual) / total if total > 0 else float("nan"),
    )


def _hac(design: Floats, residual: Floats, inverse: Floats, lags: int | None) -> Floats:
    """Return the Newey-West covariance of the coefficients."""
    count = residual.size
    lags = min(default_lags(count) if lags is None else lags, count - 1)
    scores = design * residual[:, None]
    meat = scores.T @ scores
    for lag in range(1, lags + 1):
        cross = scores[lag:].T @ scores[:-lag]
        meat = meat + (1.0 - lag / (lags + 1.0)) * (cross + cross.T)
    return inverse @ meat @ inverse
