"""Sessions agree with exchange_calendars, carry half days, and end at known moments."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import calendars


def test_sessions_agree_with_the_library_they_come_from():
    import exchange_calendars

    expected = exchange_calendars.get_calendar("XNYS", start="2008-01-01", end="2012-12-31")
    found = calendars.sessions("XNYS", date(2008, 1, 1), date(2013, 1, 1))
    assert found["session"].to_list() == [d.date() for d in expected.sessions]
    assert found["close"].to_list() == [t.to_pydatetime() for t in expected.closes]


def test_the_end_is_exclusive_and_half_days_are_marked():
    found = calendars.sessions("XNYS", date(2024, 11, 27), date(2024, 12, 2))
    assert found.select("session", "is_half_day").rows() == [
        (date(2024, 11, 27), False),
        (date(2024, 11, 29), True),
    ]
    assert found["close"][1] == datetime(2024, 11, 29, 18, tzinfo=UTC)


def test_a_close_follows_daylight_saving_time():
    assert calendars.session_close("XNYS", date(2024, 1, 3)) == datetime(2024, 1, 3, 21, tzinfo=UTC)
    assert calendars.session_close("XNYS", date(2024, 7, 3)) == datetime(2024, 7, 3, 17, tzinfo=UTC)
    assert calendars.session_open("XNYS", date(2024, 7, 5)).hour == 13


@pytest.mark.parametrize("name", ["XNYS", "XTKS", "XASX", "XNZE", "XTAE", "CMES", "24/7", "24/5"])
def test_every_close_names_its_session(name: str):
    table = calendars.sessions(name, date(2018, 1, 1), date(2019, 1, 1))
    assert calendars.sessions_of_closes(name, table["close"]) == table["session"].to_list()
    for session, close in table.select("session", "close").sample(20, seed=3).iter_rows():
        assert calendars.session_of_close(name, close) == session


@pytest.mark.parametrize(
    ("name", "rests"), [("XNYS", True), ("XTKS", True), ("24/7", False), ("24/5", False)]
)
def test_only_an_exchange_that_rests_is_decided_before_its_next_open(name: str, rests: bool):
    assert calendars.rests_after_close(name, timedelta(hours=2)) is rests


def test_a_closed_day_has_no_close():
    with pytest.raises(ValueError, match="2024-12-25 must be a session of XNYS, was a closed day"):
        calendars.session_close("XNYS", date(2024, 12, 25))


def test_the_next_session_leaps_over_weekends_and_decades():
    assert calendars.next_session("XNYS", date(2024, 7, 3)) == date(2024, 7, 5)
    assert calendars.next_session("XNYS", date(2019, 12, 31)) == date(2020, 1, 2)
    assert calendars.previous_session("XNYS", date(2020, 1, 1)) == date(2019, 12, 31)
    with pytest.raises(ValueError, match="count must be at least 1, was 0"):
        calendars.next_session("XNYS", date(2024, 1, 1), 0)


@settings(max_examples=30, deadline=None)
@given(st.dates(date(1995, 1, 1), date(2030, 12, 31)), st.integers(1, 40))
def test_going_on_and_back_returns_to_the_session(day, count):
    first = calendars.next_session("XNYS", day)
    later = calendars.next_session("XNYS", first, count)
    assert calendars.previous_session("XNYS", later, count) == first


def test_around_the_clock_every_day_is_a_session_of_24_hours():
    found = calendars.sessions("24/7", date(2024, 2, 27), date(2024, 3, 3))
    assert found.height == 5
    assert ((found["close"] - found["open"]) == timedelta(days=1)).all()
    assert calendars.sessions("24/5", date(2024, 3, 1), date(2024, 3, 8)).height == 5


def test_target_days_end_at_the_fixing_and_skip_easter():
    assert calendars.session_close("TARGET", date(2024, 7, 1)).hour == 14
    closed = {date(2024, 3, 29), date(2024, 4, 1), date(2024, 5, 1), date(2024, 12, 26)}
    assert not any(calendars.is_session("TARGET", day) for day in closed)


@pytest.mark.parametrize(("year", "day"), [(2000, (4, 23)), (2019, (4, 21)), (2024, (3, 31))])
def test_easter_falls_where_the_church_has_it(year, day):
    assert calendars.easter_sunday(year) == date(year, *day)


def test_a_row_of_a_closed_day_keeps_the_usual_close():
    rows = pl.DataFrame({"day": [date(2024, 12, 25), date(2024, 12, 24), None]})
    found = calendars.with_session_close(rows, "day", "XNYS")["event_time"].to_list()
    assert found == [
        datetime(2024, 12, 25, 21, tzinfo=UTC),
        datetime(2024, 12, 24, 18, tzinfo=UTC),
        None,
    ]


def test_unknown_calendars_and_impossible_ranges_are_refused():
    with pytest.raises(ValueError, match="calendar must be a name of exchange_calendars"):
        calendars.sessions("NOWHERE", date(2024, 1, 1), date(2024, 2, 1))
    with pytest.raises(ValueError, match="start first"):
        calendars.sessions("XNYS", date(2024, 2, 1), date(2024, 1, 1))


def test_a_moment_without_zone_is_refused():
    with pytest.raises(ValueError, match="must carry its zone"):
        calendars.utc(datetime(2024, 1, 1))  # noqa: DTZ001 - that is the case


def test_importing_calendars_does_not_import_pandas():
    code = "import sys, features.calendars; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
