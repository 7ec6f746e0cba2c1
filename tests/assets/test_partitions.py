"""Partitions: months cover all of time that is asked for, sessions are the exchange's."""

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import dagster as dg
import exchange_calendars
import pytest

from assets.partitions import EPOCH, SESSIONS, month_key, months_between, session_partitions
from features import calendars
from pipelines.schedules import DeskHours, build_schedules


def test_sessions_are_those_of_the_exchange() -> None:
    calendar = exchange_calendars.get_calendar("XNYS", start="1998-01-02", end="2027-06-30")
    ours = SESSIONS.get_partition_keys(current_time=datetime(2027, 6, 30, tzinfo=UTC))
    theirs = [d.strftime("%Y-%m-%d") for d in calendar.sessions if d.date() < date(2027, 6, 30)]
    assert ours[: len(theirs)] == theirs[: len(ours)]
    assert abs(len(ours) - len(theirs)) <= 1


@pytest.mark.parametrize("name", ["XTKS", "XLON", "XTAE", "24/7", "24/5", "CMES"])
def test_sessions_of_a_desk_are_those_of_its_calendar(name: str) -> None:
    keys = session_partitions(name).get_partition_keys(
        current_time=datetime(2021, 1, 1, tzinfo=UTC)
    )
    days = calendars.sessions(name, date(2019, 1, 1), date(2021, 1, 8))["session"]
    # The last one is the session that has begun or comes next: it is decided before it ends.
    over = [d.isoformat() for d in days if d < date(2021, 1, 1)]
    coming = next(d.isoformat() for d in days if d >= date(2021, 1, 1))
    assert [k for k in keys if k >= "2019-01-01"] == [*over, coming]


@pytest.mark.parametrize(
    ("day", "opens"),
    [("2020-07-03", False), ("2020-07-02", True), ("2020-07-04", False), ("2025-01-09", False)],
)
def test_schedules_follow_the_exchange(day: str, opens: bool) -> None:
    tick = datetime.fromisoformat(f"{day}T17:30").replace(tzinfo=ZoneInfo("America/New_York"))
    found = DeskHours.of("XNYS").session_before(tick)
    assert found == (date.fromisoformat(day) if opens else None)


def test_the_hours_written_out_for_the_usual_desk_are_its_calendars() -> None:
    usual = DeskHours.of("XNYS")
    assert (usual.zone, usual.close) == calendars.usual_close("XNYS")


@pytest.mark.parametrize(
    ("name", "tick", "session"),
    [
        ("XTKS", "2020-02-21T16:30+09:00", date(2020, 2, 21)),
        ("XTKS", "2020-02-24T16:30+09:00", None),  # the day after the emperor's birthday
        ("XTAE", "2020-03-01T18:59+02:00", date(2020, 3, 1)),  # a Sunday
        ("24/7", "2020-03-01T01:30+00:00", date(2020, 2, 29)),  # the day that ended at midnight
    ],
)
def test_schedules_of_a_foreign_desk_follow_its_exchange(
    name: str, tick: str, session: date | None
) -> None:
    assert DeskHours.of(name).session_before(datetime.fromisoformat(tick)) == session


def test_months_between_cover_the_span_without_a_gap() -> None:
    months = months_between(EPOCH, datetime(1990, 4, 2, tzinfo=UTC))
    assert [key for key, _, _ in months] == ["1990-01-01", "1990-02-01", "1990-03-01", "1990-04-01"]
    assert months[0][1] == EPOCH
    assert all(a[2] == b[1] for a, b in pairwise(months))


def test_a_moment_before_history_belongs_to_the_first_month() -> None:
    assert month_key(datetime(1954, 5, 5, tzinfo=UTC)) == "1990-01-01"


def _request(name: str, tick: str) -> dg.RunRequest:
    schedule = build_schedules(name)[0]
    context = dg.build_schedule_context(scheduled_execution_time=datetime.fromisoformat(tick))
    request = schedule(context)
    assert isinstance(request, dg.RunRequest)
    return request


def test_a_session_is_ingested_in_the_month_of_its_close() -> None:
    assert _request("XTKS", "2020-02-28T16:30+09:00").partition_key == "2020-02-01"


def test_a_session_that_ends_at_midnight_may_need_two_months() -> None:
    request = _request("24/7", "2020-03-01T01:30+00:00")
    assert request.partition_key is None
    assert request.tags["dagster/asset_partition_range_start"] == "2020-02-01"
    assert request.tags["dagster/asset_partition_range_end"] == "2020-03-01"
