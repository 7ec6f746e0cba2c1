"""What is left of an experiment once it is known how often was tried."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cache, reduce
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models import statistics
from models.experiments.trials import TrialCount

_BLOCKS = 10  # halvings of the overfitting test: 252, enough to tell 5 % from 50 %
SURE = 0.95
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The figures of one series of returns; ratios are annualised, None where undefined.

    `deflated` is the probability that the true Sharpe ratio is positive although it is the best
    of `trials`; `overfitting` and `spa` speak of a whole sweep and are None for a single point.
    `information_ratio`, `deflated_active` and `spa_active` are the same of the active returns,
    those over the benchmark's, None where no benchmark moves. `sharpe_low` and `sharpe_high` are
    a 95 % block-bootstrap interval; `capacity` is the NAV, in the base currency, at which market
    impact takes the mean return.
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
    information_ratio: float | None
    deflated_active: float | None
    overfitting: float | None
    spa: float | None
    spa_active: float | None

    @property
    def is_luck(self) -> bool:
        """Return whether nothing is shown beyond what so many tries give without skill."""
        return self.deflated is None or self.deflated < SURE

    @property
    def is_luck_active(self) -> bool:
        """Return whether nothing is shown beyond the benchmark either; True without one."""
        return self.deflated_active is None or self.deflated_active < SURE

    def named(self) -> dict[str, float | int | None]:
        """Return the figures by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepJudgement:
    """What the points of a sweep show together; None where they are too few or do not move.

    `overfitting` is the probability of backtest overfitting, `spa` the p-value of "no point beats
    doing nothing", `spa_active` that of "no point beats the benchmark", and `active_std` the
    deviation of the points' information ratios, annualised.
    """

    overfitting: float | None = None
    spa: float | None = None
    spa_active: float | None = None
    active_std: float | None = None


_ALONE = SweepJudgement()


def judge(rows: pl.DataFrame, count: TrialCount, sweep: SweepJudgement = _ALONE) -> Judgement:
    """Judge the scored sessions of one point, with N from the ledger.

    `sweep` is what the points show together, worked out once for all of them.
    """
    returns, benchmark = (rows[n].to_numpy() for n in ("net_return", "benchmark_return"))
    trials = max(count.trials, 1)
    alpha, beta = _regression(returns, benchmark)
    active = returns - benchmark if benchmark.any() else np.empty(0)
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
        information_ratio=_known(statistics.sharpe(active)),
        deflated_active=_known(statistics.deflated_sharpe(active, trials, sweep.active_std)),
        overfitting=sweep.overfitting,
        spa=sweep.spa,
        spa_active=sweep.spa_active,
    )


@cache
def judging_code() -> str:
    """Return the hash of the statistics that a judgement is made of."""
    digest = hashlib.sha256()
    for path in sorted(Path(statistics.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def judge_points(points: Iterable[pl.DataFrame]) -> SweepJudgement:
    """Judge the rows of several points together, over the sessions that each was scored in."""
    columns = ("event_time", "net_return", "benchmark_return")
    told = [[part[name].to_numpy() for name in columns] for part in points]
    shared = reduce(np.intersect1d, (days for days, _, _ in told))
    picked = [(part, _places(part[0], shared)) for part in told]
    tried = np.column_stack([part[1][places] for part, places in picked])
    first, places = picked[0]
    return judge_sweep(tried, first[2][places])


def _places(days: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.int64]:
    """Return where each of the wanted days, all of them there, first stands."""
    order = np.argsort(days, kind="stable")
    return order[np.searchsorted(days[order], wanted)].astype(np.int64)


def judge_sweep(tried: Floats, benchmark: Floats | None = None) -> SweepJudgement:
    """Judge returns [sessions, points] together, beside a benchmark's [sessions]."""
    if tried.shape[1] < 2 or tried.shape[0] < 2 * _BLOCKS:
        return _ALONE
    moving = tried[:, tried.std(axis=0) > 0]
    if not moving.shape[1]:
        return _ALONE
    overfit = statistics.backtest_overfitting(tried, blocks=_BLOCKS)
    told = SweepJudgement(
        overfitting=_known(overfit.probability), spa=_known(statistics.reality_check(moving).spa)
    )
    if benchmark is None or not benchmark.any():
        return told
    active = tried - benchmark[:, None]
    active = active[:, active.std(axis=0) > 0]
    if not active.shape[1]:
        return told
    ratios = np.array([statistics.sharpe(column) for column in active.T])
    known = ratios[np.isfinite(ratios)]
    return replace(
        told,
        spa_active=_known(statistics.reality_check(active).spa),
        active_std=float(known.std(ddof=1)) if known.size > 1 else None,
    )


def _interval(returns: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Return the interval of the annualised ratio; two None where there is too little to draw."""
    if returns.size < 20 or not returns.std() > 0.0:
        return None, None
    found = statistics.sharpe_interval(returns, replications=1_000)
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
