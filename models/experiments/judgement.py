"""What is left of an experiment once it is known how often was tried."""

from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models import statistics
from models.experiments.trials import TrialCount

_BLOCKS = 10  # halvings of the overfitting test: 252, enough to tell 5 % from 50 %
_SURE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The figures of one series of returns; ratios are annualised, None where undefined.

    `deflated` is the probability that the true Sharpe ratio is positive although it is the best
    of `trials`; `overfitting` and `spa` speak of a whole sweep and are None for a single point.
    `sharpe_low` and `sharpe_high` are a 95 % block-bootstrap interval; `capacity` is the NAV, in
    the base currency, at which market impact takes the mean return.
    """

    sessions: int
    annual_return: float | None
    annual_volatility: float | None
    sharpe: float | None
    sharpe_low: float | None
    sharpe_high: float | None
    sortino: float | None
    calmar: float | None
    drawdown_max: float | None
    value_at_risk_95: float | None
    expected_shortfall_95: float | None
    hit_rate: float | None
    turnover: float | None
    gross: float | None
    net: float | None
    capacity: float | None
    alpha: float | None
    beta: float | None
    probabilistic: float | None
    trials: int
    deflated: float | None
    track_record_min: float | None
    overfitting: float | None
    spa: float | None

    @property
    def is_luck(self) -> bool:
        """Return whether nothing is shown beyond what so many tries give without skill."""
        return self.deflated is None or self.deflated < _SURE

    def named(self) -> dict[str, float | int | None]:
        """Return the figures by name."""
        return asdict(self)


def judge(
    rows: pl.DataFrame, count: TrialCount, tried: NDArray[np.float64] | None = None
) -> Judgement:
    """Judge the scored sessions of one point, with N from the ledger.

    `tried` are the returns of every point of the sweep, [sessions, points].
    """
    returns = rows["net_return"].to_numpy()
    trials = max(count.trials, 1)
    alpha, beta = _regression(returns, rows["benchmark_return"].to_numpy())
    overfitting, spa = _sweep(tried)
    low, high = _interval(returns)
    return Judgement(
        sessions=rows.height,
        annual_return=_known(statistics.annual_return(returns)),
        annual_volatility=_known(statistics.annual_volatility(returns)),
        sharpe=_known(statistics.sharpe(returns)),
        sharpe_low=low,
        sharpe_high=high,
        sortino=_known(statistics.sortino(returns)),
        calmar=_known(statistics.calmar(returns)),
        drawdown_max=_known(statistics.max_drawdown(returns)),
        value_at_risk_95=_known(statistics.value_at_risk(returns)),
        expected_shortfall_95=_known(statistics.expected_shortfall(returns)),
        hit_rate=_known(statistics.hit_rate(returns)),
        turnover=_known(float(rows["turnover"].to_numpy().mean())),
        gross=_known(float(rows["gross"].to_numpy().mean())),
        net=_known(float(rows["net"].to_numpy().mean())),
        capacity=_known(statistics.capacity(returns, rows["impact"].to_numpy())),
        alpha=alpha,
        beta=beta,
        probabilistic=_known(statistics.probabilistic_sharpe(returns)),
        trials=trials,
        deflated=_known(statistics.deflated_sharpe(returns, trials, count.sharpe_std)),
        track_record_min=_known(statistics.min_track_record_length(returns)),
        overfitting=overfitting,
        spa=spa,
    )


def returns_by_point(rows: pl.DataFrame, by: str = "point") -> NDArray[np.float64]:
    """Return [sessions, points] of the sessions that every point was scored in."""
    wide = rows.pivot(on=by, index="event_time", values="net_return", aggregate_function="first")
    return wide.sort("event_time").drop("event_time").drop_nulls().to_numpy().astype(np.float64)


def _sweep(tried: NDArray[np.float64] | None) -> tuple[float | None, float | None]:
    if tried is None or tried.shape[1] < 2 or tried.shape[0] < 2 * _BLOCKS:
        return None, None
    if not (tried.std(axis=0) > 0).any():
        return None, None
    overfit = statistics.backtest_overfitting(tried, blocks=_BLOCKS)
    moving = tried[:, tried.std(axis=0) > 0]
    return _known(overfit.probability), _known(statistics.reality_check(moving).spa)


def _interval(returns: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Return the interval of the annualised ratio; two None where there is too little to draw."""
    if returns.size < 20 or not returns.std() > 0.0:
        return None, None
    found = statistics.confidence_interval(returns, statistics.sharpe_of, replications=1_000)
    root = float(np.sqrt(statistics.YEAR))
    return found.low * root, found.high * root


def _regression(
    returns: NDArray[np.float64], benchmark: NDArray[np.float64]
) -> tuple[float | None, float | None]:
    try:
        found = statistics.alpha_beta(returns, benchmark)
    except ValueError:  # too short, or a benchmark that does not move
        return None, None
    return _known(found.alpha), _known(found.beta)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
