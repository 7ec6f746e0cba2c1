"""Backtests: a partition is one window of an experiment, and a backfill over them the backtest."""

import io
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Protocol

import dagster as dg
import polars as pl

from assets.desk import Desk
from assets.experiment_market import abroad_of, data_versions, market_of
from assets.pictures import picture
from assets.ports import ModelRegistry, TableStore
from assets.steady_tables import SteadyTables
from models.experiments.apart import OpenLine
from models.experiments.guard import samples_of, trial_faults
from models.experiments.judgement import judge, judge_points
from models.experiments.market import Market
from models.experiments.points import Ground
from models.experiments.running import (
    POOLED_FROM,
    ResultStore,
    pooled_digest,
    run_window,
    trials_of,
)
from models.experiments.search import search_window
from models.experiments.spec import SEARCH, ExperimentSpec
from models.experiments.trials import (
    Trial,
    TrialCount,
    TrialLedger,
    count_trials,
    finished_trials,
    peeked,
    peeks_on_record,
)
from models.experiments.windows import find_window, split_key
from swarm_core.worker_pool import WorkerPool

EXPERIMENTS = dg.DynamicPartitionsDefinition(name="experiments")
POOL = "backtests"
NO_PEEKING = "decisions_stand_without_their_future"


Tell = Callable[[str], None]  # shows a line of progress to whoever launched the run


class Experiments(Protocol):
    """The experiments that are written down."""

    def get(self, name: str) -> ExperimentSpec:
        """Return the experiment; raises ExperimentError where it is none or does not hold."""
        ...

    def names(self) -> Sequence[str]: ...


class PoolFactory(Protocol):
    """Opens the workers that a sweep's trials run in."""

    def __call__(self, worker_count: int) -> WorkerPool | None:
        """Return a pool of so many workers; None where trials run in this process."""
        ...


def ground_of(desk: Desk) -> Ground:
    """Return what the desk itself does, for everything that an experiment leaves open."""
    return Ground(
        colony=desk.colony,
        venue=desk.venue,
        limits=desk.limits,
        seed=desk.colony_seed,
        nav=float(desk.starting_cash),
        base_currency=desk.base_currency,
    )


@dg.asset(
    partitions_def=EXPERIMENTS,
    group_name="research",
    # A window reads what there is when it runs: Dagster would look for partitions of its own name.
    deps=[
        dg.AssetDep(name, partition_mapping=dg.AllPartitionMapping())
        for name in ("features", "forecasts", "clean_bars")
    ],
    kinds={"numba", "arrow"},
    pool=POOL,
    check_specs=[
        dg.AssetCheckSpec(
            NO_PEEKING,
            asset="backtests",
            description="No decision changes where everything after it is cut off.",
        )
    ],
)
def backtests(
    context: dg.AssetExecutionContext,
    desk: dg.ResourceParam[Desk],
    tables: dg.ResourceParam[TableStore],
    registry: dg.ResourceParam[ModelRegistry],
    experiments: dg.ResourceParam[Experiments],
    trial_ledger: dg.ResourceParam[TrialLedger],
    backtest_results: dg.ResourceParam[ResultStore],
    open_pool: dg.ResourceParam[PoolFactory],
    open_line: dg.ResourceParam[OpenLine],
    tell: dg.ResourceParam[Tell],
) -> dg.MaterializeResult:
    """One window of an experiment, every point of its sweep; finished trials are read."""
    name, key = split_key(context.partition_key)
    spec = experiments.get(name)
    window = find_window(spec, key)
    tables = SteadyTables(tables)
    market = market_of(desk, tables, spec, window, registry)
    abroad = bool(abroad_of(desk, tables, spec.universe))
    given = spec, window, ground_of(desk), data_versions(tables, abroad=abroad)
    pool = None if spec.sweep is None else open_pool(spec.sweep.workers)

    def say(line: str) -> None:
        context.log.info(line)
        tell(line)

    def run(asked: Sequence[Trial]) -> dict[str, pl.DataFrame]:
        kept = trial_ledger, backtest_results
        return run_window(asked, market, *kept, context.run.run_id, say, pool)

    if spec.sweep is not None and spec.sweep.method == SEARCH:
        is_short = spec.sweep.trials < POOLED_FROM
        # A search runs a few trials at a time: its workers stay from the first to the last.
        with nullcontext() if pool is None or is_short else pool:
            trials, found = search_window(*given, run)
    else:
        trials = trials_of(*given)
        found = run(trials)
    samples = samples_of(spec)
    peeks = look_ahead_faults(market, trials, found["rows"], samples, trial_ledger, open_line)
    records = trial_ledger.records()
    digest = pooled_digest(trials, finished_trials(records))
    return dg.MaterializeResult(
        data_version=dg.DataVersion(digest),
        metadata={
            "dagster/row_count": found["rows"].height,
            "result_hash": digest,
            "points": len(trials),
            **_figures(found["rows"], count_trials(records, name, (t.trial_id for t in trials))),
            "equity": picture(_equity_png(found["rows"]), "equity"),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=NO_PEEKING,
                passed=not peeks,
                metadata={"samples": samples, "reasons": "; ".join(peeks) or "none"},
            )
        ],
    )


def look_ahead_faults(
    market: Market,
    trials: Sequence[Trial],
    rows: pl.DataFrame,
    samples: int,
    ledger: TrialLedger,
    open_line: OpenLine,
) -> list[str]:
    """Try the first trial and the best, which is the one that is believed.

    What peeks is written down once, so that the tearsheet says it beside the figures.
    """
    best = _best(rows)["trial_id"][0]
    tried = [t for at, t in enumerate(trials) if at == 0 or t.trial_id == best]
    known = peeks_on_record(ledger.records())
    reasons: list[str] = []
    for trial in tried:
        returns = rows.filter(trial_id=trial.trial_id)["net_return"].to_numpy()
        found = trial_faults(trial, market, samples, returns, open_line)
        if found and trial.trial_id not in known:
            ledger.append(peeked(trial, found[0]))
        reasons += found
    return reasons


def _figures(rows: pl.DataFrame, count: TrialCount) -> dict[str, Any]:
    """Return what the best point came to, judged by how often was tried."""
    best = _best(rows)
    judged = judge(best, count, judge_points(rows.partition_by("point")))
    named = judged.named().items()
    return {
        "best_point": best["point"][0],
        "is_luck": judged.is_luck,
        "is_luck_active": judged.is_luck_active,
        **{k: dg.MetadataValue.float(float(v)) for k, v in named if v is not None},
    }


def _best(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the point with the best ratio of mean to deviation."""
    spread = pl.col("net_return").std()
    ranked = (
        rows.group_by("point", maintain_order=True)
        .agg(ratio=pl.when(spread > 0).then(pl.col("net_return").mean() / spread))
        .sort("ratio", descending=True, nulls_last=True, maintain_order=True)
    )
    return rows.filter(pl.col("point") == ranked["point"][0])


def _equity_png(rows: pl.DataFrame) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), dpi=100, layout="constrained")
    axes = figure.subplots()
    for (point,), part in rows.partition_by("point", as_dict=True, maintain_order=True).items():
        level = (1.0 + part["net_return"]).cum_prod() * 100.0
        axes.plot(part["event_time"].to_numpy(), level.to_numpy(), lw=1, label=str(point)[:60])
    axes.set_title("Equity after costs, start = 100", loc="left", fontsize=9)
    axes.grid(visible=True, axis="y", alpha=0.4)
    if 1 < rows["point"].n_unique() <= 8:
        axes.legend(fontsize=7, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
