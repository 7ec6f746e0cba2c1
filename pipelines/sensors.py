"""Sensors: the decision that follows complete data, and the word that goes out when a run fails."""

import dagster as dg

from assets.desk import Desk
from assets.ports import EventLog, Notifier, TableStore
from assets.readiness import next_session
from pipelines.jobs import swarm_decision_job

DECISION_POLL_S = 30


@dg.sensor(
    job=swarm_decision_job,
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
    refuses a second decision even where one is started by hand.
    """
    ready = next_session(desk, tables, log)
    if ready.session is None:
        return dg.SkipReason(ready.reason)
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


@dg.run_failure_sensor(default_status=dg.DefaultSensorStatus.RUNNING)
def run_failure_notification(
    context: dg.RunFailureSensorContext, notifier: dg.ResourceParam[Notifier]
) -> None:
    """Tell people that a run failed, with its first error, by every configured channel."""
    run = context.dagster_run
    notifier.notify(
        f"run of {run.job_name} failed",
        f"run {run.run_id}, tags {dict(run.tags)}: {context.failure_event.message}",
    )
