"""Partitions: months cover all of time that is asked for, sessions are the exchange's."""

from datetime import UTC, date, datetime
from itertools import pairwise

import exchange_calendars
import pytest

from assets.partitions import EPOCH, SESSIONS, month_key, months_between
from pipelines.schedules import is_session_day


def test_sessions_are_those_of_the_exchange() -> None:
    calendar = exchange_calendars.get_calendar("XNYS", start="1998-01-02", end="2027-06-30")
    ours = SESSIONS.get_partition_keys(current_time=datetime(2027, 6, 30, tzinfo=UTC))
    theirs = [d.strftime("%Y-%m-%d") for d in calendar.sessions if d.date() < date(2027, 6, 30)]
    assert ours[: len(theirs)] == theirs[: len(ours)]
    assert abs(len(ours) - len(theirs)) <= 1


@pytest.mark.parametrize(
    ("day", "opens"),
    [("2020-07-03", False), ("2020-07-02", True), ("2020-07-04", False), ("2025-01-09", False)],
)
def test_schedules_follow_the_exchange(day: str, opens: bool) -> None:
    assert is_session_day(date.fromisoformat(day)) is opens


def test_months_between_cover_the_span_without_a_gap() -> None:
    months = months_between(EPOCH, datetime(1990, 4, 2, tzinfo=UTC))
    assert [key for key, _, _ in months] == ["1990-01-01", "1990-02-01", "1990-03-01", "1990-04-01"]
    assert months[0][1] == EPOCH
    assert all(a[2] == b[1] for a, b in pairwise(months))


def test_a_moment_before_history_belongs_to_the_first_month() -> None:
    assert month_key(datetime(1954, 5, 5, tzinfo=UTC)) == "1990-01-01"
