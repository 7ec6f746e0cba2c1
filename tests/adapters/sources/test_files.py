"""The file source on odd data: every row comes out typed, or comes back with the reason."""

import gzip
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.sources.files import FileSource
from adapters.sources.mapping import MappingError, load_mapping, mapping_from
from adapters.sources.reading import UnreadableFileError

EVER = (datetime(1801, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC))
OHLC = {"interval": {"constant": "1d"}, "close": "Close"}


def make_source(folder: Path, written: Mapping[str, str | bytes], **table: object) -> FileSource:
    """A source of daily bars out of X.csv, every part of which a test may replace."""
    folder.mkdir(exist_ok=True)
    for name, content in written.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    spec = {
        "table": "bars", "files": "*", "time": {"column": "Date", "stands_for": "session"},
        "symbol": {"constant": "X"}, "instrument": {"id": "US.{symbol}"}, "columns": OHLC, **table,
    }  # fmt: skip
    return FileSource(folder, mapping_from({"tables": [spec]}, name="test"))


def closes(source: FileSource) -> list[float]:
    return source.fetch("bars", *EVER)["close"].to_list()


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfDate,Close\r\n2020-01-02,1.5\r\n",
        "Date,Close\n2020-01-02,1.5\n".encode("utf-16"),
        b"Date;Close\n2020-01-02;1.5\n",
        b"Date\tClose\n2020-01-02\t1.5\n",
        b" Date , Close \n 2020-01-02 , 1.5 \n",
        b'"Date","Close","Note"\n"2020-01-02","1.5","a ""quoted"", word\nover lines"\n',
        b"Date,Close,\n2020-01-02,1.5,\n",
        b"Close,Date\n1.5,2020-01-02",
    ],
    ids=["bom", "utf16", "semicolon", "tab", "spaces", "quotes", "trailing", "no_newline"],
)
def test_layouts_of_text_files(tmp_path, content):
    source = make_source(tmp_path / "in", {"X.csv": content})
    assert closes(source) == [1.5]
    assert source.rejected().is_empty()


def test_a_mapping_names_when_a_dividend_is_paid(tmp_path):
    """Midnight in New York is 05:00 UTC in winter; a day that is none gives a reason."""
    rows = "ex,paid,cash\n2020-01-07,2020-01-21,0.5\n2020-02-07,,0.5\n2020-03-06,soon,0.5\n"
    day = {"stands_for": "day", "zone": "America/New_York"}
    source = make_source(
        tmp_path / "in", {"X.csv": rows}, table="corporate_actions",
        time={"column": "ex", "at": "09:30", **day},
        end_time={"column": "paid", "at": "00:00", **day},
        columns={"kind": {"constant": "dividend"}, "amount": "cash"},
    )  # fmt: skip

    found = source.fetch("corporate_actions", *EVER)

    assert found["end_time"].to_list() == [datetime(2020, 1, 21, 5, tzinfo=UTC), None]
    assert "end_time must be a time" in source.rejected()["reason"][0]


def test_decimal_commas_and_grouping_points(tmp_path):
    files = {"X.csv": "Date;Close\n2020-01-02;1.234,5\n2020-01-03;1.234\n2020-01-06;0,25\n"}
    source = make_source(tmp_path / "in", files, csv={"decimal": ","})
    assert closes(source) == [1234.5, 1234.0, 0.25]


def test_a_comma_as_grouping_must_be_named_or_the_row_is_set_aside(tmp_path):
    files = {"X.csv": 'Date,Close\n2020-01-02,"1,234.5"\n'}
    assert make_source(tmp_path / "a", files).rejected().height == 1
    assert closes(make_source(tmp_path / "b", files, csv={"thousands": ","})) == [1234.5]


def test_bad_lines_at_the_end_of_a_large_file_are_set_aside_each_with_its_reason(tmp_path):
    good = "".join(f"2020-01-{day:02d},{day}\n" for day in range(1, 29)) * 600
    bad = "2020-13-45,1\n2020-01-03x,2\n2020-01-02,abc\n"
    source = make_source(tmp_path / "in", {"X.csv": "Date,Close\n" + good + bad})
    reasons = sorted(source.rejected()["reason"])
    assert [cell for cell, why in zip(("abc", "03x", "13-45"), reasons, strict=True) if cell in why]
    assert len(closes(source)) == 28 * 600


