"""Evaluation: what forecasts were worth against what came, decision by decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.cross_section import demean, group_ranks, rank_correlations
from models.panel import Floats, group_numbers, with_decision_time
from models.reliability import reliability
from models.statistics import (
    YEAR,
    confidence_interval,
    expected_shortfall,
    max_drawdown,
    mean_t,
    sharpe,
    turnover,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """How forecasts are judged."""

    quantiles: int = 5  # 10 for deciles, where a decision has the names for it
    names_min: int = 5
    overlap: int | None = None  # further decisions while a label runs; None reads it off the rows
    cost_bps: float = 2.0  # of traded value, one side
    confidence: float = 0.95
    replications: int = 1_000
    seed: int = 0

    def __post_init__(self) -> None:
        bounds = {
            "quantiles": (2, 100),
            "names_min": (2, 10_000),
            "cost_bps": (0, 1_000),
            "replications": (100, 100_000),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be in {low}..{high}, was {value}")
        if self.overlap is not None and not 0 <= self.overlap <= 504:
            raise ValueError(f"overlap must be in 0..504, was {self.overlap}")
        if not 0.5 <= self.confidence < 1.0:
            raise ValueError(f"confidence must be in [0.5, 1), was {self.confidence}")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics, and the tables that the plots show.

    `metrics` (finite floats; one that cannot be measured is left out): rank_ic, rank_ic_std,
    icir, rank_ic_t (Newey-West), rank_ic_low/high (block bootstrap), rank_ic_pooled (over all
    rows, for a book too small to rank within decisions), hit_rate, spread,
    spread_net (top less bottom quantile, fractions over the horizon), spread_sharpe (annualised,
    net), spread_t, monotonicity, turnover (one-way, of NAV a decision), calibration_slope,
    calibration_error,
    r2_out_of_sample, spread_drawdown, spread_shortfall, rows, decisions. A strategy on labels
    that overlap cuts its capital into overlap + 1 cohorts; drawdown, shortfall and turnover are
    that strategy's. `by_decision`: decision_time, names, rank_ic, spread, spread_net, turnover
    (of the cohort, against the one that it replaces), strategy_return (that of the whole capital).
    `quantiles`: quantile, mean_return, error, count. `calibration`: expected, realised, error,
    count of each bin.
    """

    metrics: Mapping[str, float]
    by_decision: pl.DataFrame
    quantiles: pl.DataFrame
    calibration: pl.DataFrame
    overlap: int

    def apart(self) -> Floats:
        """Return the net spreads of decisions whose labels do not overlap: [n], fractions."""
        net = self.by_decision["spread_net"].drop_nulls().to_numpy()
        return net[:: self.overlap + 1].astype(np.float64)


def evaluate(
    predictions: pl.DataFrame,
    settings: EvaluationSettings | None = None,
    *,
    realised: str = "forward_return",
) -> Evaluation:
    """Judge forecasts joined with their realised returns.

    `predictions`: instrument_id, event_time (or as_of / decision_time), forecast, `realised` (a
    fraction over the horizon), and where known expected_return and label_end_time. Rows without
    a forecast or a return are left out. Raises ValueError where nothing is left to judge.
    """
    settings = settings or EvaluationSettings()
    rows = _rows(predictions, realised)
    groups = group_numbers(rows["decision_time"])
    forecast, outcome = _column(rows, "forecast"), _column(rows, realised)
    overlap = _overlap(rows) if settings.overlap is None else settings.overlap
    by_decision, quantiles = _by_decision(rows, forecast, outcome, groups, settings, overlap)
    metrics = _ic_metrics(by_decision, overlap, settings)
    metrics |= _spread_metrics(by_decision, quantiles, overlap)
    excess = demean(outcome, groups)
    lean = demean(forecast, groups)
    bets = (lean != 0.0) & (excess != 0.0)
    if bets.any():
        metrics["hit_rate"] = float(((lean > 0) == (excess > 0))[bets].mean())
    calibration = pl.DataFrame()
    if "expected_return" in rows.columns:
        calibration, fit = reliability(_column(rows, "expected_return"), excess, overlap=overlap)
        metrics |= fit
    whole = np.zeros_like(groups)
    metrics["rank_ic_pooled"] = float(rank_correlations(forecast, outcome, whole, 2)[0])
    metrics |= {"rows": float(rows.height), "decisions": float(by_decision.height)}
    finite = {k: v for k, v in metrics.items() if np.isfinite(v)}
    return Evaluation(finite, by_decision, quantiles, calibration, overlap)


