"""The partitions that dated assets share: months for history, exchange sessions for trading.

A range of either is one run: an event costs about 16 ms for each partition and asset, so years of
history are months, and a decision has the session it belongs to.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import dagster as dg

from features import calendars

# Rows older than the first month are ingested with it.
HISTORY_START = date(1990, 1, 1)
SESSIONS_START = date(1998, 1, 2)
SESSIONS_END = date(2031, 12, 31)
SINGLE_RUN = dg.BackfillPolicy.single_run()
EPOCH = datetime(1900, 1, 1, tzinfo=UTC)

# Written out because building the exchange calendar takes longer than loading this whole code
# location; a test compares it with the calendar.
USUAL_CALENDAR = "XNYS"
HOLIDAYS_FILE = Path(__file__).with_name("holidays_xnys.txt")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), tzinfo=UTC)


def _closed_days(calendar: str) -> tuple[list[date], set[int]]:
    """Return the days without a session, and the weekdays that have any (Monday is 0).

    Days beyond what is known of a calendar do not count as closed.
    """
    if calendar == USUAL_CALENDAR:
        closed = [date.fromisoformat(line) for line in HOLIDAYS_FILE.read_text().split()]
        return closed, set(range(5))
    last = min(SESSIONS_END, calendars.LAST_DAY)
    days = calendars.sessions(calendar, SESSIONS_START, last)["session"].to_list()
    open_days, weekdays = set(days), {day.weekday() for day in days}
    span = range((days[-1] - days[0]).days + 1)
    all_days = (days[0] + timedelta(days=n) for n in span)
    return [d for d in all_days if d.weekday() in weekdays and d not in open_days], weekdays


@lru_cache(maxsize=16)
def session_partitions(calendar: str) -> dg.TimeWindowPartitionsDefinition:
    """Return one partition for each session of a calendar; raises ValueError for an unknown one."""
    closed, weekdays = _closed_days(calendar)
    listed = "*" if len(weekdays) == 7 else ",".join(str((d + 1) % 7) for d in sorted(weekdays))
    return dg.TimeWindowPartitionsDefinition(
        start=SESSIONS_START.isoformat(),
        end=SESSIONS_END.isoformat(),
        fmt="%Y-%m-%d",
        cron_schedule=f"0 0 * * {'1-5' if listed == '1,2,3,4,5' else listed}",
        exclusions=[_midnight(day) for day in closed],
        end_offset=1,  # a session is decided on its own day, before midnight UTC ends its partition
    )


# The month that is not over has its partition too: it is the one that live sources write.
MONTHS = dg.MonthlyPartitionsDefinition(start_date=HISTORY_START.isoformat(), end_offset=1)
# Those of the usual desk; `pipelines.definitions` gives its assets the sessions of its own desk.
SESSIONS = session_partitions(USUAL_CALENDAR)


def window(context: dg.AssetExecutionContext) -> tuple[datetime, datetime]:
    """Return [start, end) in UTC of this run's partitions, the first month open to the past."""
    span = context.partition_time_window
    start = span.start.astimezone(UTC)
    if start.date() <= HISTORY_START:
        start = EPOCH
    return start, span.end.astimezone(UTC)


def months_between(start: datetime, end: datetime) -> list[tuple[str, datetime, datetime]]:
    """Return (partition key, start, end) of every month that [start, end) touches."""
    first = max(start.date(), HISTORY_START).replace(day=1)
    months: list[tuple[str, datetime, datetime]] = []
    while (low := datetime.combine(first, datetime.min.time(), tzinfo=UTC)) < end:
        following = (first + timedelta(days=32)).replace(day=1)
        high = datetime.combine(following, datetime.min.time(), tzinfo=UTC)
        months.append((first.isoformat(), EPOCH if first == HISTORY_START else low, high))
        first = following
    return months


def month_key(moment: datetime) -> str:
    """Return the key of the month partition that holds this moment."""
    return max(moment.date().replace(day=1), HISTORY_START).isoformat()


ALL_TIME = (EPOCH, datetime(2200, 1, 1, tzinfo=UTC))
