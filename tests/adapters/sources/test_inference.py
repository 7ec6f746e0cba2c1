"""A mapping is inferred where the files leave no doubt, and asked for where they do."""

import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import Hints, infer_mapping, to_yaml
from adapters.sources.mapping import MappingError, load_mapping

EVER = (datetime(1801, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC))


def inferred(tmp_path: Path, files: dict[str, str], hints: Hints | None = None) -> FileSource:
    folder = tmp_path / "data"
    folder.mkdir()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    mapping = infer_mapping(folder, hints)
    # What is inferred can be saved, read again and changed by hand.
    written = tmp_path / "data.yaml"
    written.write_text(to_yaml(mapping))
    assert load_mapping(written) == mapping
    return FileSource(folder, mapping)


def days(source: FileSource, table: str = "bars") -> list[date]:
    return source.fetch(table, *EVER)["event_time"].dt.date().to_list()


def test_a_calendar_that_nobody_keeps_is_told_by_its_name_and_nothing_else_is_asked(tmp_path):
    with pytest.raises(
        MappingError, match=r"calendar must be a name of exchange_cal.* was 'NOWHERE'"
    ):
        inferred(tmp_path, {"A.csv": "Date,Close\n2020-01-02,1\n"}, Hints(calendar="NOWHERE"))


def test_us_dates_are_recognised_by_a_day_past_the_twelfth(tmp_path):
    files = {
        "AAPL.csv": "Date,Open,High,Low,Close,Volume\n11/1/2018,1,2,1,2,5\n11/13/2018,1,2,1,2,6\n"
    }
    source = inferred(tmp_path, files)
    assert days(source) == [date(2018, 11, 1), date(2018, 11, 13)]
    assert source.instruments()["instrument_id"].to_list() == ["US.AAPL"]


def test_dates_that_read_both_ways_are_asked_and_a_hint_decides(tmp_path):
    files = {"A.csv": "Date,Close\n1/2/2020,1\n3/4/2020,2\n"}
    with pytest.raises(MappingError, match=r"A\.csv: is 'Date' \('1/2/2020'\) day/month or"):
        inferred(tmp_path, files)
    (tmp_path / "x").mkdir()
    source = inferred(tmp_path / "x", files, Hints(day_first=True, calendar="XNYS"))
    assert days(source) == [date(2020, 2, 1), date(2020, 4, 3)]


def test_a_damaged_cell_is_rejected_and_changes_no_format(tmp_path):
    rows = "".join(f"1/{day}/2020,{day}\n" for day in range(2, 31))
    files = {"A.csv": f"Date,Close\n{rows}32/99/2020,5\n1/31/2020,oops\n"}
    source = inferred(tmp_path, files, Hints(calendar="XNYS"))
    assert len(days(source)) == 29
    assert source.rejected().height == 2


def test_german_layout(tmp_path):
    files = {"SAP.csv": "Datum;Open;Close\n31.12.2019;1.234,5;1.240,25\n02.01.2020;1,5;2,5\n"}
    rows = inferred(tmp_path, files).fetch("bars", *EVER)
    assert rows["open"].to_list() == [1234.5, 1.5]
    assert rows["event_time"].dt.date().to_list() == [date(2019, 12, 31), date(2020, 1, 2)]


def test_times_without_a_zone_are_asked(tmp_path):
    files = {"ES.csv": "timestamp,close\n2020-01-02 10:00:00,1\n2020-01-02 10:05:00,2\n"}
    with pytest.raises(MappingError, match="in which zone are the times of 'timestamp'"):
        inferred(tmp_path, files)
    (tmp_path / "x").mkdir()
    source = inferred(tmp_path / "x", files, Hints(zone="America/Chicago"))
    rows = source.fetch("bars", *EVER)
    assert rows["interval"].unique().to_list() == ["5m"]
    assert rows["event_time"][0] == datetime(2020, 1, 2, 16, 5, tzinfo=UTC)


def test_a_fred_file_is_a_macro_series(tmp_path):
    source = inferred(tmp_path, {"DGS10.csv": "DATE,DGS10\n2020-01-01,.\n2020-01-02,1.88\n"})
    rows = source.fetch("macro", *EVER)
    assert rows.select("series_id", "value").rows() == [("DGS10", 1.88)]
    assert source.rejected().height == 1


def test_a_wide_file_of_tickers_is_bars(tmp_path):
    source = inferred(tmp_path, {"px.csv": "Date,AAPL,MSFT\n2020-01-02,1,2\n2020-01-03,,3\n"})
    assert source.fetch("bars", *EVER)["instrument_id"].to_list() == [
        "US.AAPL", "US.MSFT", "US.MSFT",
    ]  # fmt: skip


