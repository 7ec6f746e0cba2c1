"""The files that vendors write: named by paths, split in columns, without or with two headers."""

import gzip
import zipfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import polars as pl
import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import Hints, infer_mapping
from adapters.sources.mapping import MappingError
from tests.adapters.sources.test_inference import EVER, SESSIONS, inferred


def test_the_word_of_the_name_that_is_no_word_of_the_data_is_the_symbol(tmp_path: Path) -> None:
    rows = "".join(f"{day},1\n" for day in SESSIONS)
    names = ("daily_adjusted_AAPL.csv", "daily_adjusted_IBM.csv")
    found = inferred(tmp_path, dict.fromkeys(names, f"Date,Close\n{rows}")).instruments()
    assert found["instrument_id"].to_list() == ["US.AAPL", "US.IBM"]


@pytest.mark.parametrize("folders", ["{}/daily.parquet", "x/ticker={}/year=2020/part-0.parquet"])
def test_the_folder_that_differs_is_the_symbol(tmp_path: Path, folders: str) -> None:
    for symbol in ("AAPL", "BRK.B"):
        path = tmp_path / "data" / folders.format(symbol)
        path.parent.mkdir(parents=True)
        pl.DataFrame({"Date": SESSIONS, "Close": 1.5}).write_parquet(path)
    source = FileSource(tmp_path / "data", infer_mapping(tmp_path / "data"))
    assert source.instruments()["instrument_id"].to_list() == ["US.AAPL", "US.BRK.B"]
    assert source.fetch("bars", *EVER).height == 2 * len(SESSIONS)


@pytest.mark.parametrize(
    "names", [("daily.csv",), ("part-0.csv", "part-1.csv"), ("data_AAPL_XNYS.csv",)]
)
def test_a_name_that_tells_no_symbol_is_asked_about(tmp_path: Path, names: Sequence[str]) -> None:
    rows = "".join(f"{day},1\n" for day in SESSIONS)
    with pytest.raises(MappingError, match="which instrument is it of"):
        inferred(tmp_path, dict.fromkeys(names, f"Date,Close\n{rows}"))


_PDS = "ISIN,Mnemonic,Currency,Date,Time,StartPrice,MaxPrice,MinPrice,EndPrice,TradedVolume\n"


def test_an_hour_a_file_is_hourly_bars_and_one_question(tmp_path: Path) -> None:
    files = {
        f"{day}/{day}_BINS_XETR{hour:02d}.csv": f"{_PDS}DE0,SAP,EUR,{day},{hour:02d}:00,1,3,1,2,7\n"
        for day in SESSIONS[:5]
        for hour in range(8, 16)
    }
    for name, content in files.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    with pytest.raises(MappingError) as asked:
        infer_mapping(tmp_path / "data", Hints(calendar="XETR"))
    assert str(asked.value).count("in which zone are the times of 'Date'") == 1
    assert "and 39 more" in str(asked.value)
    mapping = infer_mapping(tmp_path / "data", Hints(calendar="XETR", zone="UTC"))
    bars = FileSource(tmp_path / "data", mapping).fetch("bars", *EVER)
    assert bars["interval"].unique().to_list() == ["1h"]
    assert bars.select("instrument_id", "open", "high", "low", "close", "volume").row(0) == (
        "XETR.SAP", 1.0, 3.0, 1.0, 2.0, 7.0,
    )  # fmt: skip
    assert bars["event_time"][0] == datetime.combine(date.fromisoformat(SESSIONS[0]), time(9), UTC)


def test_one_question_about_many_files_is_asked_once(tmp_path: Path) -> None:
    files = {f"{number}.csv": "Date,alpha,beta,gamma\n2020-01-02,x,y,z\n" for number in range(20)}
    with pytest.raises(MappingError) as asked:
        inferred(tmp_path, files)
    assert len(str(asked.value)) < 600
    assert "0.csv and 19 more: which table are the columns" in str(asked.value)
    assert "--ignore PATTERN" in str(asked.value)


def test_candles_without_a_header_are_known_by_their_two_epochs(tmp_path: Path) -> None:
    first = 1_577_836_800_000
    rows = "".join(
        f"{first + n * 86_400_000},1,3,0.5,2.25,7,{first + (n + 1) * 86_400_000 - 1},9,4,5,6,0\n"
        for n in range(9)
    )
    source = inferred(tmp_path, {"BTCUSDT-1d-2020-01.csv": rows})
    bars = source.fetch("bars", *EVER)
    assert bars.select("instrument_id", "close", "volume").row(0) == ("CRYPTO.BTCUSDT", 2.25, 7.0)
    assert bars["event_time"][0] == datetime(2020, 1, 2, tzinfo=UTC)
    assert bars.height == 9


