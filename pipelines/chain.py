"""The whole chain in one process: the same jobs that the schedules and the sensor start."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from time import perf_counter
from typing import Any
from uuid import uuid4

import dagster as dg
import polars as pl

from adapters.run_launcher import here
from assets.cleaning import PASSES_RULES
from assets.ingest import INGESTED, REMARK
from assets.partitions import ALL_TIME, month_key
from assets.ports import Source
from features.calendars import day_of, sessions_of_closes
from features.session_bars import Market, session_bars
from pipelines.chosen_market import with_market
from pipelines.colony_in_force import require_in_force
from pipelines.desk import build_desk, keep_windows, windows_from_sessions
from pipelines.jobs import FEATURES
from pipelines.launches import is_interrupted
from pipelines.market import settle_market
from pipelines.resources import Workshop
from pipelines.settings import (
    ApiarySettings,
    ChainStoppedError,
    SettingsError,
    Windows,
    read_colony,
    read_training,
)
from pipelines.universe import find_universe, settle_universe, universe_sentence

Progress = Callable[[str], None]
StageDone = Callable[[str, float, tuple[str, ...]], None]  # job, seconds, failed checks
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class Stage:
    """One job that ran: its name, how long it took, and the checks that did not pass."""

    job: str
    run_id: str
    seconds: float
    failed_checks: tuple[str, ...]


def settle(built: Workshop, tell: Progress) -> Windows:
    """Settle what the configuration leaves open, and return the dates of the three stages.

    The market and the dates are read off the source and written down. Raises SettingsError where
    nothing can be traded or there are too few sessions.
    """
    source: Any = built.get("source")
    market = settle_market(built.settings, source)
    if market is not None:
        built.adopt(with_market(built.settings, market))
        tell(f"market: {market.sentence}")
        for line in market.notes:
            tell(f"market: {line}")
    for line in source.left_out():
        tell(f"files: {line}")
    clock: Any = built.get("clock")
    windows = find_windows(built.settings, source, clock.now())
    universe, wanted = find_universe(built.settings), built.settings.universe
    if universe is not None and wanted is not None:
        chosen = universe_sentence(universe, wanted)
        tell(f"universe: {chosen} are decided on, the others are only looked at")
    return windows


def find_windows(settings: ApiarySettings, source: Source, now: datetime) -> Windows:
    """Return the configured dates, or those that the source's bars allow.

    Bars that are dated to come are ingested, so that they are put aside, and teach and decide
    nothing. Raises SettingsError where there are too few sessions, or more instruments than the
    colony has room for.
    """
    if settings.windows is not None and settings.universe is None:
        return settings.windows
    market = Market(
        settings.calendar,
        settings.base_currency,
        settings.asset_classes,
        settings.decision_lag,
        settings.foreign_currencies,
    )
    bars = session_bars(source.fetch("bars", *ALL_TIME), source.instruments(), market)
    if settings.universe is None:
        _require_room(settings, bars["instrument_id"].n_unique())
    windows = settings.windows or _windows_of_bars(settings, bars, now)
    universe = settle_universe(settings, bars, _at(windows.decisions.start))
    if universe is not None:
        _require_room(settings, len(universe.newest))
    return windows


def _windows_of_bars(settings: ApiarySettings, bars: pl.DataFrame, now: datetime) -> Windows:
    closes = bars["event_time"].unique()
    sessions = sessions_of_closes(settings.calendar, closes.filter(closes <= now))
    windows = windows_from_sessions(
        sessions,
        read_training(settings)[0].horizon_sessions,
        last_day=day_of(closes.max()) if len(closes) else None,  # type: ignore[arg-type]  # a time
    )
    keep_windows(settings.home, windows)
    return windows


def _require_room(settings: ApiarySettings, count: int) -> None:
    """Raise SettingsError where the colony has no room: it would be told after the training."""
    room = read_colony(settings).instruments_max
    if count > room:
        raise SettingsError(
            f"instruments_max of {settings.colony} must be at least the {count} instruments that "
            f"are decided on, was {room}; choose a part of them with --most-liquid {room} (in the "
            f"configuration universe: {{most_liquid: {room}}}, or a list), or raise it"
        )


def failed_checks(result: dg.ExecuteInProcessResult) -> tuple[str, ...]:
    """Return one line per asset check that did not pass."""
    lines: list[str] = []
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed:
            told = evaluation.metadata.get("reasons") or evaluation.metadata.get("held_back")
            reason = "" if told is None else _in_words(told.value)
            asset = evaluation.asset_key.to_user_string()
            if evaluation.check_name == PASSES_RULES:
                kept = asset.replace("clean_", "quarantine_")
                reason = f"{reason}; apiary sql 'select reason, row from {kept}' shows the rows"
            lines.append(f"{asset}: {evaluation.check_name} failed. {reason}".strip())
    return tuple(lines)


def _in_words(told: object) -> str:
    """Return what a check says as one line; a list in Markdown is for the UI."""
    return "; ".join(line.removeprefix("- ") for line in str(told or "").splitlines())


def remarks(result: dg.ExecuteInProcessResult) -> tuple[str, ...]:
    """Return what the assets say of their rows, to be seen after the run."""
    found = (
        event.materialization.metadata.get(REMARK)
        for event in result.get_asset_materialization_events()
    )
    # A run over many partitions tells the same for each of them.
    return tuple(dict.fromkeys(str(value.value) for value in found if value is not None))


def _told(error: Any) -> str:
    """Return what our own code said: Dagster wraps it, and what it came from says less."""
    while error.cause is not None and str(error.cls_name).startswith("Dagster"):
        error = error.cause
    return " ".join(str(error.message).split())


def _first_error(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            error: Any = event.step_failure_data.error
            return f"{event.step_key}: {'' if error is None else _told(error)}"
        error = getattr(event.event_specific_data, "error", None)
        if error is not None:  # a resource that cannot be opened fails outside of every step
            return _told(error)
    return "a blocking check failed"


class Chain:
    """Runs stages in order on one Dagster instance and stops at the first that fails."""

    def __init__(
        self,
        defs: dg.Definitions,
        instance: dg.DagsterInstance,
        workshop: Workshop,
        tell: Progress,
        done: StageDone,
        warn: Progress = lambda _: None,
    ) -> None:
        """`tell` gets what passes by, `warn` what is to be seen afterwards, `done` each stage."""
        self._defs, self._instance, self._workshop = defs, instance, workshop
        self._tell, self._done, self._warn = tell, done, warn
        self.stages: list[Stage] = []

    def run(
        self,
        job: str,
        *,
        first: str | None = None,
        last: str | None = None,
        assets: Sequence[str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> Stage:
        """Run a job over a range of partitions; raise ChainStoppedError where it fails."""
        run_id = str(uuid4())
        self._instance.add_event_listener(run_id, self._on_event)
        started = perf_counter()
        span = (
            {}
            if first is None or last is None
            else {
                "dagster/asset_partition_range_start": first,
                "dagster/asset_partition_range_end": last,
            }
        )
        result = self._defs.resolve_job_def(job).execute_in_process(
            instance=self._instance,
            run_id=run_id,
            tags={**(tags or {}), **span, **here()},
            asset_selection=None if assets is None else [dg.AssetKey(a) for a in assets],
            raise_on_error=False,
            run_config=QUIET,
        )
        for line in remarks(result):
            self._warn(line)
        checks = failed_checks(result)
        stage = Stage(job, run_id, perf_counter() - started, checks)
        if not result.success:
            why = "; ".join(checks) or _first_error(result)
            if is_interrupted(result):
                why = "it was interrupted; the same command goes on from there"
            raise ChainStoppedError(f"{job} stopped: {why}")
        self.stages.append(stage)
        self._done(job, stage.seconds, checks)
        return stage

    def _on_event(self, entry: Any) -> None:
        event = entry.dagster_event
        if event is not None and event.is_step_start:
            self._tell(event.step_key)
        elif event is None and entry.user_message:
            self._tell(entry.user_message)

    def history(self, windows: Windows) -> None:
        """Ingest, validate and compute features over the whole history, in one run."""
        source: Any = self._workshop.get("source")
        tables = [name for name in INGESTED if name in source.tables]
        names = [f"{kind}_{name}" for name in tables for kind in ("raw", "clean")]
        first, last = month_key(_at(windows.history.start)), month_key(_at(windows.history.end))
        self.run("history_job", first=first, last=last, assets=["instruments", *names, *FEATURES])

    def learn(self, windows: Windows) -> None:
        """Train, promote by the rule, and forecast every month that is decided."""
        self.run("training_job")
        # A close at midnight lies in the day, and so may lie in the month, after its session.
        end = _at(windows.decisions.end) + timedelta(days=1)
        first, last = month_key(_at(windows.decisions.start)), month_key(end)
        self.run("forecast_job", first=first, last=last)

    def trade(self, windows: Windows) -> None:
        """Decide every session of the window but the newest, then ask the sensor for that one."""
        sessions = self._sessions(windows)
        if len(sessions) > 1:
            self.run("swarm_decision_job", first=sessions[0], last=sessions[-2])
        for request in self._ask_sensor():
            self.run(
                "swarm_decision_job",
                first=request.partition_key,
                last=request.partition_key,
                tags={k: v for k, v in request.tags.items() if k != "dagster/partition"},
            )

    def _sessions(self, windows: Windows) -> list[str]:
        tables: Any = self._workshop.get("tables")
        start = _at(windows.decisions.start)
        end = _at(windows.decisions.end) + timedelta(days=2)
        closes: pl.Series = tables.read("features", start=start, end=end, columns=["event_time"])[
            "event_time"
        ]
        calendar, span = self._workshop.settings.calendar, windows.decisions
        sessions = sessions_of_closes(calendar, closes.unique())
        return [day.isoformat() for day in sessions if span.start <= day <= span.end]

    def _ask_sensor(self) -> list[dg.RunRequest]:
        """Evaluate the decision sensor as the daemon does, and return the runs it asks for."""
        from pipelines.sensors import swarm_decision_sensor

        resources = {
            name: self._workshop.get(name) for name in swarm_decision_sensor.required_resource_keys
        }
        with dg.build_sensor_context(
            instance=self._instance, definitions=self._defs, resources=resources
        ) as context:
            evaluated = swarm_decision_sensor.evaluate_tick(context)
        if evaluated.skip_message:
            self._tell(evaluated.skip_message)
        return list(evaluated.run_requests or [])

    def whole(self, windows: Windows) -> None:
        """Run every stage."""
        build_desk(self._workshop.settings)  # a wrong setting stops before anything is written
        require_in_force(self._workshop.settings, windows.decisions.end)
        self.history(windows)
        self.learn(windows)
        self.trade(windows)
        self.run("report_job")


def _at(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), tzinfo=UTC)