@pytest.mark.parametrize("cell", ["abc", "1.2.3", "inf", "1e999", "12px", "--1", "０x"])
def test_a_cell_that_is_no_number_sets_its_row_aside(tmp_path, cell):
    source = make_source(
        tmp_path / "in", {"X.csv": f"Date,Close\n2020-01-02,{cell}\n2020-01-03,2\n"}
    )
    assert closes(source) == [2.0]
    rejected = source.rejected().row(0, named=True)
    assert cell in rejected["reason"]
    assert json.loads(rejected["row"])["Close"] == cell
    assert source.locate(rejected["source"], rejected["source_row"]) == (tmp_path / "in/X.csv", 0)


@pytest.mark.parametrize("marker", [".", "N/A", "NaN", "", "null", "-", "#N/A"])
def test_null_markers_are_unknown_in_optional_columns_and_missing_in_required(tmp_path, marker):
    files = {"X.csv": f"Date,Close,Volume\n2020-01-02,1,{marker}\n2020-01-03,{marker},5\n"}
    source = make_source(tmp_path / "in", files, columns={**OHLC, "volume": "Volume"})
    rows = source.fetch("bars", *EVER)
    assert rows["volume"].to_list() == [None]
    assert source.rejected()["reason"].to_list() == ["close must be given, was empty"]


def test_lines_longer_than_the_header_are_set_aside_and_short_ones_are_unknown(tmp_path):
    files = {"X.csv": "Date,Close,Volume\n2020-01-02,1,5,9,9\n2020-01-03,2\n2020-01-06,3,7\n"}
    source = make_source(tmp_path / "in", files, columns={**OHLC, "volume": "Volume"})
    assert source.fetch("bars", *EVER)["volume"].to_list() == [None, 7.0]
    rejected = source.rejected()
    assert source.locate(rejected["source"][0], rejected["source_row"][0])[1] == 0


def test_an_enormous_field_is_read_and_an_empty_file_is_empty(tmp_path):
    big = "x" * 2_000_000
    files = {
        "X.csv": f"Date,Close,Note\n2020-01-02,1,{big}\n",
        "Y.csv": "",
        "Z.csv": "Date,Close\n",
    }
    assert closes(make_source(tmp_path / "in", files)) == [1.0]


def test_a_header_that_names_a_column_twice_is_refused(tmp_path):
    source = make_source(tmp_path / "in", {"X.csv": "Date,Close,Close\n2020-01-02,1,2\n"})
    with pytest.raises(UnreadableFileError, match=r"X\.csv must name each column once"):
        closes(source)


@pytest.mark.parametrize(
    ("cell", "form", "expected"),
    [
        ("11/1/2018", "%m/%d/%Y", date(2018, 11, 1)),
        ("11/1/2018", "%d/%m/%Y", date(2018, 1, 11)),
        ("1/2/85", "%m/%d/%y", date(1985, 1, 2)),
        ("20180111", "%Y%m%d", date(2018, 1, 11)),
        ("11-Jan-18", "%d-%b-%y", date(2018, 1, 11)),
        ("2018-01-11 00:00:00-05:00", "iso", date(2018, 1, 11)),
    ],
)
def test_days_are_read_as_the_mapping_says(tmp_path, cell, form, expected):
    source = make_source(
        tmp_path / "in", {"X.csv": f"Date,Close\n{cell},1\n"},
        time={"column": "Date", "format": form, "take": 10 if form == "iso" else None,
              "stands_for": "session"},
    )  # fmt: skip
    assert source.fetch("bars", *EVER)["event_time"].dt.date().to_list() == [expected]


def test_a_two_digit_year_read_as_the_year_85_is_set_aside(tmp_path):
    files = {"X.csv": "Date,Close\n1/2/85,1\n"}
    time = {"column": "Date", "format": "%m/%d/%Y", "stands_for": "session"}
    source = make_source(tmp_path / "in", files, time=time)
    assert "must lie in 1800 to 2100" in source.rejected()["reason"][0]


HOURS = {"interval": {"constant": "1h"}, "close": "Close"}


def hourly(folder: Path, stamps: Sequence[object], **time: object) -> FileSource:
    lines = "".join(f"{stamp},{i}\n" for i, stamp in enumerate(stamps))
    files = {"X.csv": "Date,Close\n" + lines}
    return make_source(folder, files, columns=HOURS, time={"column": "Date", **time})


def test_a_naive_time_needs_a_zone(tmp_path):
    source = hourly(tmp_path / "in", ["2020-01-02 10:00"], format="%Y-%m-%d %H:%M")
    with pytest.raises(MappingError, match="must name the zone"):
        closes(source)


