"""Real prices: the colony day by day, never looking ahead, against portfolios anyone could hold."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.decision_quality.baselines import BASELINES
from benchmarks.decision_quality.synthetic import ABLATIONS
from features.catalog import CATALOG, compute
from features.catalog.feature import FeatureInputs
from models.statistics import confidence_interval, deflated_sharpe, max_drawdown, sharpe_of
from swarm_core.colony.blueprint import blueprint, fill_columns
from swarm_core.colony.engine import new_state
from swarm_core.colony.replay import Panel, Records, run
from swarm_core.colony.scouts import shape_row
from swarm_core.colony.settings import ColonySettings

Floats = NDArray[np.float64]
PRICES = Path(__file__).parents[3] / "shared/data/equities_sp500_5yr/vintage_2018-02-09.parquet"
INSTRUMENTS, COST_BPS, WARM_UP = 60, 5.0, 252
_VOLATILITY_TARGET = 0.10 / np.sqrt(252.0)
_RETRAIN_BARS = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class RealResult:
    """One row: yearly figures after costs over the bars after the warm-up."""

    who: str
    sharpe: float
    sharpe_low: float
    sharpe_high: float
    deflated: float  # chance that the Sharpe ratio is above what the best of all trials would be
    yearly_return: float
    volatility: float
    drawdown: float
    turnover: float


def load_panel() -> Panel:
    """Return the panel of the names with the largest dollar volume in the first year.

    They are chosen by what was known before the first measured bar. The source holds only names
    that were in the index at its end, so levels are flattered by survivorship; differences
    between rows of the report are much less so.
    """
    rows = pl.read_parquet(PRICES).drop_nulls("close").sort("symbol", "date")
    dates = rows["date"].unique().sort()
    first_year = rows.filter(pl.col("date") < dates[WARM_UP])
    chosen = (
        first_year.group_by("symbol")
        .agg((pl.col("close") * pl.col("volume")).sum().alias("traded"), pl.len().alias("bars"))
        .filter(pl.col("bars") == WARM_UP)
        .sort("traded", descending=True)["symbol"]
        .head(INSTRUMENTS)
        .sort()
        .to_list()
    )
    bars = rows.filter(pl.col("symbol").is_in(chosen)).select(
        pl.col("symbol").alias("instrument_id"),
        pl.col("date").cast(pl.Datetime("us", "UTC")).dt.offset_by("21h").alias("event_time"),
        pl.col("date").cast(pl.Datetime("us", "UTC")).dt.offset_by("21h").alias("knowledge_time"),
        *(pl.col(name).cast(pl.Float64) for name in ("open", "high", "low", "close", "volume")),
        pl.lit("1d").alias("interval"),
    )
    table = compute(
        FeatureInputs(bars=bars),
        start=datetime(2013, 1, 1, tzinfo=UTC),
        end=datetime(2018, 3, 1, tzinfo=UTC),
        as_of_offset=timedelta(0),
    )
    return _panel_of(bars, table, chosen, dates)


def _panel_of(
    bars: pl.DataFrame, table: pl.DataFrame, chosen: list[str], dates: pl.Series
) -> Panel:
    times = bars["event_time"].unique().sort()

    def wide(frame: pl.DataFrame, column: str) -> Floats:
        grid = frame.pivot(on="instrument_id", index="event_time", values=column)
        return times.to_frame().join(grid, on="event_time", how="left").select(chosen).to_numpy()

    names = [feature.name for feature in CATALOG if feature.name in table.columns]
    features = {name: np.asarray(wide(table, name), np.float64) for name in names}
    prices = np.asarray(wide(bars, "close"), np.float64)
    sigma = features["ewma_vol"] / np.sqrt(252.0)
    features["forecast"] = walk_forward_forecast(prices, features)
    return Panel(
        time_ns=times.cast(pl.Int64).to_numpy() * 1_000,
        instrument_ids=tuple(chosen),
        prices=prices,
        sigma=sigma,
        features=features,
        currencies=("USD",) * len(chosen),
        sectors=tuple(f"group {i // 6}" for i in range(len(chosen))),
        cost_bps=COST_BPS,
    )


def walk_forward_forecast(prices: Floats, features: dict[str, Floats], horizon: int = 5) -> Floats:
    """Return LightGBM's cross-sectional z-scores [T, N], trained only on labels known before.

    It is trained anew each quarter; the last `horizon` bars before are left out, because their
    labels were not known yet.
    """
    stack = np.stack(list(features.values()), axis=-1)
    future = np.full(prices.shape, np.nan)
    future[:-horizon] = prices[horizon:] / prices[:-horizon] - 1.0
    label = future - np.nanmean(future, axis=1, keepdims=True)
    out = np.full(prices.shape, np.nan)
    options = {
        "objective": "l2", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 500,
        "feature_fraction": 0.7, "bagging_fraction": 0.7, "bagging_freq": 1, "verbose": -1,
        "seed": 1, "deterministic": True, "num_threads": 1,
    }  # fmt: skip
    for start in range(WARM_UP, len(prices), _RETRAIN_BARS):
        x = stack[: start - horizon].reshape(-1, stack.shape[-1])
        y = label[: start - horizon].reshape(-1)
        known = np.isfinite(y)
        booster = lgb.train(options, lgb.Dataset(x[known], y[known]), num_boost_round=60)
        end = min(start + _RETRAIN_BARS, len(prices))
        rows = stack[start:end].reshape(-1, stack.shape[-1])
        out[start:end] = np.asarray(booster.predict(rows)).reshape(end - start, -1)
    mean, spread = np.nanmean(out, axis=1, keepdims=True), np.nanstd(out, axis=1, keepdims=True)
    return (out - mean) / np.where(spread > 0.0, spread, np.nan)


def scouts_convictions(settings: ColonySettings, panel: Panel) -> NDArray[np.float32]:
    """Return every ungated founder's convictions [K, T, N] (float32), for the baselines."""
    plan = blueprint(settings)
    columns = fill_columns(plan, panel.features, panel.prices.shape).astype(np.float32)
    rows: list[NDArray[np.float32]] = []
    for _, genome in plan.genomes:
        place = plan.columns.index(genome.column)
        if plan.origin[place] != 0 or genome.gate:
            continue
        out = np.zeros(panel.prices.size, np.float32)
        gain, center = np.float32(genome.gain), np.float32(genome.center)
        shape_row(int(genome.shape), gain, center, columns[place].ravel(), out)
        if np.abs(out).max() > 0.0:
            rows.append(out.reshape(panel.prices.shape))
    return np.stack(rows)