def _rows(predictions: pl.DataFrame, realised: str) -> pl.DataFrame:
    predictions = with_decision_time(predictions)
    missing = [c for c in ("instrument_id", "forecast", realised) if c not in predictions.columns]
    if missing:
        raise ValueError(f"predictions must have {missing}, had {predictions.columns}")
    known = pl.col("forecast").is_finite() & pl.col(realised).is_finite()
    rows = predictions.filter(known).sort("decision_time", "instrument_id")
    if rows.is_empty():
        raise ValueError("predictions must have rows with a forecast and a return, had none")
    return rows


def _column(rows: pl.DataFrame, name: str) -> Floats:
    values = rows[name].cast(pl.Float64).fill_null(float("nan"))
    return np.ascontiguousarray(values.to_numpy())


def _overlap(rows: pl.DataFrame) -> int:
    """Return how many further decisions fall inside the median label; 0 where none is told."""
    if "label_end_time" not in rows.columns:
        return 0
    ends = rows.group_by("decision_time").agg(pl.col("label_end_time").median())
    ends = ends.sort("decision_time")
    after = ends["decision_time"].search_sorted(ends["label_end_time"], side="left").to_numpy()
    # The last labels run past the last decision; they cannot say how many they overlap.
    inside = after < ends.height
    ahead = (after - np.arange(ends.height))[inside] - 1
    return max(0, int(np.median(ahead))) if ahead.size else 0