def test_gaps_and_repeats_of_daylight_saving_time_are_set_aside_unless_decided(tmp_path):
    stamps = ["2020-03-08 02:30", "2020-11-01 01:30", "2020-11-01 03:00"]
    zone = {"zone": "America/New_York"}
    strict = hourly(tmp_path / "a", stamps, **zone)
    assert closes(strict) == [2.0]
    assert strict.rejected()["reason"].str.contains("exists once in America/New_York").all()
    decided = hourly(tmp_path / "b", stamps, ambiguous="latest", **zone)
    assert decided.fetch("bars", *EVER)["event_time"].to_list() == [
        datetime(2020, 11, 1, 6, 30, tzinfo=UTC), datetime(2020, 11, 1, 8, tzinfo=UTC),
    ]  # fmt: skip


def test_mixed_offsets_in_one_column_become_utc(tmp_path):
    stamps = ["2020-01-02T10:00:00+01:00", "2020-07-02 10:00:00-0400", "2020-07-02T15:00:00Z"]
    found = hourly(tmp_path / "in", stamps).fetch("bars", *EVER)["event_time"].to_list()
    assert found == [
        datetime(2020, 1, 2, 9, tzinfo=UTC), datetime(2020, 7, 2, 14, tzinfo=UTC),
        datetime(2020, 7, 2, 15, tzinfo=UTC),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]
)
def test_epochs_in_all_units(tmp_path, unit, factor):
    source = hourly(tmp_path / "in", [1_577_955_600 * factor], format=f"epoch_{unit}")
    assert source.fetch("bars", *EVER)["event_time"].to_list() == [
        datetime(2020, 1, 2, 9, tzinfo=UTC)
    ]


def test_an_epoch_in_the_wrong_unit_is_set_aside(tmp_path):
    source = hourly(tmp_path / "in", [1_577_955_600_000], format="epoch_s")
    assert closes(source) == []
    assert source.rejected().height == 1


def test_a_bar_stamped_with_its_start_ends_later(tmp_path):
    source = hourly(tmp_path / "in", ["2020-01-02 10:00"], zone="UTC", stands_for="bar_start")
    assert source.fetch("bars", *EVER)["event_time"][0] == datetime(2020, 1, 2, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    "dtype", [pl.Date(), pl.Datetime("ms"), pl.Datetime("ns", "Europe/Berlin")]
)
def test_temporal_columns_of_parquet(tmp_path, dtype):
    (tmp_path / "in").mkdir()
    frame = pl.DataFrame({"Date": [datetime(2020, 1, 2, 12)], "Close": [1.5]})  # noqa: DTZ001 - naive
    column = pl.col("Date").dt.replace_time_zone("UTC") if getattr(dtype, "time_zone", None) else (
        pl.col("Date")
    )  # fmt: skip
    frame.with_columns(column.cast(dtype)).write_parquet(tmp_path / "in" / "X.parquet")
    source = make_source(tmp_path / "in", {})
    assert source.fetch("bars", *EVER)["event_time"].dt.date().to_list() == [date(2020, 1, 2)]