@pytest.mark.parametrize("fields_first", [True, False])
def test_a_header_of_fields_and_tickers_is_a_table_of_each(
    tmp_path: Path, fields_first: bool
) -> None:
    fields = ",Close,Close,Open,Open,Volume,Volume"
    tickers = ",AAPL,IBM,AAPL,IBM,AAPL,IBM"
    head = f"Price{fields}\nTicker{tickers}" if fields_first else f"{tickers}\n{fields}"
    rows = "".join(f"{day},1.5,2.5,1.25,,10,\n" for day in SESSIONS)
    rows += "2020-01-13,1.5,,1.25,,10,\n"  # no record of IBM
    source = inferred(tmp_path, {"prices.csv": f"{head}\nDate,,,,,,\n{rows}"})
    bars = source.fetch("bars", *EVER)
    first = bars.group_by("instrument_id", maintain_order=True).first()
    columns = ("instrument_id", "open", "close", "volume")
    assert first.select(columns).rows() == [
        ("US.AAPL", 1.25, 1.5, 10.0),
        ("US.IBM", None, 2.5, None),
    ]
    assert bars["instrument_id"].value_counts(sort=True).rows() == [("US.AAPL", 8), ("US.IBM", 7)]
    where, row = source.locate(bars["source"][-1], bars["source_row"][-1])
    assert (where.name, row) == ("prices.csv", len(SESSIONS) - 1)


def test_text_in_another_encoding_is_asked_and_then_read(tmp_path: Path) -> None:
    rows = "".join(f"{day};1,5\n" for day in SESSIONS)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "BMW.DE.csv").write_bytes(
        f"Datum;Eröffnung;Schluss\n{rows}".encode("cp1252")
    )
    with pytest.raises(MappingError, match=r"in which encoding is it.*--encoding cp1252"):
        infer_mapping(tmp_path / "data")
    mapping = infer_mapping(tmp_path / "data", Hints(encoding="cp1252"))
    assert mapping.tables[0].columns["open"].column == ("Eröffnung",)


SPLIT_ON = "2020-01-08"


def with_columns_of_actions(
    *, raw: bool, dividend: str = "0.0", extra: str = "", listed: str = "4.0"
) -> str:
    """Return bars with a split of 4 for 1, in the prices (raw) or not."""
    head = f"date,close,divCash,splitFactor{',adjClose' if extra else ''}\n"
    lines = [
        f"{day},{400.0 if raw and day < SPLIT_ON else 100.0 + n},"
        f"{dividend if n == 2 else '0.0'},{listed if day == SPLIT_ON else '1.0'}{extra}\n"
        for n, day in enumerate(SESSIONS)
    ]
    return head + "".join(reversed(lines))  # the newest first, as some vendors write them


@pytest.mark.parametrize(("raw", "said"), [(True, "raw"), (False, "split")])
def test_splits_beside_prices_say_how_these_are_adjusted(
    tmp_path: Path, raw: bool, said: str
) -> None:
    text = with_columns_of_actions(raw=raw, dividend="0.5", extra=",99")
    source = inferred(tmp_path, {"AAPL.csv": text})
    assert set(source.fetch("bars", *EVER)["adjustment"]) == {said}
    found = source.fetch("corporate_actions", *EVER).sort("event_time")
    columns = ("kind", "ratio", "amount", "currency")
    assert found.select(columns).rows() == [
        ("dividend", None, 0.5, "USD"),
        ("split", 4.0, None, "USD"),
    ]
    assert found["event_time"][1] == datetime(2020, 1, 8, 14, 30, tzinfo=UTC)


def test_payments_that_the_prices_may_already_hold_are_asked_about(tmp_path: Path) -> None:
    """A total return that is paid out again is money twice."""
    files = {"AAPL.csv": with_columns_of_actions(raw=False, dividend="0.5")}
    with pytest.raises(MappingError, match="adjusted for the payments that it lists"):
        inferred(tmp_path, files)
    (tmp_path / "x").mkdir()
    source = inferred(tmp_path / "x", files, Hints(adjustment="total_return"))
    assert set(source.fetch("bars", *EVER)["adjustment"]) == {"total_return"}


