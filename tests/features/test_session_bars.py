"""Session bars: one bar a session, drawn together from what was known, and nothing else."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from features import calendars
from features.schemas import BARS, INSTRUMENTS
from features.session_bars import Market, session_bars

LAG = timedelta(hours=2)
DAY = date(2020, 3, 3)


def make_market(calendar: str = "XNYS", currency: str = "USD") -> Market:
    return Market(calendar, currency, ("equity", "fx", "crypto"), LAG)


def make_instruments(calendar: str = "XNYS", currency: str = "USD") -> pl.DataFrame:
    row = {
        "instrument_id": "A",
        "ticker": "A",
        "asset_class": "equity",
        "currency": currency,
        "calendar": calendar,
    }
    return INSTRUMENTS.conform(pl.DataFrame([row]))


def make_bars(
    ends: list[datetime],
    prices: list[float],
    interval: str = "1h",
    known: list[datetime] | None = None,
) -> pl.DataFrame:
    return BARS.conform(
        pl.DataFrame(
            {
                "instrument_id": "A",
                "interval": interval,
                "event_time": ends,
                "knowledge_time": known or ends,
                "open": [p - 0.5 for p in prices],
                "high": [p + 1.0 for p in prices],
                "low": [p - 1.0 for p in prices],
                "close": prices,
                "volume": [10.0] * len(prices),
                "adjustment": "raw",
                "currency": "USD",
                "source": "s",
                "source_row": range(len(prices)),
            }
        )
    )


def hours_of(day: date, first: int, last: int) -> list[datetime]:
    """Return the ends of the hourly bars that begin at these hours of UTC."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return [midnight + timedelta(hours=h + 1) for h in range(first, last + 1)]


def drawn(bars: pl.DataFrame, market: Market | None = None) -> list[dict[str, object]]:
    chosen = market or make_market()
    instruments = make_instruments(chosen.calendar, chosen.currency)
    return session_bars(bars, instruments, chosen).to_dicts()


def test_hours_become_the_session_they_lie_in_and_what_lies_outside_belongs_to_none() -> None:
    # New York opens at 14:30 and closes at 21:00 UTC on this day.
    ends = hours_of(DAY, 12, 23)
    prices = [float(n) for n in range(12, 24)]
    [bar] = drawn(make_bars(ends, prices))
    assert bar["event_time"] == calendars.session_close("XNYS", DAY)
    assert (bar["open"], bar["close"]) == (13.5, 20.0)  # from 14:00 on; the last ends at 21:00
    assert (bar["high"], bar["low"]) == (21.0, 13.0)
    assert bar["volume"] == 70.0
    assert bar["interval"] == "1d"


def test_a_bar_stamped_as_if_it_went_on_after_the_close_is_the_sessions_last() -> None:
    half_past = [end + timedelta(minutes=30) for end in hours_of(DAY, 14, 20)]
    [bar] = drawn(make_bars(half_past, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]))
    assert bar["close"] == 7.0
    assert bar["knowledge_time"] == datetime(2020, 3, 3, 21, 30, tzinfo=UTC)


def test_a_session_that_breaks_off_early_has_no_close_and_gives_no_bar() -> None:
    assert drawn(make_bars(hours_of(DAY, 14, 17), [1.0, 2.0, 3.0, 4.0])) == []


def test_a_bar_that_comes_after_the_decision_makes_a_version_of_its_own() -> None:
    ends = hours_of(DAY, 14, 20)
    late = datetime(2020, 3, 4, 9, tzinfo=UTC)
    known = [*ends[:-2], late, ends[-1]]
    first, second = drawn(make_bars(ends, [1.0, 2.0, 3.0, 4.0, 5.0, 99.0, 7.0], known=known))
    assert (first["high"], first["volume"]) == (8.0, 60.0)
    assert first["knowledge_time"] == ends[-1]
    assert (second["high"], second["volume"]) == (100.0, 70.0)
    assert second["knowledge_time"] == late


def test_nothing_is_known_before_its_last_part() -> None:
    ends = hours_of(DAY, 14, 20)
    known = [end + timedelta(minutes=5 * n) for n, end in enumerate(ends)]
    bars = drawn(make_bars(ends, [1.0] * 7, known=known))
    assert [bar["knowledge_time"] for bar in bars] == [max(known)]


def test_a_round_the_clock_session_ends_at_midnight() -> None:
    ends = hours_of(DAY, 0, 23)
    [bar] = drawn(make_bars(ends, [float(n) for n in range(24)]), make_market("24/7"))
    assert bar["event_time"] == datetime(2020, 3, 4, tzinfo=UTC)
    assert calendars.session_of_close("24/7", bar["event_time"]) == DAY  # type: ignore[arg-type]
    assert bar["close"] == 23.0


def test_days_that_end_in_new_york_belong_to_the_session_in_which_they_end() -> None:
    ends = [datetime(2020, 3, d, 22, tzinfo=UTC) for d in (2, 3, 4)]
    found = drawn(make_bars(ends, [1.0, 2.0, 3.0], "1d"), make_market("24/5"))
    closes = [calendars.session_close("24/5", date(2020, 3, d)) for d in (2, 3, 4)]
    assert [bar["event_time"] for bar in found] == closes
    assert [bar["knowledge_time"] for bar in found] == closes


def test_daily_bars_on_the_calendar_are_left_as_they_are_and_closed_days_are_not_traded() -> None:
    days = [date(2020, 3, d) for d in (2, 3, 4, 5, 6)]
    ends = [calendars.session_close("XNYS", day) for day in days]
    sunday = datetime(2020, 3, 8, 21, tzinfo=UTC)
    bars = make_bars([*ends, sunday], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "1d")
    found = session_bars(bars, make_instruments(), make_market())
    assert found.equals(bars.head(5))


@pytest.mark.parametrize(("calendar", "currency"), [("XTKS", "USD"), ("XNYS", "JPY")])
def test_instruments_of_another_market_are_not_traded(calendar: str, currency: str) -> None:
    bars = make_bars(hours_of(DAY, 14, 20), [1.0] * 7)
    found = session_bars(bars, make_instruments(calendar, currency), make_market())
    assert found.is_empty()


def test_calendars_of_other_names_and_the_same_hours_are_one_market() -> None:
    bars = make_bars(hours_of(DAY, 14, 20), [1.0] * 7)
    assert session_bars(bars, make_instruments("XNAS"), make_market()).height == 1
