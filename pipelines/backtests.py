"""Experiments in Dagster: where they are written, their partitions, job, sensor and launch."""

import shutil
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import dagster as dg
import yaml

from adapters.run_launcher import here
from assets.backtests import EXPERIMENTS, POOL, ground_of
from assets.desk import Desk
from assets.experiment_market import check_tables
from assets.ports import TableStore
from models.experiments.fields import ExperimentError, wrong
from models.experiments.points import check_points
from models.experiments.spec import ExperimentSpec, read_spec
from models.experiments.windows import partition_key, windows_of
from pipelines.launches import OWNER, free_what_died, is_interrupted, launch_of
from pipelines.resources import workshop
from pipelines.settings import ROOT

FOLDER = ROOT / "experiments"
POOL_SLOTS = 2  # as many as there are cores; more would only slow each other
SENSOR_S = 60
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def read_file(path: Path) -> ExperimentSpec:
    """Return the experiment of a YAML file; raises ExperimentError with one line."""
    if not path.is_file():
        raise ExperimentError(f"the experiment must be a file that exists, was {path}")
    content = _parsed(path, _text(path, "the experiment"))
    try:
        return read_spec(path.stem, with_files(content, path.parent))
    except ExperimentError as error:
        raise ExperimentError(f"{path.name}: {error}") from error


def with_files(content: object, folder: Path) -> object:
    """Return an experiment with the text of the files that it names beside itself in their place.

    They are the module of `strategy.file`, and the limits where `risk_limits` names a file.
    """
    if not isinstance(content, dict):
        return content
    whole = dict(content)
    strategy, limits = whole.get("strategy"), whole.get("risk_limits")
    if isinstance(strategy, dict) and isinstance(strategy.get("file"), str):
        rest = {name: value for name, value in strategy.items() if name != "file"}
        source = _text(folder / strategy["file"], "strategy.file")
        whole["strategy"] = {**rest, "source": source}
    if isinstance(limits, str):
        path = folder / limits
        whole["risk_limits"] = _parsed(path, _text(path, "risk_limits"))
    return whole


def _text(path: Path, name: str) -> str:
    if not path.is_file():
        raise wrong(name, "a file that exists", str(path))
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ExperimentError(
            f"{name} must be text in UTF-8, {path} was not at byte {error.start}"
        ) from error