def test_several_dates_and_no_name_for_any_are_asked(tmp_path):
    files = {"a.csv": "meeting,released,text\n2020-01-01,2020-01-20,x\n"}
    with pytest.raises(MappingError, match="is the time"):
        inferred(tmp_path, files)


def test_all_questions_come_at_once(tmp_path):
    files = {"A.csv": "Date,Close\n1/2/2020,1\n", "B.csv": "x,y\n1,2\n"}
    with pytest.raises(MappingError, match=r"A\.csv: .*; B\.csv: "):
        inferred(tmp_path, files)


def test_a_folder_without_data_is_refused(tmp_path):
    with pytest.raises(MappingError, match="must hold files"):
        infer_mapping(tmp_path)


def test_headers_in_other_languages_are_read(tmp_path: Path) -> None:
    """Accents and capitals make no difference."""
    text = (
        "Datum;Symbol;Eröffnung;Hoch;Tief;Schlusskurs;Volumen\n"
        "15.01.2024;SAP;10,5;11,0;10,0;10,8;500\n"
        "16.01.2024;SAP;10,8;11,5;10,7;11,2;600\n"
    )
    rows = inferred(tmp_path, {"kurse.csv": text}, Hints(calendar="XETR")).fetch("bars", *EVER)

    assert rows.select("open", "high", "low", "close", "volume").rows() == [
        (10.5, 11.0, 10.0, 10.8, 500.0),
        (10.8, 11.5, 10.7, 11.2, 600.0),
    ]


def test_each_member_of_an_archive_is_its_own_instrument(tmp_path: Path) -> None:
    """Members are named for their tickers, as files are; a ticker may have a dot."""
    day = "date,open,high,low,close,volume\n2024-01-16,{0},{0},{0},{0},5\n"
    folder = tmp_path / "x"
    folder.mkdir()
    with zipfile.ZipFile(folder / "daily.zip", "w") as archive:
        archive.writestr("data/us/aapl.us.txt", day.format(10))
        archive.writestr("data/us/BRK.B.csv", day.format(20))
    (folder / "BRK.A_daily.csv").write_text(day.format(30))
    rows = FileSource(folder, infer_mapping(folder)).fetch("bars", *EVER)

    assert dict(rows.select("instrument_id", "close").iter_rows()) == {
        "US.AAPL": 10.0,
        "US.BRK.B": 20.0,
        "US.BRK.A": 30.0,
    }


SESSIONS = [f"2020-01-{day:02}" for day in (2, 3, 6, 7, 8, 9, 10)]


@pytest.mark.parametrize(
    "stamp",
    ["{}T21:00:00Z", "{}T14:30:00+00:00", "{} 16:00:00", "{}T05:00:00Z", "{}T16:00:00-05:00"],
)
def test_a_daily_bar_with_a_time_of_day_is_of_its_session(tmp_path: Path, stamp: str) -> None:
    """Whether it is stamped with the close, the open or the midnight of its exchange."""
    rows = "".join(f"{stamp.format(day)},{price}\n" for price, day in enumerate(SESSIONS, 10))
    source = inferred(tmp_path, {"AAPL.csv": f"Date,Close\n{rows}"})
    bars = source.fetch("bars", *EVER)
    assert bars["event_time"].to_list() == [
        datetime.fromisoformat(f"{day}T21:00:00+00:00") for day in SESSIONS
    ]


def test_a_page_copied_from_a_portal_is_bars(tmp_path: Path) -> None:
    """The close is called a price, thousands are grouped, volumes shortened."""
    header = '"Date","Price","Open","High","Low","Vol.","Change %"\n'
    rows = (
        '"Jan 03, 2020","1,510.25","1,500.00","1,520.00","1,490.00","2.31M","0.1%"\n'
        '"Jan 02, 2020","999.50","1,001.00","1,010.00","990.00","870K","0.1%"\n'
    )
    source = inferred(tmp_path, {"GOOG Historical Data.csv": header + rows})
    bars = source.fetch("bars", *EVER).sort("event_time")
    assert bars["close"].to_list() == [999.50, 1510.25]
    assert bars["volume"].to_list() == [870_000.0, 2_310_000.0]
    assert source.rejected().is_empty()


def test_unquoted_neighbours_are_not_one_number_with_thousands(tmp_path: Path) -> None:
    rows = "".join(f"{day},100,200.25,90,150.5\n" for day in SESSIONS)
    source = inferred(tmp_path, {"A.csv": f"Date,Open,High,Low,Close\n{rows}"})
    assert set(source.fetch("bars", *EVER)["high"]) == {200.25}


def test_a_clock_that_stands_at_midnight_tells_no_time(tmp_path: Path) -> None:
    header = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
    rows = "".join(f"AAPL.US,D,{day.replace('-', '')},000000,1,2,1,2,5,0\n" for day in SESSIONS)
    source = inferred(tmp_path, {"aapl.us.txt": header + rows})
    assert [day.isoformat() for day in days(source)] == SESSIONS


