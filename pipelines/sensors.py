"""Sensors: the decision that follows complete data, and the word that goes out when a run fails."""

import dagster as dg

from assets.desk import Desk
from assets.ports import EventLog, Notifier, TableStore
from assets.readiness import next_session
from pipelines.backtests import SENSOR_S, launches_of, tearsheet_job
from pipelines.jobs import swarm_decision_job
from pipelines.launches import OWNER, is_alive
from pipelines.resources import workshop
from trader.opening import find_holder

DECISION_POLL_S = 30


@dg.sensor(
    job=swarm_decision_job,
    description="Decides a session once its features and forecasts are in and every blocking check "
    "passed; not while another process trades the book.",
    minimum_interval_seconds=DECISION_POLL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def swarm_decision_sensor(
    context: dg.SensorEvaluationContext,
    desk: dg.ResourceParam[Desk],
    tables: dg.ResourceParam[TableStore],
    log: dg.ResourceParam[EventLog],
) -> dg.SensorResult | dg.SkipReason:
    """Decide a session once its features and forecasts are in and every blocking check passed.

    The run key is the session: Dagster never starts a second run for it, and the event log
    refuses a second decision even where one is started by hand. While another process trades the
    book none is started: it would fail, and its session never be decided.
    """
    ready = next_session(desk, tables, log)
    if ready.session is None:
        return dg.SkipReason(ready.reason)
    holder = find_holder(workshop().home)
    if holder is not None:
        return dg.SkipReason(f"session {ready.session} waits: the book is traded by {holder}")
    context.log.info(ready.reason)
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=f"decision-{ready.session}",
                partition_key=ready.session,
                tags={"apiary/session": ready.session},
            )
        ]
    )


_BACKTESTS, _TEARSHEETS = dg.AssetKey("backtests"), dg.AssetKey("tearsheets")
_UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


@dg.sensor(
    job=tearsheet_job,
    description="Writes the tearsheets once no window of a backfill waits or runs.",
    minimum_interval_seconds=SENSOR_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def tearsheets_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Write the pages once no window of a backfill waits or runs: whoever launched it reads them.

    `apiary backtest run` writes them itself, and they are the newer ones then.
    """
    window = context.instance.get_latest_materialization_event(_BACKTESTS)
    if window is None:
        return dg.SkipReason("no window of an experiment has run")
    pages = context.instance.get_latest_materialization_event(_TEARSHEETS)
    if pages is not None and pages.timestamp >= window.timestamp:
        return dg.SkipReason("the tearsheets are newer than every window")
    runs = context.instance.get_runs(dg.RunsFilter(statuses=list(_UNFINISHED)))
    if any(map(_is_window_under_way, runs)):
        return dg.SkipReason("windows of experiments are still to be run")
    return dg.RunRequest(run_key=f"tearsheets-{window.run_id}-{window.timestamp}")


def _is_window_under_way(run: dg.DagsterRun) -> bool:
    """Return whether a run is of windows, and not of a command that was killed."""
    owner = run.tags.get(OWNER)
    is_lost = owner is not None and not is_alive(launches_of(workshop().home), owner)
    is_window = run.job_name == "backtest_job" or _BACKTESTS in (run.asset_selection or ())
    return is_window and not is_lost


@dg.run_failure_sensor(default_status=dg.DefaultSensorStatus.RUNNING)
def run_failure_notification(
    context: dg.RunFailureSensorContext, notifier: dg.ResourceParam[Notifier]
) -> None:
    """Tell people that a run failed, with its first error, by every configured channel."""
    run = context.dagster_run
    told = {k: v for k, v in run.tags.items() if k.startswith(("apiary/", "dagster/partition"))}
    notifier.notify(
        f"run of {run.job_name} failed", f"run {run.run_id}, tags {told}: {_first_error(context)}"
    )


def _first_error(context: dg.RunFailureSensorContext) -> str:
    """Return what was raised first, in a line: Dagster's own errors only wrap it."""
    steps = context.get_step_failure_events()
    where = f"{steps[0].step_key}: " if steps else ""
    data = steps[0].step_failure_data if steps else context.failure_event.job_failure_data
    error = data.error
    if error is None:
        return f"{where}{context.failure_event.message}"
    while error.cause is not None:
        error = error.cause
    return where + " ".join(error.message.split())