def test_splits_of_which_only_some_show_are_asked_about(tmp_path: Path) -> None:
    files = {
        "AAPL.csv": with_columns_of_actions(raw=True),
        "IBM.csv": with_columns_of_actions(raw=False),
    }
    with pytest.raises(MappingError, match=r"adjusted for splits\? 1 of 2 show in them"):
        inferred(tmp_path, files)


def test_a_file_of_splits_that_no_price_shows_is_of_adjusted_prices(tmp_path: Path) -> None:
    rows = "".join(f"{day},AAPL,{100 + n}\n" for n, day in enumerate(SESSIONS))
    files = {
        "prices.csv": f"Date,Symbol,Close\n{rows}",
        "splits.csv": f"symbol,ex_date,ratio\nAAPL,{SPLIT_ON},4\n",
    }
    assert set(inferred(tmp_path, files).fetch("bars", *EVER)["adjustment"]) == {"split"}


def test_the_steps_of_an_adjusted_close_are_its_payments(tmp_path: Path) -> None:
    closes = [100.0001, 101.0002, 100.5003, 99.0004, 98.0005, 98.5006, 99.5007]
    factor = 1 - 0.75 / closes[3]  # paid on the fifth day, whose close is without it
    days = [date(2020, 3, 2) + timedelta(days=n) for n in range(60)]
    sessions = [day for day in days if day.weekday() < 5 and day != date(2020, 4, 10)]
    rows = "".join(
        f"{day},{closes[min(n, 6)]:.4f},{closes[min(n, 6)] * (factor if n < 4 else 1):.8f}\n"
        for n, day in enumerate(sessions)
    )
    source = inferred(tmp_path, {"AAPL.csv": f"Date,Close,Adj Close\n{rows}"})
    found = source.fetch("corporate_actions", *EVER)
    assert found["kind"].to_list() == ["dividend"]
    assert found["amount"][0] == pytest.approx(0.75, abs=1e-4)
    assert found["event_time"].dt.date()[0] == sessions[4]


def test_an_adjusted_close_that_steps_by_rounding_implies_nothing(tmp_path: Path) -> None:
    rows = "".join(f"{day},{10 + n}.01,{9 + n}.99\n" for n, day in enumerate(SESSIONS))
    source = inferred(tmp_path, {"AAPL.csv": f"Date,Close,Adj Close\n{rows}"})
    assert source.tables == ("bars",)


def test_prices_with_a_sign_before_them_are_read(tmp_path: Path) -> None:
    rows = "".join(
        f"{day[5:7]}/{day[8:]}/{day[:4]},$1{n}.50,5,$1{n},$1{n}.75,$1{n}\n"
        for n, day in enumerate([*SESSIONS, "2020-01-31"])
    )
    source = inferred(tmp_path, {"AAPL.csv": f"Date,Close/Last,Volume,Open,High,Low\n{rows}"})
    bars = source.fetch("bars", *EVER)
    assert bars["close"].to_list() == [10.5 + n for n in range(8)]
    assert source.rejected().is_empty()


@pytest.mark.parametrize("name", ["AAPL.CSV.GZ", "DATA.ZIP"])
def test_archives_are_known_by_their_names_in_capitals(tmp_path: Path, name: str) -> None:
    text = "Date,Close\n" + "".join(f"{day},1.5\n" for day in SESSIONS)
    if name.endswith("GZ"):
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    else:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("AAPL.csv", text)
    bars = FileSource(tmp_path, infer_mapping(tmp_path)).fetch("bars", *EVER)
    assert bars["instrument_id"].to_list() == ["US.AAPL"] * len(SESSIONS)


def test_an_archive_that_is_damaged_inside_gets_a_line(tmp_path: Path) -> None:
    text = "Date,Close\n" + "".join(
        f"2020-01-{n % 28 + 1:02},{n * 7919 % 1009}\n" for n in range(900)
    )
    whole = bytearray(gzip.compress(text.encode()))
    whole[300:340] = bytes(byte ^ 255 for byte in whole[300:340])
    (tmp_path / "AAPL.csv.gz").write_bytes(whole)
    with pytest.raises(MappingError, match=r"AAPL\.csv\.gz must be a whole archive, was not"):
        infer_mapping(tmp_path)


HELD = [date.fromisoformat(day) for day in SESSIONS]