class _Once(yaml.SafeLoader):
    """Reads YAML in which no field stands twice: the last one would be taken without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for key, _ in node.value:
            if names.count(key.value) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value} stands twice", problem_mark=key.start_mark
                )
        return super().construct_mapping(node, deep)


def _parsed(path: Path, text: str) -> Any:
    try:
        return yaml.load(text, _Once)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        told = " ".join(str(error).split())
        raise ExperimentError(f"{path} must be valid YAML: {told}") from error


class ExperimentFiles:
    """Experiments by name: first those that were launched in this home, then the shipped ones.

    The name is the one the file gives itself, its stem where it gives none; a file that cannot be
    read goes by its stem, so that asking for it tells what is wrong with it.
    """

    def __init__(self, *folders: Path) -> None:
        self._folders = folders

    def _paths(self) -> dict[str, Path]:
        paths: dict[str, Path] = {}
        for folder in self._folders:
            for path in sorted(folder.glob("*.yaml")):
                try:
                    name = read_file(path).name
                except ExperimentError:
                    name = path.stem
                paths.setdefault(name, path)
        return paths

    def names(self) -> list[str]:
        """Return the names of every experiment that is written down, each once."""
        return sorted(self._paths())

    def get(self, name: str) -> ExperimentSpec:
        """Return the experiment; raises ExperimentError where it is none or does not hold."""
        for folder in self._folders:  # nearly always a file is named as its experiment is
            path = folder / f"{name}.yaml"
            if path.is_file() and (spec := read_file(path)).name == name:
                return spec
        paths = self._paths()
        if name not in paths:
            raise wrong("an experiment", f"one of {', '.join(sorted(paths)) or 'none yet'}", name)
        return read_file(paths[name])

    def keep(self, path: Path) -> ExperimentSpec:
        """Copy a file into the home, so that its partitions can be run again, and read it."""
        spec, home = read_file(path), self._folders[0]
        target = home / f"{spec.name}.yaml"
        home.mkdir(parents=True, exist_ok=True)
        if target.resolve() != path.resolve():
            content = _parsed(path, _text(path, "the experiment"))
            whole = with_files(content, path.parent)
            if whole == content:
                shutil.copyfile(path, target)  # with its comments
            else:
                target.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
        return spec


def experiment_files(home: Path) -> ExperimentFiles:
    """Return the experiments of a home and those that are shipped."""
    return ExperimentFiles(home / "experiments", FOLDER)


def _ledger() -> object:
    from adapters.stores.trial_ledger import SqliteTrialLedger

    return SqliteTrialLedger(workshop().home / "backtests" / "trials.db")


def _results() -> object:
    from adapters.stores.backtest_results import ArrowResults

    return ArrowResults(workshop().home / "backtests" / "results")


def _pages() -> object:
    from adapters.reports.tearsheet import TearsheetPages

    return TearsheetPages(workshop().home / "backtests" / "tearsheets")


def _open_pool() -> object:
    sweeps = workshop().settings.sweeps

    def open_pool(worker_count: int) -> object:
        if sweeps.engine == "in_process" or worker_count == 1:
            return None
        if sweeps.engine == "ray":
            from adapters.workers.ray_cluster import RayPool

            return RayPool(worker_count, sweeps.address)
        from adapters.workers.processes import ProcessPool

        return ProcessPool(worker_count)

    return open_pool


def _open_line() -> object:
    from adapters.workers.line import ProcessLine

    return ProcessLine


_TELL: ContextVar[Callable[[str], None]] = ContextVar("tell", default=lambda _: None)

BUILDERS: dict[str, Callable[[], object]] = {
    "tell": _TELL.get,
    "experiments": lambda: experiment_files(workshop().home),
    "trial_ledger": _ledger,
    "backtest_results": _results,
    "tearsheet_pages": _pages,
    "open_pool": _open_pool,
    "open_line": _open_line,
}


def backtest_resources() -> dict[str, dg.ResourceDefinition]:
    """Return the ports of the backtests, each built when a run first needs it."""

    def definition(build: Callable[[], object]) -> dg.ResourceDefinition:
        return dg.ResourceDefinition(resource_fn=lambda _: build())

    return {name: definition(build) for name, build in BUILDERS.items()}


backtest_job = dg.define_asset_job(
    "backtest_job",
    selection=dg.AssetSelection.assets("backtests"),
    partitions_def=EXPERIMENTS,
    description="One window of an experiment; a backfill over its windows is the backtest.",
    executor_def=dg.in_process_executor,
)

tearsheet_job = dg.define_asset_job(
    "tearsheet_job",
    selection=dg.AssetSelection.assets("tearsheets"),
    description="Write a page for each experiment and one that sets them side by side.",
    executor_def=dg.in_process_executor,
)


def launches_of(home: Path) -> Path:
    """Return the folder of the launches from a terminal."""
    return home / "backtests" / "launches"


def keys_of(spec: ExperimentSpec) -> list[str]:
    """Return the partitions of an experiment, in the order of time."""
    return [partition_key(spec, window) for window in windows_of(spec)]


@dg.sensor(
    description="Adds the partitions of every experiment that is written down.",
    minimum_interval_seconds=SENSOR_S,
    asset_selection=dg.AssetSelection.assets("backtests"),
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def experiments_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Add the partitions of every experiment that is written down, so that it can be launched."""
    files = experiment_files(workshop().home)
    known = set(context.instance.get_dynamic_partitions("experiments"))
    wanted: list[str] = []
    for name in files.names():
        try:
            wanted += keys_of(files.get(name))
        except ExperimentError as error:
            context.log.warning(str(error))
    missing = [key for key in wanted if key not in known]
    if not missing:
        return dg.SkipReason("every experiment has its partitions")
    return dg.SensorResult(dynamic_partitions_requests=[EXPERIMENTS.build_add_request(missing)])


