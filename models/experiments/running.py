"""Running the trials of a window: what is finished is read, the rest is run, all of it kept."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

import polars as pl

from models.experiments.backtest import Result, run_backtest
from models.experiments.market import Market
from models.experiments.points import Ground, Point, grid_points, point_text, resolve
from models.experiments.spec import ExperimentSpec
from models.experiments.sweeping import run_pooled
from models.experiments.trials import (
    LAUNCHED,
    Outcome,
    Trial,
    TrialLedger,
    finished_trials,
    launched,
)
from models.experiments.windows import Window
from swarm_core.worker_pool import WorkerPool

_ROOT = Path(__file__).parents[2]
POOLED_FROM = 4  # fewer trials are over before a worker process has started: kept ones stand
Frames = Mapping[str, pl.DataFrame]


class ResultStore(Protocol):
    """The rows of finished trials, each under the name of its trial."""

    def put(self, key: str, frames: Frames) -> str:
        """Keep the frames, whole or not at all, and return the hash of their bytes."""
        ...

    def find(self, key: str) -> Frames | None:
        """Return the frames, or None where they are not there or not whole."""
        ...


@cache
def deciding_code() -> str:
    """Return the hash of the code that a backtest's decisions follow from."""
    digest = hashlib.sha256()
    folders = (_ROOT / "swarm_core", _ROOT / "models" / "experiments")
    paths = sorted(p for folder in folders for p in folder.rglob("*.py"))
    around = ("observing.py", "session_actions.py", "series.py", "session_bars.py")
    for path in (*paths, *(_ROOT / "features" / name for name in around)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def trials_of(spec: ExperimentSpec, window: Window, ground: Ground, data: str) -> tuple[Trial, ...]:
    """Return a window's trials, one for each point of the grid; raises as resolve does."""
    return tuple(trial_of(spec, window, ground, data, point) for point in grid_points(spec))


def trial_of(
    spec: ExperimentSpec, window: Window, ground: Ground, data: str, point: Point
) -> Trial:
    """Return the trial of one point; raises ExperimentError where its settings fail."""
    chosen = resolve(spec, point, ground)
    return Trial(
        experiment=spec.name,
        point=point_text(point),
        window=window,
        universe=spec.universe,
        contracts=spec.contracts,
        colony=chosen.colony,
        venue=chosen.venue,
        limits=chosen.limits,
        sizing=chosen.sizing,
        strategy=chosen.strategy,
        seed=ground.seed if spec.seed is None else spec.seed,
        nav=ground.nav,
        base_currency=ground.base_currency,
        code=deciding_code(),
        data=data,
    )


def run_window(
    trials: Sequence[Trial],
    market: Market,
    ledger: TrialLedger,
    results: ResultStore,
    run_id: str,
    tell: Callable[[str], None] = lambda _: None,
    pool: WorkerPool | None = None,
) -> dict[str, pl.DataFrame]:
    """Return the rows and parts of all trials in order; a finished trial is not run again.

    Killed at any moment and started again, it ends with the same bytes; so it does whether the
    trials run here or in the workers of `pool`.
    """
    records = ledger.records()
    done = finished_trials(records)
    kept = {t.trial_id: results.find(t.trial_id) for t in trials if t.trial_id in done}
    missing = {t.trial_id: t for t in trials if kept.get(t.trial_id) is None}
    ran = len(trials) - len(missing)
    told = {
        r["trial_id"] for r in records if (r["kind"], r.get("experiment")) == _launch_of(trials)
    }
    for trial in trials:
        if trial.trial_id not in missing and trial.trial_id not in told:
            ledger.append(launched(trial, run_id))  # it ran under another experiment's name

    def finish(trial: Trial, result: Result) -> None:
        nonlocal ran
        kept[trial.trial_id] = frames = {"rows": result.rows, "parts": result.parts}
        results.put(trial.trial_id, frames)
        ran += 1
        tell(f"{trial.experiment} {trial.window.key}: trial {ran} of {len(trials)}")

    least = 2 if pool is not None and pool.is_kept else POOLED_FROM
    if pool is None or len(missing) < least:
        for trial in missing.values():
            finish(trial, run_backtest(trial, market, ledger, run_id))
    else:
        run_pooled(tuple(missing.values()), market, ledger, run_id, pool, finish)
    gathered = [frames for t in trials if (frames := kept[t.trial_id]) is not None]
    return {name: pl.concat([frames[name] for frames in gathered]) for name in ("rows", "parts")}


def _launch_of(trials: Sequence[Trial]) -> tuple[str, str | None]:
    return LAUNCHED, trials[0].experiment if trials else None


def pooled_digest(trials: Iterable[Trial], outcomes: Mapping[str, Outcome]) -> str:
    """Return the hash of a window's results: equal where every trial gave the same bytes."""
    parts = [f"{t.trial_id}:{outcomes[t.trial_id].digest}" for t in trials]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
