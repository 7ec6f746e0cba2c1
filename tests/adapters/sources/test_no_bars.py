"""Files that look like daily bars and are none: they are asked about, not read otherwise."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from adapters.sources.mapping import MappingError
from features.calendars import sessions
from tests.adapters.sources.test_inference import SESSIONS, inferred

DAYS = sessions("XNYS", date(2020, 1, 1), date(2021, 1, 1))["session"].to_list()
MONDAYS = [date(2020, 1, 6) + timedelta(days=7 * week) for week in range(40)]


def closes(days: list[date], column: str = "Close") -> str:
    return f"Date,{column}" + "".join(f"\n{day},{10 + n % 7}" for n, day in enumerate(days))


@pytest.mark.parametrize(
    ("days", "what"),
    [
        (MONDAYS, "weeks"),
        ([date(2020 + m // 12, 1 + m % 12, 1) for m in range(24)], "months"),
        ([date(2010 + q // 4, 1 + 3 * (q % 4), 1) for q in range(24)], "quarters"),
    ],
)
def test_bars_of_longer_than_a_day_are_asked_about(
    tmp_path: Path, days: list[date], what: str
) -> None:
    """Yahoo dates a week by its Monday: Friday's close was known four days early."""
    with pytest.raises(MappingError, match=f"when are its bars over\\? they are of {what}"):
        inferred(tmp_path, {"AAPL.csv": closes(days)})


def test_a_file_of_weeks_among_files_of_days_is_asked_about(tmp_path: Path) -> None:
    files = {"AAPL.csv": closes(DAYS), "IBM.csv": closes(DAYS), "MSFT.csv": closes(MONDAYS)}
    with pytest.raises(MappingError, match=r"^[^;]*MSFT\.csv: when are its bars over"):
        inferred(tmp_path, files)


def test_a_share_that_trades_seldom_has_days(tmp_path: Path) -> None:
    seldom = [day for n, day in enumerate(DAYS) if n % 11 in (0, 3, 4, 9)]
    source = inferred(tmp_path, {"AAPL.csv": closes(DAYS), "RARE.csv": closes(seldom)})
    assert source.tables == ("bars",)


@pytest.mark.parametrize("name", ["volume.csv", "opens/open.csv", "daily_high.csv"])
def test_a_wide_file_of_other_values_than_closes_is_asked_about(tmp_path: Path, name: str) -> None:
    """Its volumes were closes."""
    text = "date,AAPL,MSFT" + "".join(f"\n{day},1000,2000" for day in SESSIONS)
    with pytest.raises(MappingError, match="its values no closes by its name"):
        inferred(tmp_path, {name: text})


@pytest.mark.parametrize("name", ["close.csv", "low_vol_etfs.csv", "prices.csv"])
def test_a_wide_file_of_closes_is_read(tmp_path: Path, name: str) -> None:
    text = "date,AAPL,MSFT" + "".join(f"\n{day},10,20" for day in SESSIONS)
    assert inferred(tmp_path, {name: text}).tables == ("bars",)


def test_a_price_a_row_is_asked_about(tmp_path: Path) -> None:
    """It was a macro series for each price, and the symbol was not read."""
    fields = ("open", "high", "low", "close", "volume")
    text = "date,symbol,field,value" + "".join(
        f"\n{day},AAPL,{field},{n}" for day in SESSIONS for n, field in enumerate(fields, 10)
    )
    with pytest.raises(MappingError, match="'field' says which of its prices a row is"):
        inferred(tmp_path, {"prices.csv": text})


def test_adjusted_closes_alone_are_asked_about(tmp_path: Path) -> None:
    text = "Date,Adj Open,Adj Close" + "".join(f"\n{day},10,11" for day in SESSIONS)
    with pytest.raises(MappingError, match="are its bars to be read by 'Adj Close'"):
        inferred(tmp_path, {"AAPL.csv": text})
