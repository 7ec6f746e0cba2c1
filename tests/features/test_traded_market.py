"""The market that is traded where nobody said: most of the bars, one currency, one calendar."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from features.schemas import BARS, INSTRUMENTS
from features.traded_market import choose_market, find_later_lag


def make_instrument(name: str, calendar: str, currency: str, asset_class: str) -> dict[str, str]:
    return {
        "instrument_id": name,
        "ticker": name,
        "asset_class": asset_class,
        "currency": currency,
        "calendar": calendar,
    }


INSTRUMENTS_ROWS = INSTRUMENTS.conform(
    pl.DataFrame(
        [
            make_instrument("T1", "XTKS", "JPY", "equity"),
            make_instrument("T2", "XTKS", "JPY", "etf"),
            make_instrument("L1", "XLON", "GBP", "equity"),
            make_instrument("I1", "XNYS", "USD", "index"),
        ]
    )
)


def make_bars(counts: dict[str, int]) -> pl.DataFrame:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    rows = [
        {
            "instrument_id": name,
            "interval": "1d",
            "event_time": start + timedelta(days=n),
            "knowledge_time": start + timedelta(days=n),
            "close": 1.0,
            "source": "s",
        }
        for name, count in counts.items()
        for n in range(count)
    ]
    return BARS.conform(pl.DataFrame(rows))


def test_the_market_of_most_bars_is_traded_and_the_others_are_told() -> None:
    found = choose_market(make_bars({"T1": 5, "T2": 4, "L1": 8, "I1": 50}), INSTRUMENTS_ROWS)
    assert (found.calendar, found.currency) == ("XTKS", "JPY")
    assert found.asset_classes == ("equity", "etf")
    assert found.left_out == ("1 instruments in GBP by XLON are looked at, not traded",)


def test_what_is_configured_is_kept_to() -> None:
    found = choose_market(make_bars({"T1": 5, "L1": 2}), INSTRUMENTS_ROWS, currency="GBP")
    assert found.calendar == "XLON"


def test_data_without_anything_tradable_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"must be bars of equity, .* to trade, were of index"):
        choose_market(make_bars({"I1": 5}), INSTRUMENTS_ROWS)


def known_after(*hours: int) -> pl.DataFrame:
    """Return a bar for each number of hours, known so long after its close."""
    bars = make_bars({"T1": len(hours)})
    late = pl.Series([timedelta(hours=hour) for hour in hours])
    return bars.with_columns(knowledge_time=pl.col("event_time") + late)


def test_bars_that_are_published_the_next_morning_are_decided_on_then() -> None:
    lag = timedelta(hours=2)
    assert find_later_lag(known_after(*[15] * 8, 16, 40), lag) == timedelta(hours=16)
    assert find_later_lag(known_after(*[1] * 6, *[40] * 4), lag) is None
    assert find_later_lag(BARS.empty(), lag) is None


def test_the_first_version_says_when_a_bar_is_known() -> None:
    bars = known_after(1, 1, 1)
    revised = bars.with_columns(pl.col("knowledge_time").dt.offset_by("5d"))
    assert find_later_lag(pl.concat([bars, revised, revised]), timedelta(hours=2)) is None