def hold(convictions: Floats, panel: Panel) -> tuple[Floats, Floats]:
    """Return the net returns and turnover [T] of volatility-targeted convictions [T, N]."""
    sigma = np.where(panel.sigma > 0.0, panel.sigma, np.nan)
    raw = np.nan_to_num(convictions / sigma)
    risk = np.sqrt(((raw * np.nan_to_num(sigma)) ** 2).sum(axis=1, keepdims=True))
    weights = np.divide(raw * _VOLATILITY_TARGET, risk, out=np.zeros_like(raw), where=risk > 1e-9)
    gross = np.abs(weights).sum(axis=1, keepdims=True)
    return _book(weights * np.minimum(1.0, 1.5 / np.maximum(gross, 1e-9)), panel)


def _book(weights: Floats, panel: Panel) -> tuple[Floats, Floats]:
    change = np.zeros(panel.prices.shape)
    change[1:] = np.nan_to_num(panel.prices[1:] / panel.prices[:-1] - 1.0)
    before = np.vstack([np.zeros(weights.shape[1]), weights[:-1]])
    turnover = np.abs(weights - before * (1.0 + change)).sum(axis=1)
    cost = np.concatenate([[0.0], turnover[:-1]]) * COST_BPS * 1e-4
    return (before * change).sum(axis=1) - cost, turnover