@dataclass(frozen=True, slots=True)
class WindowRun:
    """One partition that ran: what its metadata say, and which checks failed."""

    partition: str
    success: bool
    figures: dict[str, Any]
    failed_checks: tuple[str, ...]


def launch(
    path: Path,
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    done: Callable[[WindowRun, int, int], None],
    tell: Callable[[str], None] = lambda _: None,
) -> Sequence[WindowRun]:
    """Check an experiment whole, add its partitions, and run them in order of time.

    `done` is called after each window, `tell` at each step within it. Raises ExperimentError
    before anything is run where a field, a point or a date fails, and after the windows where the
    tearsheets could not be written.
    """
    token = _TELL.set(tell)
    try:
        return _launch(path, defs, instance, done)
    finally:
        _TELL.reset(token)


def _launch(
    path: Path,
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    done: Callable[[WindowRun, int, int], None],
) -> Sequence[WindowRun]:
    built = workshop()
    desk = built.get("desk")
    assert isinstance(desk, Desk)
    check_points(read_file(path), ground_of(desk))
    check_tables(cast("TableStore", built.get("tables")))
    spec = experiment_files(built.home).keep(path)
    keys = keys_of(spec)
    instance.add_dynamic_partitions("experiments", keys)
    storage, launches = instance.event_log_storage, launches_of(built.home)
    if storage.supports_global_concurrency_limits:
        storage.set_concurrency_slots(POOL, POOL_SLOTS)
        free_what_died(instance, POOL, launches)
    job = defs.resolve_job_def("backtest_job")
    runs: list[WindowRun] = []
    with launch_of(launches) as name:
        for number, key in enumerate(keys, 1):
            result = job.execute_in_process(
                instance=instance,
                partition_key=key,
                raise_on_error=False,
                run_config=_QUIET,
                tags={OWNER: name, **here()},
            )
            if is_interrupted(result):
                raise ExperimentError(f"{key} was interrupted; the same command goes on from there")
            runs.append(_window_run(key, result))
            done(runs[-1], number, len(keys))
    pages = defs.resolve_job_def("tearsheet_job").execute_in_process(
        instance=instance, raise_on_error=False, run_config=_QUIET, tags=here()
    )
    if not pages.success:
        why = "it was interrupted" if is_interrupted(pages) else "; ".join(_failures(pages))
        raise ExperimentError(f"the tearsheets must be written, were not: {why}")
    return runs


def _window_run(key: str, result: dg.ExecuteInProcessResult) -> WindowRun:
    figures: dict[str, Any] = {}
    for event in result.get_asset_materialization_events():
        told = event.step_materialization_data.materialization.metadata
        figures |= {name: getattr(value, "value", None) for name, value in told.items()}
    failed = tuple(
        f"{e.check_name}: {getattr(e.metadata.get('reasons'), 'value', '')}"
        for e in result.get_asset_check_evaluations()
        if not e.passed
    )
    if not result.success:
        failed += _failures(result)
    return WindowRun(key, result.success, figures, failed)


def _failures(result: dg.ExecuteInProcessResult) -> tuple[str, ...]:
    """Return what each failed step raised first; one that the run itself failed on at the least."""
    told = tuple(
        _root_cause(e.step_failure_data.error)
        for e in result.all_events
        if e.is_step_failure and e.step_failure_data.error is not None
    )
    return told or ("the run failed before its step began; its log in Dagster tells why",)


def _root_cause(error: Any) -> str:
    """Return what was raised first in one line: Dagster wraps it in an error of the step."""
    while error.cause is not None:
        error = error.cause
    return " ".join(str(error.message).split())