def test_archives_and_json_lines(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("A.csv", "Date,Close\n2020-01-02,1\n")
        archive.writestr("B.csv", "Date,Close\n2020-01-03,2\n")
    (folder / "b.csv.gz").write_bytes(gzip.compress(b"Date,Close\n2020-01-06,3\n"))
    lines = '{"Date": "2020-01-07", "Close": 4.5}\n{"Date": "2020-01-08"\n\n{"Close": 6}\n'
    (folder / "c.jsonl").write_text(lines)
    source = make_source(folder, {})
    assert closes(source) == [1.0, 2.0, 3.0, 4.5]
    assert sorted(source.rejected()["reason"]) == [
        "a line must fit the file's header and format, did not",
        "time must be given, was empty",
    ]


def test_a_broken_archive_is_refused_in_one_line(tmp_path):
    source = make_source(tmp_path / "in", {"a.zip": b"PK no zip"})
    with pytest.raises(UnreadableFileError, match="must be a whole archive"):
        closes(source)


def test_pence_become_pounds_and_wide_files_long(tmp_path):
    files = {"X.csv": "Date,VOD,BP\n2020-01-02,150,\n2020-01-03,151,480\n"}
    source = make_source(
        tmp_path / "in", files, symbol="symbol",
        unpivot={"index": ["Date"], "value": "Close"},
        columns={"interval": {"constant": "1d"}, "close": {"column": "Close", "scale": 0.01}},
    )  # fmt: skip
    rows = source.fetch("bars", *EVER)
    assert rows.select("instrument_id", "close").rows() == [
        ("US.BP", 4.8), ("US.VOD", 1.5), ("US.VOD", 1.51),
    ]  # fmt: skip
    assert source.rejected().is_empty()
    assert source.instruments()["ticker"].to_list() == ["BP", "VOD"]


def test_symbols_out_of_file_names(tmp_path):
    files = {"AAPL_1d.csv": "Date,Close\n2020-01-02,1\n", "KO_1d.csv": "Date,Close\n2020-01-02,2\n"}
    source = make_source(
        tmp_path / "in", files, symbol="symbol", file_name=r"(?P<symbol>[A-Z]+)_1d\.csv"
    )
    assert source.fetch("bars", *EVER)["instrument_id"].to_list() == ["US.AAPL", "US.KO"]


def test_a_changed_row_is_read_again_under_the_same_key(tmp_path):
    source = make_source(tmp_path / "in", {"X.csv": "Date,Close\n2020-01-02,1\n"})
    before = source.fetch("bars", *EVER)
    (tmp_path / "in/X.csv").write_text("Date,Close\n2020-01-02,1.25\n2020-01-03,2\n")
    after = source.fetch("bars", *EVER)
    assert after["close"].to_list() == [1.25, 2.0]
    assert after["source"][0] == before["source"][0]
    assert after["source_row"][0] == before["source_row"][0]


def test_a_new_file_does_not_renumber_the_rows_of_others(tmp_path):
    source = make_source(tmp_path / "in", {"B.csv": "Date,Close\n2020-01-03,1\n"})
    before = source.fetch("bars", *EVER)
    (tmp_path / "in/A.csv").write_text("Date,Close\n2020-01-02,9\n")
    after = source.fetch("bars", *EVER)
    assert after.filter(close=1.0).equals(before)
    path, row = source.locate(*after.filter(close=9.0).select("source", "source_row").row(0))
    assert (path.name, row) == ("A.csv", 0)


def test_files_that_no_table_names_are_told(tmp_path):
    source = make_source(
        tmp_path / "in", {"X.csv": "Date,Close\n", "notes.txt": "?"}, files="*.csv"
    )
    assert source.unmapped_files() == ("notes.txt",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table": "prices"}, "table must be one of"),
        ({"colums": {}}, "must have only the entries"),
        ({"columns": {"closing": "Close"}}, "columns of bars must be of its schema"),
        ({"time": {"column": "Date", "zone": "Mars/Base"}}, "zone must be a name of the IANA"),
        ({"time": {"column": "Date", "stands_for": "x"}}, "stands_for must be one of"),
        ({"time": {"column": "Date", "at": 57600}}, "at must be a quoted local time|must be"),
        ({"knowledge": {"lag": "-5m"}}, "lag must not be negative"),
        ({"knowledge": {"lag": "soon"}}, "lag must be a duration"),
        ({"columns": {"close": {"column": "C", "scale": 0}}}, "scale must lie within"),
        ({"columns": {"close": {"column": "C", "constant": 1}}}, "exactly one of"),
        ({"csv": {"decimal": ";"}}, "decimal must be"),
        ({"format": "excel"}, "format must be one of"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_in_one_line(tmp_path, change, message):
    with pytest.raises(MappingError, match=message) as caught:
        make_source(tmp_path / "in", {}, **change)
    assert "\n" not in str(caught.value)


def test_a_column_the_file_lacks_is_named_with_those_it_has(tmp_path):
    source = make_source(tmp_path / "in", {"X.csv": "Date,Last\n2020-01-02,1\n"})
    with pytest.raises(MappingError, match=r"X\.csv: close must be read from .*'Last'.* was"):
        closes(source)


def test_a_mapping_file_that_is_no_yaml_is_named(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text("tables: [")
    with pytest.raises(MappingError, match=r"m\.yaml must be YAML"):
        load_mapping(path)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.just("2020-01-02"), st.text(st.characters(codec="ascii"), max_size=12)),
            st.one_of(st.just("1.5"), st.text(st.characters(codec="ascii"), max_size=12)),
        ),
        min_size=1, max_size=12,
    )
)  # fmt: skip
def test_whatever_is_in_the_cells_no_row_vanishes(tmp_path_factory, cells):
    import csv
    import io

    buffer = io.StringIO()
    csv.writer(buffer).writerows([("Date", "Close"), *cells])
    source = make_source(tmp_path_factory.mktemp("odd"), {"X.csv": buffer.getvalue()})
    rows, rejected = source.fetch("bars", *EVER), source.rejected()
    assert rows.height + rejected.height == len(cells)