def vendors(of_b: Sequence[date], pattern: str, name: str = "{}") -> dict[str, str]:
    """Closes of two shares as one vendor writes them, and as another, one higher."""
    a = "".join(f"{day},1,2\n" for day in SESSIONS)
    b = "".join(f"{day:%Y/%m/%d},2\n" for day in of_b)
    files: dict[str, str] = {}
    for symbol in ("AAPL", "IBM"):
        files[pattern.format("vendor_a", symbol)] = f"Date,Close,Volume\n{a}"
        files[pattern.format("vendor b", name.format(symbol))] = f"Trade Date,Last\n{b}"
    return files


@pytest.mark.parametrize("pattern", ["{}/{}.csv", "x/{}/daily/{}.csv"])
@pytest.mark.parametrize("name", ["{}", "{}.US"])
def test_two_vendors_of_the_same_days_are_two_sources(
    tmp_path: Path, pattern: str, name: str
) -> None:
    found = inferred(tmp_path, vendors(HELD[3:], pattern, name)).fetch("bars", *EVER)
    by = found.group_by("source").agg(pl.len(), pl.col("close").unique().implode()).sort("source")
    ends = [source.partition("bars_")[2] for source in by["source"]]
    assert [end.removeprefix("x_").removesuffix("_daily") for end in ends] == [
        "vendor_a", "vendor_b"
    ]  # fmt: skip
    assert by["len"].to_list() == [2 * len(SESSIONS), 2 * (len(SESSIONS) - 3)]
    assert found["instrument_id"].unique().sort().to_list() == ["US.AAPL", "US.IBM"]


def test_two_vendors_in_one_folder_are_told_apart_by_their_layouts(tmp_path: Path) -> None:
    written = vendors(HELD, "{}/{}.csv")
    files = {path.partition("/")[2]: text for path, text in written.items() if "_a" in path}
    files |= {f"daily_{p.partition('/')[2]}": t for p, t in written.items() if " b" in p}
    found = inferred(tmp_path, files).fetch("bars", *EVER)
    assert found.group_by("source").len()["len"].to_list() == [2 * len(SESSIONS)] * 2


def test_layouts_that_go_on_from_one_another_are_one_source(tmp_path: Path) -> None:
    """A vendor that changed its columns in a new year."""
    later = [day + timedelta(days=366) for day in HELD]
    later = [day for day in later if day.weekday() < 5]
    source = inferred(tmp_path, vendors(later, "{}/{}.csv"), Hints(calendar="XNYS"))
    assert source.fetch("bars", *EVER)["source"].n_unique() == 1


@pytest.mark.parametrize(
    ("text", "ratio"),
    [
        (f"symbol,ex_date,ratio\nAAPL,{SPLIT_ON},4:1\n", 4.0),
        (f"symbol,ex_date,ratio\nAAPL,{SPLIT_ON},4.000000/1.000000\n", 4.0),
        (f"symbol,ex_date,ratio\nAAPL,{SPLIT_ON},4-for-1\n", 4.0),
        (f"ticker,execution_date,split_from,split_to\nAAPL,{SPLIT_ON},1,4\n", 4.0),
        (f"symbol,date,numerator,denominator\nAAPL,{SPLIT_ON},1,8\n", 0.125),
    ],
)
def test_a_split_is_read_as_vendors_write_its_ratio(
    tmp_path: Path, text: str, ratio: float
) -> None:
    """A split that was not read leaves the bars before it on another scale: they are put aside."""
    old = 100.0 * ratio
    rows = "".join(f"{day},AAPL,{old if day < SPLIT_ON else 100.0}\n" for day in SESSIONS)
    source = inferred(tmp_path, {"prices.csv": f"Date,Symbol,Close\n{rows}", "splits.csv": text})
    found = source.fetch("corporate_actions", *EVER)
    assert found.select("kind", "ratio").rows() == [("split", ratio)]
    assert set(source.fetch("bars", *EVER)["adjustment"]) == {"raw"}


def test_dividends_without_an_ex_date_are_asked_about(tmp_path: Path) -> None:
    """The day of the payment, weeks later, was taken for the day on which the price falls."""
    rows = "".join(f"{day},AAPL,100\n" for day in SESSIONS)
    files = {
        "prices.csv": f"Date,Symbol,Close\n{rows}",
        "dividends.csv": f"symbol,pay_date,amount\nAAPL,{SPLIT_ON},0.5\n",
    }
    with pytest.raises(MappingError, match=r"'pay_date' says when it is paid, and"):
        inferred(tmp_path, files)