def test_three_lines_of_header_are_one(tmp_path: Path) -> None:
    header = "Price,Close,High,Low,Open,Volume\nTicker,IBM,IBM,IBM,IBM,IBM\nDate,,,,,\n"
    rows = "".join(f"{day},2,3,1,2,5\n" for day in SESSIONS)
    source = inferred(tmp_path, {"IBM.csv": header + rows})
    assert [day.isoformat() for day in days(source)] == SESSIONS


def test_blank_lines_at_the_end_are_no_rows(tmp_path: Path) -> None:
    rows = "".join(f"{day},1\r\n" for day in SESSIONS)
    source = inferred(tmp_path, {"A.csv": f"Date,Close\r\n{rows}\r\n\r\n"})
    assert source.rejected().is_empty()
    assert len(days(source)) == len(SESSIONS)


def test_a_file_that_cannot_be_read_is_named_and_may_be_left_out(tmp_path: Path) -> None:
    rows = "".join(f"{day},1\n" for day in SESSIONS)
    files = {"A.csv": f"Date,Close\n{rows}", "b.parquet": "PAR1garbage"}
    with pytest.raises(MappingError, match=r"leave it out with --ignore 'b\.parquet'"):
        inferred(tmp_path, files)
    (tmp_path / "x").mkdir()
    assert len(days(inferred(tmp_path / "x", files, Hints(ignore=("*.parquet",))))) == 7


def test_files_of_splits_and_dividends_are_corporate_actions(tmp_path: Path) -> None:
    """A split is known to the prices of its ex-date from the open on."""
    rows = "".join(f"{day},AAPL,1\n{day},IBM,2\n" for day in SESSIONS)
    files = {
        "prices.csv": f"Date,Symbol,Close\n{rows}",
        "splits.csv": "symbol,ex_date,ratio\nAAPL,2020-01-07,4\n",
        "cash.csv": "ticker,ex_date,dividend,split_factor\nIBM,2020-01-08,0.5,\nIBM,2020-01-09,,2",
    }
    source = inferred(tmp_path, files)
    found = source.fetch("corporate_actions", *EVER).sort("event_time")
    columns = ("instrument_id", "kind", "ratio", "amount", "currency")
    assert found.select(columns).rows() == [
        ("US.AAPL", "split", 4.0, None, "USD"),
        ("US.IBM", "dividend", None, 0.5, "USD"),
        ("US.IBM", "split", 2.0, None, "USD"),
    ]
    assert found["event_time"][0] == datetime(2020, 1, 7, 14, 30, tzinfo=UTC)
    assert source.tables == ("corporate_actions", "bars")
    assert source.rejected().is_empty()


def test_a_file_of_dividends_tells_when_each_is_paid(tmp_path: Path) -> None:
    """The pay date is of its day's morning in New York; one that is not told is null."""
    rows = "".join(f"{day},IBM,2\n" for day in SESSIONS)
    paid = "symbol,ex_date,pay_date,amount\nIBM,2020-01-07,2020-02-10,0.5\nIBM,2020-01-08,,0.1\n"
    files = {"prices.csv": f"Date,Symbol,Close\n{rows}", "dividends.csv": paid}

    found = inferred(tmp_path, files).fetch("corporate_actions", *EVER).sort("event_time")

    assert found["amount"].to_list() == [0.5, 0.1]
    assert found["end_time"].to_list() == [datetime(2020, 2, 10, 10, tzinfo=UTC), None]


@pytest.mark.parametrize("first", ["# from a vendor\n# in dollars\n", "sep=;\n"])
def test_lines_before_the_header_are_passed_over(tmp_path: Path, first: str) -> None:
    rows = "".join(f"{day};1,5\n" for day in SESSIONS)
    source = inferred(tmp_path, {"A.csv": f"{first}Date;Close\n{rows}"})
    assert source.fetch("bars", *EVER)["close"].to_list() == [1.5] * 7


def test_a_file_whose_lines_fit_no_header_is_asked_about(tmp_path: Path) -> None:
    """Nothing of it may vanish without a word."""
    rows = "".join(f"{day},1\n" for day in SESSIONS)
    with pytest.raises(MappingError, match=r"A\.csv: its lines must fit its header, none does"):
        inferred(tmp_path, {"A.csv": f"daily prices of A\nDate,Close\n{rows}"})


def test_two_formats_in_one_column_are_asked_with_an_example_of_each(tmp_path: Path) -> None:
    rows = [f"{day},1\n" for day in SESSIONS] + [f"3/{day}/2020,1\n" for day in range(13, 20)]
    with pytest.raises(MappingError, match="such as '2020-01-02' and '3/19/2020'"):
        inferred(tmp_path, {"A.csv": f"Date,Close\n{''.join(rows)}"})