def _portfolios(settings: ColonySettings, panel: Panel) -> dict[str, tuple[Floats, Floats]]:
    convictions = scouts_convictions(settings, panel)
    outcome = np.zeros(panel.prices.shape)
    outcome[1:] = np.nan_to_num((panel.prices[1:] / panel.prices[:-1] - 1.0) / panel.sigma[:-1])
    payoff = np.zeros((len(outcome), len(convictions)))
    payoff[1:] = (convictions[:, :-1] * outcome[None, 1:]).mean(axis=2).T
    books = {
        name: hold(np.einsum("tk,ktn->tn", _following(learner(payoff)), convictions), panel)
        for name, learner in BASELINES.items()
    }
    known = np.isfinite(panel.prices)
    even = known / known.sum(axis=1, keepdims=True)
    inverse = np.nan_to_num(1.0 / np.where(panel.sigma > 0.0, panel.sigma, np.nan))
    books["buy and hold (equal)"] = _book(even, panel)
    scale = np.maximum(inverse.sum(axis=1, keepdims=True), 1e-9)
    books["inverse volatility"] = _book(inverse / scale, panel)
    books["LightGBM forecast alone"] = hold(np.nan_to_num(panel.features["forecast"]), panel)
    return books


def _following(weights: Floats) -> Floats:
    """Return the weights that may be used on the close of each bar: its payoff is known then."""
    return np.vstack([weights[1:], weights[-1:]])


def _colony_book(records: Records) -> tuple[Floats, Floats]:
    returns = np.zeros(len(records.nav))
    returns[1:] = records.nav[1:] / records.nav[:-1] - 1.0
    return returns, records.turnover


def compare_real(trials_before: int) -> list[RealResult]:
    """Return the rows on real data; every book tried here counts as a trial, and those before."""
    panel = load_panel()
    default = ColonySettings()
    books: dict[str, tuple[Floats, Floats]] = {}
    for name, changes in {"colony": {}, **ABLATIONS}.items():
        settings = ColonySettings.from_mapping(changes)
        state = new_state(settings, panel.instrument_ids, 1)
        books[name] = _colony_book(run(settings, state, panel)[1])
    books |= _portfolios(default, panel)
    trials = trials_before + len(books)
    measured = {name: (r[WARM_UP:], turn[WARM_UP:]) for name, (r, turn) in books.items()}
    spread = float(np.std([_sharpe(r) for r, _ in measured.values()]))
    return [
        _row(name, returns, turnover, trials, spread)
        for name, (returns, turnover) in measured.items()
    ]


def _sharpe(returns: Floats) -> float:
    spread = float(returns.std())
    return float(returns.mean() / spread * np.sqrt(252.0)) if spread > 1e-12 else 0.0


def _row(name: str, returns: Floats, turnover: Floats, trials: int, spread: float) -> RealResult:
    if not returns.std() > 1e-12:
        nan = float("nan")
        return RealResult(
            who=name, sharpe=0.0, sharpe_low=nan, sharpe_high=nan, deflated=nan,
            yearly_return=0.0, volatility=0.0, drawdown=0.0, turnover=float(turnover.mean()),
        )  # fmt: skip
    interval = confidence_interval(returns, sharpe_of, replications=1_000)
    root = np.sqrt(252.0)
    return RealResult(
        who=name,
        sharpe=_sharpe(returns),
        sharpe_low=interval.low * root,
        sharpe_high=interval.high * root,
        deflated=float(deflated_sharpe(returns, trials, spread)),
        yearly_return=float(returns.mean() * 252.0),
        volatility=float(returns.std() * root),
        drawdown=float(max_drawdown(returns)),
        turnover=float(turnover.mean()),
    )
