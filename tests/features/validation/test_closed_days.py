"""Bars on days on which the exchange was closed: what is told of them, and which are put aside."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pytest

from features.calendars import sessions, with_session_close
from features.validation import ValidationReport
from tests.features.validation.make import (
    check_bars,
    conform_bars,
    make_bars,
    make_instruments,
    set_cells,
    stopped_rows,
)


def bars_on(days: Sequence[date], calendar: str, names: int = 1) -> pl.DataFrame:
    """Quiet bars on these days, each stamped as the calendar would close it."""
    dated = with_session_close(pl.DataFrame({"day": days}), "day", calendar)
    parts = [
        dated.select(
            instrument_id=pl.lit(f"X.T{n}"), event_time="event_time",
            close=100 + n + 0.37 * (pl.int_range(pl.len()) % 7),
        ).with_columns(open="close", high="close", low="close", volume=pl.lit(1e6))
        for n in range(names)
    ]  # fmt: skip
    return conform_bars(pl.concat(parts))


def judged(
    days: Sequence[date], calendar: str, asset_class: str = "equity", names: int = 1
) -> tuple[pl.DataFrame, ValidationReport]:
    rows = bars_on(sorted(days), calendar, names)
    known = make_instruments(rows, calendar=calendar).with_columns(asset_class=pl.lit(asset_class))
    return rows, check_bars(rows, instruments=known)


def days_of(calendar: str, first: date, last: date) -> list[date]:
    return sessions(calendar, first, last)["session"].to_list()


def stopped_days(rows: pl.DataFrame, report: ValidationReport) -> set[date]:
    at = sorted(stopped_rows(report, "off_session"))
    return set(rows[at]["event_time"].dt.date().to_list())


def test_a_bar_on_a_weekend_is_put_aside_with_its_day_its_source_and_its_row() -> None:
    rows = make_bars(instruments=1)
    moved = pl.col("event_time") - pl.duration(days=2)  # of a Monday
    times: list[datetime] = rows["event_time"].to_list()
    monday = next(n for n, at in enumerate(times) if n > 30 and at.weekday() == 0)
    report = check_bars(set_cells(rows, [monday], event_time=moved))

    found = report.findings.filter(kind="off_session")

    source, row = rows.select("source", "source_row").row(monday)
    (reason,) = found["reason"].to_list()
    day = times[monday] - timedelta(days=2)
    assert f"has a bar on Saturday {day:%Y-%m-%d}, when XNYS was closed" in reason
    assert reason.endswith(f": source_row {row} of {source}")
    assert stopped_rows(report) == {monday}


def test_a_bar_on_a_holiday_is_told_and_passes() -> None:
    """An exchange may open where its calendar did not know; its weekends it keeps."""
    days = days_of("XNYS", date(2019, 1, 1), date(2020, 1, 1))
    rows, report = judged([*days, date(2019, 7, 4)], "XNYS")
    assert report.findings.filter(kind="off_session")["severity"].to_list() == ["warn"]
    assert stopped_days(rows, report) == set()


@pytest.mark.parametrize(
    ("calendar", "asset_class", "extra"),
    [
        ("24/7", "crypto", []),
        ("24/5", "fx", [date(2019, 1, 6) + timedelta(days=7 * n) for n in range(40)]),
        ("24/5", "equity", [date(2019, 3, 10)]),
        ("CMES", "future", [date(2019, 1, 6) + timedelta(days=7 * n) for n in range(40)]),
        ("XNYS", "future", [date(2019, 3, 10)]),
        ("XNYS", "crypto", [date(2019, 3, 9), date(2019, 3, 10)]),
        ("XTAE", "equity", []),
        ("XBOM", "equity", [date(2019, 10, 27)]),  # Muhurat trading, a Sunday
        ("XTAI", "equity", [date(2019, 2, 23)]),  # a working Saturday
        ("XASX", "equity", []),
        ("XTKS", "equity", []),
    ],
)
def test_true_bars_on_weekends_pass(calendar: str, asset_class: str, extra: list[date]) -> None:
    days = days_of(calendar, date(2019, 1, 1), date(2020, 1, 1))
    rows, report = judged(sorted({*days, *extra}), calendar, asset_class)
    assert stopped_days(rows, report) == set()


@pytest.mark.parametrize(
    ("calendar", "closed", "opened"),
    [
        ("XSAU", date(2023, 3, 10), date(2023, 3, 12)),  # closed on Fridays, open on Sundays
        ("XTAE", date(2023, 3, 11), date(2023, 3, 12)),
        ("XTKS", date(2023, 3, 12), date(2023, 3, 13)),
        ("XASX", date(2023, 3, 11), date(2023, 3, 13)),
        ("XLON", date(2023, 3, 12), date(2023, 3, 13)),
    ],
)
def test_each_exchange_has_its_own_closed_weekdays(
    calendar: str, closed: date, opened: date
) -> None:
    days = days_of(calendar, date(2022, 7, 1), date(2023, 12, 1))
    assert opened in days
    rows, report = judged([*days, closed], calendar)
    assert stopped_days(rows, report) == {closed}


def test_where_an_exchange_changes_its_week_neither_day_is_judged() -> None:
    """Tel Aviv moves from Sunday to Friday in January 2026."""
    days = days_of("XTAE", date(2025, 10, 1), date(2026, 4, 1))
    rows, report = judged([*days, date(2025, 12, 26), date(2026, 1, 11)], "XTAE")
    assert stopped_days(rows, report) == set()


def test_years_that_a_calendar_does_not_know_are_not_judged() -> None:
    """Riyadh's calendar begins in 2021."""
    days = pl.date_range(date(2015, 1, 1), date(2016, 1, 1), "1d", eager=True)
    rows, report = judged(days.filter(days.dt.weekday().is_in([1, 2, 3, 4, 7])).to_list(), "XSAU")
    assert stopped_days(rows, report) == set()


