"""Sessions of exchanges in UTC: when they open and close, on which days, and what comes next."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import polars as pl

from features.schemas import UTC_TIME

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar

SESSION_COLUMNS: dict[str, pl.DataType] = {
    "session": pl.Date(),
    "open": UTC_TIME,
    "close": UTC_TIME,
    "is_half_day": pl.Boolean(),
}

# No data set of the house begins earlier, and a fixed end keeps results free of the clock.
FIRST_DAY = date(1985, 1, 1)
LAST_DAY = date(2040, 12, 31)

# The ECB publishes its reference rates at about 16:00 in Frankfurt, on TARGET days.
_FIXING_ZONE, _FIXING_TIME = "Europe/Berlin", time(16, 0)
_HALF_DAY_SHARE = 0.9  # a session shorter than this share of the usual one ends early


def sessions(calendar: str, start: date | datetime, end: date | datetime) -> pl.DataFrame:
    """Return the sessions with start <= session < end: session, open and close (UTC), is_half_day.

    `calendar` is a name of exchange_calendars ("XNYS", "XLON", "CMES", ...), "24/7", "24/5" or
    "TARGET" (the ECB's fixing days). Raises ValueError for a name that is none of these.
    """
    first, last = _day(start), _day(end)
    if not FIRST_DAY <= first <= last <= LAST_DAY + timedelta(days=1):
        raise ValueError(
            f"sessions must lie in {FIRST_DAY} to {LAST_DAY}, start first, was {first} to {last}"
        )
    table = _sessions_around(calendar, first, last)
    lower, upper = table["session"].search_sorted(pl.Series([first, last]))
    return table.slice(lower, upper - lower)


def session_open(calendar: str, day: date) -> datetime:
    """Return when the session opens (UTC); raises ValueError where the day is no session."""
    return _get_session(calendar, day)[1]


def session_close(calendar: str, day: date) -> datetime:
    """Return when the session closes (UTC); raises ValueError where the day is no session."""
    return _get_session(calendar, day)[2]


def session_of_close(calendar: str, moment: datetime) -> date:
    """Return the session that closes at the moment; its own UTC day where none does.

    A round-the-clock session closes when the next day begins: it is the day that ends.
    """
    closing = sessions(calendar, moment - timedelta(days=2), moment + timedelta(days=2)).filter(
        pl.col("close") == utc(moment)
    )
    return day_of(moment) if closing.is_empty() else closing["session"][0]


def sessions_of_closes(calendar: str, closes: pl.Series) -> list[date]:
    """Return the sessions that close at these moments, ascending; other moments are passed over."""
    if closes.is_empty():
        return []
    around = timedelta(days=2)
    table = sessions(calendar, closes.min() - around, closes.max() + around)  # type: ignore[operator]  # a column of times
    return table.filter(pl.col("close").is_in(closes.implode()))["session"].sort().to_list()


def day_of(moment: datetime) -> date:
    """Return the UTC day that a close belongs to: at midnight the day that ends."""
    return (utc(moment) - timedelta(microseconds=1)).date()


def day_of_close() -> pl.Expr:
    """Return the UTC day that each row's event_time belongs to: at midnight the day that ends."""
    return (pl.col("event_time") - pl.duration(microseconds=1)).dt.date()


@lru_cache(maxsize=256)
def same_hours(calendar: str, other: str) -> bool:
    """Return whether two calendars have the same closes (XNAS and XNYS), seen in one year."""
    if calendar == other:
        return True
    year = date(2019, 1, 1), date(2020, 1, 1)
    return sessions(calendar, *year)["close"].equals(sessions(other, *year)["close"])


@lru_cache(maxsize=64)
def rests_after_close(calendar: str, lag: timedelta) -> bool:
    """Return whether the exchange is still closed this long after a usual close."""
    table = sessions(calendar, date(2019, 1, 1), date(2020, 1, 1))
    pause = (table["open"].shift(-1) - table["close"]).drop_nulls().median()
    return isinstance(pause, timedelta) and pause >= lag


def usual_close(calendar: str) -> tuple[str, time]:
    """Return the zone and local time at which the exchange usually closes."""
    return _usual_close(calendar)


def is_session(calendar: str, day: date) -> bool:
    """Return whether the exchange opens on this day."""
    return not sessions(calendar, day, day + timedelta(days=1)).is_empty()


def next_session(calendar: str, day: date, count: int = 1) -> date:
    """Return the count-th session after the day (the day itself is never returned)."""
    if count < 1:
        raise ValueError(f"count must be at least 1, was {count}")
    days = _sessions_around(calendar, day, day + _longest(count))["session"]
    return _get_at(days, int(days.search_sorted(day, side="right")) + count - 1, calendar, day)


def previous_session(calendar: str, day: date, count: int = 1) -> date:
    """Return the count-th session before the day (the day itself is never returned)."""
    if count < 1:
        raise ValueError(f"count must be at least 1, was {count}")
    days = _sessions_around(calendar, day - _longest(count), day)["session"]
    return _get_at(days, int(days.search_sorted(day, side="left")) - count, calendar, day)


def with_session_close(
    rows: pl.DataFrame, day_column: str, calendar: str, into: str = "event_time"
) -> pl.DataFrame:
    """Return the rows with the UTC close of each row's session in column `into`.

    A day that is no session gets the usual closing time of the exchange on that day, so that a
    record of a closed day stays visible and validation can judge it.
    """
    days = rows[day_column].drop_nulls()
    table = _sessions_around(calendar, days.min(), days.max()) if len(days) else _NO_SESSIONS  # type: ignore[arg-type]  # a column of dates has dates as bounds
    zone, usual = _usual_close(calendar)
    closes = table.select(pl.col("session").alias(day_column), pl.col("close").alias(into))
    fallback = (
        pl.col(day_column)
        .dt.combine(usual)
        .dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
    )
    return rows.join(closes, on=day_column, how="left", maintain_order="left").with_columns(
        pl.coalesce(pl.col(into), fallback.dt.convert_time_zone("UTC")).alias(into)
    )


def _day(moment: date | datetime) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _get_session(calendar: str, day: date) -> tuple[date, datetime, datetime, bool]:
    found = sessions(calendar, day, day + timedelta(days=1))
    if found.is_empty():
        raise ValueError(f"{day} must be a session of {calendar}, was a closed day")
    return found.row(0)


def _get_at(days: pl.Series, index: int, calendar: str, day: date) -> date:
    if not 0 <= index < len(days):
        raise ValueError(f"{calendar} must have such a session in its range, asked from {day}")
    return days[index]


def _longest(count: int) -> timedelta:
    """A stretch of days that surely holds so many sessions: exchanges open on most weekdays."""
    return timedelta(days=3 * count + 30)


def _sessions_around(calendar: str, first: date, last: date) -> pl.DataFrame:
    """Return at least the sessions from first to last, as far as the house's range goes."""
    first, last = max(first, FIRST_DAY), min(last, LAST_DAY)
    decades = range(first.year // 10, last.year // 10 + 1)
    parts = [_decade(calendar, decade) for decade in decades]
    return pl.concat([_NO_SESSIONS, *parts])


@lru_cache(maxsize=512)
def _decade(calendar: str, decade: int) -> pl.DataFrame:
    """Return the sessions of ten years; a calendar is costly to build, so no more than asked."""
    first = max(date(decade * 10, 1, 1), FIRST_DAY)
    last = min(date(decade * 10 + 9, 12, 31), LAST_DAY)
    build = _BUILT_IN.get(calendar)
    if build is None:
        return _from_exchange_calendars(calendar, first, last)
    days = pl.DataFrame({"session": pl.date_range(first, last, "1d", eager=True)})
    return build(days)


@lru_cache(maxsize=64)
def _usual_close(calendar: str) -> tuple[str, time]:
    """Return the zone and local time at which the exchange usually closes."""
    if calendar == "TARGET":
        return _FIXING_ZONE, _FIXING_TIME
    if calendar in _BUILT_IN:
        return "UTC", time(0, 0)
    exchange = _exchange(calendar, date(2020, 1, 1), date(2029, 12, 31))
    if exchange is None:
        raise ValueError(f"{calendar} must have sessions in the 2020s, had none")
    return str(exchange.tz), exchange.close_times[-1][1]


@lru_cache(maxsize=512)
def _exchange(calendar: str, first: date, last: date) -> "ExchangeCalendar | None":
    """Return the calendar for these years, or for those of them that it is known for, if any."""
    # Imported here: it brings pandas, a second of start-up that most callers never need.
    import exchange_calendars
    import exchange_calendars.errors as calendar_errors

    try:
        return exchange_calendars.get_calendar(calendar, start=str(first), end=str(last))
    except calendar_errors.InvalidCalendarName:
        raise ValueError(
            f'calendar must be a name of exchange_calendars, "24/7", "24/5" or "TARGET", '
            f"was {calendar!r}"
        ) from None
    except ValueError:  # a calendar that is known for a shorter time only
        default = exchange_calendars.get_calendar(calendar)
    lower, upper = default.bound_min(), default.bound_max()
    begin = max(first, lower.date()) if lower is not None else first
    end = min(last, upper.date()) if upper is not None else last
    if begin >= end:
        return None
    return exchange_calendars.get_calendar(calendar, start=str(begin), end=str(end))


def _from_exchange_calendars(calendar: str, first: date, last: date) -> pl.DataFrame:
    exchange = _exchange(calendar, first, last)
    if exchange is None:
        return _NO_SESSIONS
    schedule = exchange.schedule
    frame = pl.DataFrame(
        {
            "session": schedule.index.to_numpy().astype("datetime64[us]"),
            "open": schedule["open"].dt.tz_localize(None).to_numpy().astype("datetime64[us]"),
            "close": schedule["close"].dt.tz_localize(None).to_numpy().astype("datetime64[us]"),
        }
    )
    return _conformed(frame)


def _conformed(frame: pl.DataFrame) -> pl.DataFrame:
    """Type the columns and mark the sessions that are shorter than the usual one."""
    length = pl.col("close") - pl.col("open")
    usual = length.median().over(pl.col("session").dt.year())
    return frame.select(
        pl.col("session").cast(pl.Date),
        pl.col("open").dt.replace_time_zone("UTC"),
        pl.col("close").dt.replace_time_zone("UTC"),
        (length.dt.total_seconds() < usual.dt.total_seconds() * _HALF_DAY_SHARE).alias(
            "is_half_day"
        ),
    )


def _around_the_clock(days: pl.DataFrame) -> pl.DataFrame:
    opening = pl.col("session").cast(pl.Datetime("us"))
    return _conformed(days.with_columns(opening.alias("open"), (opening + _ONE_DAY).alias("close")))


def _weekdays(days: pl.DataFrame) -> pl.DataFrame:
    return _around_the_clock(days.filter(pl.col("session").dt.weekday() <= 5))


def _target(days: pl.DataFrame) -> pl.DataFrame:
    """The days of the TARGET system (ECB, long-term calendar since 2002, and 1999 to 2001)."""
    years = days["session"].dt.year().unique()
    closed = pl.Series([day for year in years for day in _target_holidays(year)])
    open_days = days.filter(
        pl.col("session").dt.weekday() <= 5, ~pl.col("session").is_in(closed.implode())
    )
    fixing = pl.col("session").dt.combine(_FIXING_TIME).dt.replace_time_zone(_FIXING_ZONE)
    return open_days.select(
        "session",
        pl.col("session").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("open"),
        fixing.dt.convert_time_zone("UTC").alias("close"),
        pl.lit(value=False).alias("is_half_day"),
    )


def _target_holidays(year: int) -> list[date]:
    easter = easter_sunday(year)
    days = [date(year, 1, 1), date(year, 12, 25), date(year, 12, 26)]
    if year >= 2000:  # in its first year the system closed on New Year's and Christmas Day only
        days += [easter - timedelta(days=2), easter + timedelta(days=1), date(year, 5, 1)]
    if year in (1999, 2001):  # closed once more for the change of millennium and to the euro's cash
        days.append(date(year, 12, 31))
    return days


def easter_sunday(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar (anonymous algorithm, Meeus 1991)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


_ONE_DAY = timedelta(days=1)
_NO_SESSIONS = pl.DataFrame(schema=SESSION_COLUMNS)
_BUILT_IN: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "24/7": _around_the_clock,
    "24/5": _weekdays,
    "TARGET": _target,
}


def utc(moment: datetime) -> datetime:
    """Return the moment in UTC; raises ValueError where it carries no zone."""
    if moment.tzinfo is None:
        raise ValueError(f"a moment must carry its zone, was {moment.isoformat()}")
    return moment.astimezone(UTC)
