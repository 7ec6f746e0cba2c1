"""Schedules: after each session of the desk's exchange, once its data are in, and each week."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

import dagster as dg

from assets.partitions import HOLIDAYS_FILE, USUAL_CALENDAR, month_key
from features import calendars
from pipelines.jobs import parity_job, report_job, session_job, training_job, upkeep_job

# Building a calendar takes a second; of the usual one these suffice (a test compares them).
_USUAL_ZONE, _USUAL_CLOSE = "America/New_York", time(16, 0)
SESSION_DELAY = timedelta(minutes=90)  # from the usual close to the arrival of the day's data
REPORT_DELAY = timedelta(hours=4)
PARITY_DELAY = timedelta(hours=6)
# When few exchanges are open.
SATURDAYS, SUNDAYS = "0 9 * * 6", "0 9 * * 0"
_DAY = timedelta(days=1)
UnresolvedJob = Any  # Dagster names the type of define_asset_job nowhere in public
_TRAINING = "Train a challenger on Saturdays, when few exchanges are open."
_UPKEEP = "Move what has aged, then compact and vacuum the cold tier, on Sundays."
_REPORT = "Move aged rows to colder tiers and write the report after each session."
_PARITY = (
    "Run the session that closed again through the path of backtests; the check fails on any "
    "feature, forecast, decision, order or fill that differs."
)


@lru_cache(maxsize=1)
def _holidays() -> frozenset[date]:
    return frozenset(date.fromisoformat(line) for line in HOLIDAYS_FILE.read_text().split())


@dataclass(frozen=True, slots=True)
class DeskHours:
    """When the desk's sessions end: the zone and the local time of a usual close."""

    calendar: str
    zone: str
    close: time

    @classmethod
    def of(cls, calendar: str) -> "DeskHours":
        """Return the hours of a calendar."""
        if calendar == USUAL_CALENDAR:
            return cls(calendar, _USUAL_ZONE, _USUAL_CLOSE)
        return cls(calendar, *calendars.usual_close(calendar))

    def cron(self, delay: timedelta) -> str:
        """Return the daily tick that lies `delay` after the usual close."""
        tick = datetime.combine(date(2000, 1, 1), self.close) + delay
        return f"{tick.minute} {tick.hour} * * *"

    def session_before(self, moment: datetime) -> date | None:
        """Return the session that closed within the day before the moment, None where none did."""
        if self.calendar == USUAL_CALENDAR:
            day = moment.date()  # a tick comes in the exchange's own zone, after its close
            return day if day.weekday() < 5 and day not in _holidays() else None
        now = moment.astimezone(UTC)
        near = calendars.sessions(self.calendar, now - 3 * _DAY, now + _DAY)
        closed = [s for s, close in near.select("session", "close").iter_rows()
                  if now - _DAY < close <= now]  # fmt: skip
        return closed[-1] if closed else None


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12), tzinfo=UTC)


def build_schedules(calendar: str) -> Sequence[dg.ScheduleDefinition]:
    """Return the schedules of a desk on this calendar, all stopped until its sources are live."""
    hours = DeskHours.of(calendar)
    return [
        _newest_session(hours),
        _weekly(hours, "training", training_job, SATURDAYS, _TRAINING),
        _weekly(hours, "upkeep", upkeep_job, SUNDAYS, _UPKEEP),
        _after_each_session(hours, "daily_report", report_job, REPORT_DELAY, _REPORT),
        _after_each_session(hours, "nightly_parity", parity_job, PARITY_DELAY, _PARITY),
    ]


def _newest_session(hours: DeskHours) -> dg.ScheduleDefinition:
    @dg.schedule(
        name="newest_session_schedule",
        job=session_job,
        cron_schedule=hours.cron(SESSION_DELAY),
        execution_timezone=hours.zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Ingest, validate and forecast the session that just closed; the decision "
        "sensor goes on. Turn it on once the sources of the desk are live ones.",
    )
    def newest_session_schedule(
        context: dg.ScheduleEvaluationContext,
    ) -> dg.RunRequest | dg.SkipReason:
        moment = context.scheduled_execution_time
        session = hours.session_before(moment)
        if session is None:
            return dg.SkipReason(f"no session of {hours.calendar} closed before {moment}")
        tags = {"apiary/session": session.isoformat()}
        first, last = month_key(_noon(session)), month_key(moment.astimezone(UTC) - SESSION_DELAY)
        if first == last:
            return dg.RunRequest(run_key=f"session-{session}", partition_key=first, tags=tags)
        # A session that ends at midnight has its bars in one month and its close in the next.
        span = {"dagster/asset_partition_range_start": first,
                "dagster/asset_partition_range_end": last}  # fmt: skip
        return dg.RunRequest(run_key=f"session-{session}", tags=tags | span)

    return newest_session_schedule


def _weekly(
    hours: DeskHours, name: str, job: UnresolvedJob, cron: str, description: str
) -> dg.ScheduleDefinition:
    """Return a schedule that runs a job once a week, by the clock of the desk's exchange."""

    @dg.schedule(
        name=f"weekly_{name}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone=hours.zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=description,
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(run_key=f"{name}-{context.scheduled_execution_time.date()}")

    return schedule


def _after_each_session(
    hours: DeskHours, name: str, job: UnresolvedJob, delay: timedelta, description: str
) -> dg.ScheduleDefinition:
    """Return a schedule that runs a job once for each session, so long after its close."""

    @dg.schedule(
        name=f"{name}_schedule",
        job=job,
        cron_schedule=hours.cron(delay),
        execution_timezone=hours.zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=description,
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        moment = context.scheduled_execution_time
        session = hours.session_before(moment)
        if session is None:
            return dg.SkipReason(f"no session of {hours.calendar} closed before {moment}")
        return dg.RunRequest(run_key=f"{name.split('_')[-1]}-{session}")

    return schedule