def _by_decision(
    rows: pl.DataFrame,
    forecast: Floats,
    outcome: Floats,
    groups: np.ndarray,
    settings: EvaluationSettings,
    overlap: int,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    sizes = np.bincount(groups)
    ranks = group_ranks(forecast, groups)
    share = (ranks - 0.5) / sizes[groups]
    quantile = np.minimum((share * settings.quantiles).astype(np.int64), settings.quantiles - 1)
    wide = sizes[groups] >= max(settings.names_min, settings.quantiles)
    frame = rows.select("decision_time", "instrument_id").with_columns(
        pl.Series("quantile", np.where(wide, quantile + 1, 0)),
        pl.Series("outcome", outcome),
        pl.Series("excess", demean(outcome, groups)),
    )
    top, bottom = pl.col("quantile") == settings.quantiles, pl.col("quantile") == 1
    decisions = frame.group_by("decision_time", maintain_order=True).agg(
        pl.len().alias("names"),
        (pl.col("outcome").filter(top).mean() - pl.col("outcome").filter(bottom).mean()).alias(
            "spread"
        ),
    )
    ics = rank_correlations(forecast, outcome, groups, settings.names_min)
    cost = 2.0 * settings.cost_bps / 10_000.0
    decisions = decisions.with_columns(
        pl.Series("rank_ic", ics).fill_nan(None),
        pl.Series("turnover", _turnover(frame, settings.quantiles, overlap + 1)).fill_nan(None),
    ).with_columns((pl.col("spread") - pl.col("turnover") * cost).alias("spread_net"))
    decisions = decisions.with_columns(
        (pl.col("spread_net") / (overlap + 1.0)).alias("strategy_return")
    )
    means = _quantile_means(frame.filter(pl.col("quantile") > 0), overlap)
    return decisions, means


def _turnover(frame: pl.DataFrame, quantiles: int, cohorts: int) -> Floats:
    """Return the one-way turnover of each decision's book against the cohort that it replaces."""
    side = (
        pl.when(pl.col("quantile") == quantiles)
        .then(1.0)
        .when(pl.col("quantile") == 1)
        .then(-1.0)
        .otherwise(0.0)
    )
    weighted = frame.with_columns(side.alias("side")).with_columns(
        (pl.col("side") / pl.col("side").abs().sum().over("decision_time", "side")).alias("weight")
    )
    dense = weighted.pivot(
        on="instrument_id", index="decision_time", values="weight", aggregate_function="first"
    ).sort("decision_time")
    matrix = dense.drop("decision_time").cast(pl.Float64).fill_null(0.0).fill_nan(0.0).to_numpy()
    # Decisions `cohorts` apart follow each other in one cohort; its first one opens it.
    cohort = [turnover(np.vstack([0.0 * matrix[:1], matrix[k::cohorts]])) for k in range(cohorts)]
    out = np.empty(len(matrix))
    for k, values in enumerate(cohort):
        out[k::cohorts] = values
    return out


def _quantile_means(frame: pl.DataFrame, overlap: int) -> pl.DataFrame:
    """Return each quantile's mean excess return, with the error of its means over decisions."""
    daily = frame.group_by("decision_time", "quantile").agg(
        pl.col("excess").mean(), pl.len().alias("names")
    )
    return (
        daily.group_by("quantile")
        .agg(
            pl.col("excess").mean().alias("mean_return"),
            # Overlapping labels repeat each other: only one in overlap + 1 counts as new.
            (pl.col("excess").std() * ((overlap + 1.0) / pl.len()).sqrt()).alias("error"),
            pl.col("names").sum().cast(pl.Int64).alias("count"),
        )
        .sort("quantile")
    )


def _ic_metrics(
    by_decision: pl.DataFrame, overlap: int, settings: EvaluationSettings
) -> dict[str, float]:
    ics = by_decision["rank_ic"].drop_nulls().to_numpy()
    if ics.size < 2:
        return {}
    spread = float(ics.std(ddof=1))
    interval = confidence_interval(
        ics,
        level=settings.confidence,
        # Labels that overlap make neighbours alike: a block must hold one label at least.
        mean_block_length=float(min(ics.size, max(2 * (overlap + 1), 5))),
        replications=settings.replications,
        seed=settings.seed,
    )
    return {
        "rank_ic": float(ics.mean()),
        "rank_ic_std": spread,
        "icir": float(ics.mean()) / spread if spread > 0 else 0.0,
        "rank_ic_t": mean_t(ics, lags=max(overlap, 1)),
        "rank_ic_low": interval.low,
        "rank_ic_high": interval.high,
    }


def _spread_metrics(
    by_decision: pl.DataFrame, quantiles: pl.DataFrame, overlap: int
) -> dict[str, float]:
    measured = by_decision.drop_nulls(["spread", "spread_net"])
    if measured.is_empty():
        return {}
    spread, net = measured["spread"].to_numpy(), measured["spread_net"].to_numpy()
    # Capital is cut into overlap + 1 cohorts, one opened at each decision.
    cohort = measured["strategy_return"].to_numpy()
    means = quantiles["mean_return"].to_numpy()
    one = np.zeros(means.size, dtype=np.int64)
    order = rank_correlations(np.arange(means.size, dtype=np.float64), means, one, 2)
    return {
        "spread": float(spread.mean()),
        "spread_net": float(net.mean()),
        # Each cohort trades apart from the others; their mean is the ratio of any one of them.
        "spread_sharpe": _mean_sharpe(net, overlap + 1),
        "spread_t": mean_t(spread, lags=max(overlap, 1)),
        "turnover": float(measured["turnover"].to_numpy().mean()) / (overlap + 1.0),
        "spread_drawdown": max_drawdown(cohort),
        "spread_shortfall": expected_shortfall(cohort),
        "monotonicity": float(order[0]),
    }


def _mean_sharpe(net: Floats, cohorts: int) -> float:
    ratios = [sharpe(net[k::cohorts], YEAR / cohorts) for k in range(cohorts)]
    known = [r for r in ratios if np.isfinite(r)]
    return float(np.mean(known)) if known else float("nan")
