"""Files of candles as exchanges, terminals and data portals export them."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from adapters.sources.inference import infer_mapping
from adapters.sources.mapping import MappingError
from features.calendars import session_close
from tests.adapters.sources.test_inference import EVER, SESSIONS, inferred

COIN_DAYS = [datetime(2020, 1, day, tzinfo=UTC) for day in range(1, 29)]
ENDS = [datetime(2020, 1, day, tzinfo=UTC) for day in range(2, 30)]


@pytest.mark.parametrize(
    ("header", "stamp"),
    [
        ("timeOpen;timeClose;open;high;low;close;timestamp", "{d}T00:00:00.000Z;{d}T23:59:59.999Z"),
        ("timestamp;other;open;high;low;close;more", "{d}T23:59:59.999Z;x"),
        ("timestamp;other;open;high;low;close;more", "{d}T23:59:59Z;x"),
        ("openTime;closeTime;open;high;low;close;more", "{ms};{end}"),
        ("closeTime;openTime;open;high;low;close;more", "{end};{ms}"),
    ],
)
def test_a_candle_of_a_day_is_known_when_the_day_is_over(
    tmp_path: Path, header: str, stamp: str
) -> None:
    """CoinMarketCap stamps days with their last millisecond: they were of the day after."""
    lines = []
    for day in COIN_DAYS:
        ms = int(day.timestamp() * 1000)
        stamps = stamp.format(d=day.date(), ms=ms, end=ms + 86_399_999)
        lines.append(f"{stamps};10;12;9;11;{day.date()}T23:59:59.999Z")
    source = inferred(tmp_path, {"BTC-USD.csv": "\n".join([header, *lines])})
    rows = source.fetch("bars", *EVER).sort("event_time")
    assert rows["event_time"].to_list() == ENDS
    assert (rows["knowledge_time"] >= rows["event_time"]).all()


def test_an_hour_that_is_stamped_with_its_last_moment_ends_then(tmp_path: Path) -> None:
    lines = [f"2020-01-01T{hour:02d}:59:59.999Z,10,12,9,11" for hour in range(23)]
    text = "\n".join(["timestamp,open,high,low,close", *lines])
    rows = inferred(tmp_path, {"BTCUSDT.csv": text}).fetch("bars", *EVER).sort("event_time")
    assert rows["event_time"][0] == datetime(2020, 1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", ["{ticker}_{field}", "{field}_{ticker}", "{ticker} {field}"])
def test_prices_of_many_shares_beside_each_other_are_bars(tmp_path: Path, name: str) -> None:
    """They were series of macro values, and nothing was traded."""
    fields = ("Open", "High", "Low", "Close", "Volume")
    columns = [name.format(ticker=t, field=f) for t in ("AAPL", "MSFT") for f in fields]
    lines = [f"{day},10,12,9,11,700,20,22,19,21,900" for day in SESSIONS]
    text = "\n".join([",".join(["Date", *columns]), *lines])
    rows = inferred(tmp_path, {"prices.csv": text}).fetch("bars", *EVER)
    found = rows.select("instrument_id", "open", "high", "low", "close", "volume").unique()
    assert sorted(found.rows()) == [
        ("US.AAPL", 10.0, 12.0, 9.0, 11.0, 700.0),
        ("US.MSFT", 20.0, 22.0, 19.0, 21.0, 900.0),
    ]


def test_series_that_are_named_for_a_price_each_are_no_bars(tmp_path: Path) -> None:
    text = "Date,gold_close,oil_close" + "".join(f"\n{day},10,20" for day in SESSIONS)
    assert inferred(tmp_path, {"closes.csv": text}).tables == ("macro",)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("HistoricalData_AAPL.csv", "US.AAPL"),
        ("AAPL.Last.txt", "US.AAPL"),
        ("EOD-AAPL.csv", "US.AAPL"),
    ],
)
def test_a_vendors_word_in_a_files_name_is_no_symbol(
    tmp_path: Path, name: str, expected: str
) -> None:
    text = "Date,Close" + "".join(f"\n{day},10" for day in SESSIONS)
    rows = inferred(tmp_path, {name: text}).fetch("bars", *EVER)
    assert set(rows["instrument_id"]) == {expected}


def test_a_download_that_names_no_share_is_asked_about(tmp_path: Path) -> None:
    """Nasdaq's HistoricalData_1700000000000.csv was a share of that name."""
    text = "Date,Close/Last" + "".join(f"\n{day},10" for day in SESSIONS)
    (tmp_path / "HistoricalData_1700000000000.csv").write_text(text)
    with pytest.raises(MappingError, match="which instrument is it of"):
        infer_mapping(tmp_path)


@pytest.mark.parametrize("column", ["Dates", "begin", "<DTYYYYMMDD>"])
def test_a_column_of_days_is_known_by_more_of_its_names(tmp_path: Path, column: str) -> None:
    text = f"{column},open,high,low,close" + "".join(f"\n{day},10,12,9,11" for day in SESSIONS)
    rows = inferred(tmp_path, {"AAPL.csv": text}).fetch("bars", *EVER)
    assert rows["event_time"].to_list() == [
        session_close("XNYS", date.fromisoformat(day)) for day in SESSIONS
    ]
    assert rows.select(pl.col("close").unique()).to_series().to_list() == [11.0]
