"""Schedules: on the days the exchange opens, after its close and the arrival of its data."""

from datetime import date

import dagster as dg

from assets.partitions import HOLIDAYS_FILE, month_key
from pipelines.jobs import report_job, session_job, training_job

EXCHANGE_ZONE = "America/New_York"
_HOLIDAYS = frozenset(date.fromisoformat(line) for line in HOLIDAYS_FILE.read_text().split())


def is_session_day(day: date) -> bool:
    """Return whether the exchange opens on this day."""
    return day.weekday() < 5 and day not in _HOLIDAYS


@dg.schedule(
    job=session_job,
    cron_schedule="30 17 * * 1-5",
    execution_timezone=EXCHANGE_ZONE,
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
def newest_session_schedule(
    context: dg.ScheduleEvaluationContext,
) -> dg.RunRequest | dg.SkipReason:
    """Ingest, validate and forecast the session that just closed; the decision sensor goes on.

    Starts stopped: turn it on once the sources of the desk are live ones.
    """
    moment = context.scheduled_execution_time
    if not is_session_day(moment.date()):
        return dg.SkipReason(f"{moment.date()} is no session")
    return dg.RunRequest(
        run_key=f"session-{moment.date()}",
        partition_key=month_key(moment),
        tags={"apiary/session": moment.date().isoformat()},
    )


@dg.schedule(
    job=training_job,
    cron_schedule="0 9 * * 6",
    execution_timezone=EXCHANGE_ZONE,
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
def weekly_training_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Train a challenger on Saturdays, when no session is open."""
    return dg.RunRequest(run_key=f"training-{context.scheduled_execution_time.date()}")


@dg.schedule(
    job=report_job,
    cron_schedule="0 20 * * 1-5",
    execution_timezone=EXCHANGE_ZONE,
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
def daily_report_schedule(
    context: dg.ScheduleEvaluationContext,
) -> dg.RunRequest | dg.SkipReason:
    """Move aged rows to colder tiers and write the report after each session."""
    day = context.scheduled_execution_time.date()
    if not is_session_day(day):
        return dg.SkipReason(f"{day} is no session")
    return dg.RunRequest(run_key=f"report-{day}")


SCHEDULES = [newest_session_schedule, weekly_training_schedule, daily_report_schedule]