def test_a_whole_market_delivered_again_on_a_saturday_is_put_aside_and_stops_nothing() -> None:
    days = days_of("XNYS", date(2019, 1, 1), date(2020, 1, 1))
    saturday = max(days) + timedelta(days=(5 - max(days).weekday()))
    assert saturday.weekday() == 5
    rows, report = judged([*days, saturday], "XNYS", names=20)
    assert stopped_days(rows, report) == {saturday}
    assert report.blocking_reasons == ()
    assert len(report.withheld) == 20  # what came last of them is not to be trusted


def test_weekends_filled_with_the_last_price_stop_everything() -> None:
    days = pl.date_range(date(2019, 1, 1), date(2019, 12, 31), "1d", eager=True).to_list()
    rows, report = judged(days, "XNYS", names=5)
    assert stopped_days(rows, report) == {d for d in days if d.weekday() >= 5}
    assert any("off_session" in reason for reason in report.blocking_reasons)


def test_one_of_few_bars_is_judged_as_one_of_many() -> None:
    """One of eight is more than a tenth, and no move by a day mends it."""
    days = days_of("XNYS", date(2019, 3, 4), date(2019, 3, 13))
    rows, report = judged([*days, date(2019, 3, 9)], "XNYS")
    assert stopped_days(rows, report) == {date(2019, 3, 9)}
    assert datetime(2019, 3, 9, tzinfo=UTC).date().weekday() == 5


def minutes_of(stamps: Sequence[str], zone: str = "America/New_York") -> pl.DataFrame:
    """Three weeks of half hours in New York, and more bars that end at these local times."""
    opens = [
        datetime.combine(day, time(10)) + timedelta(minutes=30 * n)
        for day in days_of("XNYS", date(2019, 5, 6), date(2019, 5, 28))
        for n in range(13)
    ]
    local = pl.Series([*opens, *map(datetime.fromisoformat, stamps)]).sort()
    times = local.dt.replace_time_zone(zone).dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    close = 100 + 0.37 * (pl.int_range(pl.len()) % 7)
    rows = pl.DataFrame({"event_time": times}).with_columns(
        instrument_id=pl.lit("X.T0"), open=close, high=close, low=close, close=close,
        volume=pl.lit(1e6), interval=pl.lit("30m"),
    )  # fmt: skip
    return conform_bars(rows).with_columns(interval=pl.lit("30m"))


@pytest.mark.parametrize(
    ("stamp", "is_stopped"),
    [
        ("2019-05-11 11:00", True),  # a Saturday
        ("2019-05-12 11:00", True),  # a Sunday's morning
        ("2019-05-12 20:30", False),  # the night session before Monday's open
        ("2019-05-10 20:00", False),  # a Friday's extended hours: Saturday in UTC
        ("2019-05-11 00:00", False),  # the end of Friday
        ("2019-05-14 07:00", False),  # before an open
        ("2019-05-27 11:00", False),  # Memorial Day
    ],
)
def test_an_intraday_bar_of_a_weekend_is_put_aside_and_extended_hours_pass(
    stamp: str, *, is_stopped: bool
) -> None:
    rows = minutes_of([stamp])
    report = check_bars(rows, instruments=make_instruments(rows, calendar="XNYS"))
    stopped = stopped_rows(report, "off_session")
    assert len(stopped) == is_stopped
    if is_stopped:
        (reason,) = report.findings.filter(kind="off_session", severity="quarantine")["reason"]
        told = f"{datetime.fromisoformat(stamp):%A %Y-%m-%d %H:%M} in America/New_York"
        assert told in reason


@pytest.mark.parametrize(
    ("stamp", "is_told"),
    [
        ("2019-05-27 11:00", True),  # Memorial Day, a Monday
        ("2019-05-27 03:00", True),
        ("2019-05-24 23:30", False),  # late on the Friday before it
        ("2019-05-27 20:00", False),  # the night before Tuesday's open
        ("2019-05-14 12:00", False),
    ],
)
def test_an_intraday_bar_of_a_holiday_is_told_and_passes(stamp: str, *, is_told: bool) -> None:
    rows = minutes_of([stamp]).unique(["event_time"]).sort("event_time")
    report = check_bars(rows, instruments=make_instruments(rows, calendar="XNYS"))
    found = report.findings.filter(rule="session_hours", kind="off_session")
    assert found["severity"].to_list() == ["warn"] * is_told
    if is_told:
        assert (
            "on days on which XNYS was closed, the first on Monday 2019-05-27" in found["reason"][0]
        )


def test_coins_have_bars_on_weekends_whatever_their_calendar_says() -> None:
    rows = minutes_of(["2019-05-11 11:00"])
    known = make_instruments(rows, calendar="XNYS").with_columns(asset_class=pl.lit("crypto"))
    assert not stopped_rows(check_bars(rows, instruments=known), "off_session")
