"""Backtests from a notebook: what the terminal launches, and variants of one experiment at once.

Every one of them is on the trial ledger before it runs, as those of the terminal and the UI are.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import polars as pl
import yaml

from assets.backtests import ground_of, look_ahead_faults
from assets.desk import Desk
from assets.experiment_market import abroad_of, data_versions, market_of
from assets.ports import ModelRegistry, TableStore
from assets.tearsheets import gather_finished
from models.experiments.apart import OpenLine
from models.experiments.fields import ExperimentError
from models.experiments.guard import samples_of
from models.experiments.market import Market
from models.experiments.points import check_points
from models.experiments.running import ResultStore, run_window, trial_of
from models.experiments.spec import ExperimentSpec, read_spec
from models.experiments.trials import TrialCount, TrialLedger, count_trials
from models.experiments.windows import windows_of
from pipelines.backtests import BUILDERS, WindowRun, launch, with_files
from pipelines.resources import workshop
from pipelines.settings import opened_dagster

Tell = Callable[[str], None]
Content = Mapping[str, object]  # what the YAML file of an experiment holds


@dataclass(frozen=True, slots=True)
class Finished:
    """What is on record of an experiment: scored sessions by label, and how often was tried."""

    rows: Mapping[str, pl.DataFrame]
    count: TrialCount


@dataclass(frozen=True, slots=True)
class Compared(Finished):
    """Variants of one experiment over the same sessions of the same market."""

    market: Market


def launch_experiment(name: str, content: Content, tell: Tell = print) -> Finished:
    """Launch an experiment as `apiary backtest run` does; return what is on record of it then.

    `content` is what its file would hold; files that it names are found from the working folder.
    `tell` hears of each step, and of each window as it is done. Raises ExperimentError, in one
    line, on a field that does not hold, and where a window failed or did not pass its check.
    """

    def done(run: WindowRun, number: int, count: int) -> None:
        figures = {f: run.figures.get(f) for f in ("sharpe", "deflated", "trials")}
        told = ", ".join(f"{f} {v:.3g}" for f, v in figures.items() if isinstance(v, float | int))
        tell(f"{number}/{count}  {run.partition}  {told or '; '.join(run.failed_checks)}")

    from pipelines.definitions import defs

    whole, before = with_files(dict(content), Path.cwd()), logging.root.manager.disable
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.yaml"
        path.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
        logging.disable(logging.WARNING)  # Dagster tells each of its steps
        try:
            with opened_dagster() as instance:
                runs = launch(path, defs, instance, done, tell)
        finally:
            logging.disable(before)
    for run in runs:
        if not run.success or run.failed_checks:
            why = "; ".join(run.failed_checks) or "it failed"
            raise ExperimentError(f"{run.partition} must pass its checks: {why}")
    return read_finished(name)


def read_finished(name: str) -> Finished:
    """Return what is on record of an experiment for the tables and the code as they stand."""
    ledger, results = _ledger(), cast("ResultStore", BUILDERS["backtest_results"]())
    tables = cast("TableStore", workshop().get("tables"))
    data = {data_versions(tables), data_versions(tables, abroad=True)}
    records = ledger.records()
    found = gather_finished(name, records, data, results, lambda _: None)
    if found is None:
        raise ExperimentError(f"{name} must have run on the tables and the code as they stand")
    return Finished(found.rows, count_trials(records, name, found.trial_ids))


def compare(
    name: str, content: Content, variants: Mapping[str, Content], tell: Tell = print
) -> Compared:
    """Run an experiment with each variant's fields in the place of its own; rows by variant.

    Each is a trial under `name`, also one that is given up later; what is finished is read. The
    look-ahead guard tries the first and the best. Raises ExperimentError on a field that does not
    hold, and where one looks ahead.
    """
    built = workshop()
    desk, tables = cast("Desk", built.get("desk")), cast("TableStore", built.get("tables"))
    if not variants:
        raise ExperimentError("variants must be at least one, were none")
    specs = {label: _spec(name, {**content, **changes}) for label, changes in variants.items()}
    ground, first = ground_of(desk), next(iter(specs.values()))
    for label, spec in specs.items():
        if (spec.universe, spec.contracts, spec.start, spec.end) != (
            *(first.universe, first.contracts),
            *(first.start, first.end),
        ):
            raise ExperimentError(
                f"{label} must be of the sessions and members of {next(iter(specs))}"
            )
        check_points(spec, ground)
    (window,) = windows_of(first)
    registry = cast("ModelRegistry", built.get("registry"))
    market = market_of(desk, tables, first, window, registry)
    data = data_versions(tables, abroad=bool(abroad_of(desk, tables, first.universe)))
    trials = {
        label: replace(trial_of(spec, window, ground, data, {}), point=label)
        for label, spec in specs.items()
    }
    ledger, results = _ledger(), cast("ResultStore", BUILDERS["backtest_results"]())
    tried = tuple({trial.trial_id: trial for trial in trials.values()}.values())
    found = run_window(tried, market, ledger, results, "notebook", tell)["rows"]
    rows = {
        label: found.filter(trial_id=trial.trial_id).with_columns(point=pl.lit(label))
        for label, trial in trials.items()
    }
    tell(f"{name}: the look-ahead guard")
    open_line = cast("OpenLine", BUILDERS["open_line"]())
    faults = look_ahead_faults(
        market,
        tried,
        pl.concat([rows[trial.point] for trial in tried]),
        samples_of(first),
        ledger,
        open_line,
    )
    if faults:
        raise ExperimentError(f"{name} must not look ahead: {faults[0]}")
    count = count_trials(ledger.records(), name, (trial.trial_id for trial in tried))
    return Compared(rows, count, market)


def _spec(name: str, content: Content) -> ExperimentSpec:
    spec = read_spec(name, dict(content))
    if spec.sweep is not None or spec.walk_forward is not None:
        raise ExperimentError("variants must be compared over one window, without a sweep")
    return spec


def _ledger() -> TrialLedger:
    return cast("TrialLedger", BUILDERS["trial_ledger"]())
