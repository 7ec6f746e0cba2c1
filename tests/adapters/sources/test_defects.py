"""Defects of files that must be told or asked about, and never read as something else."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import infer_mapping
from adapters.sources.mapping import MappingError
from tests.adapters.sources.test_inference import EVER, SESSIONS, inferred
from tests.adapters.sources.test_kept_reads import DAYS


def german(number: float, places: int = 2) -> str:
    """1.234,50 of 1234.5."""
    return f"{number:,.{places}f}".translate(str.maketrans(",.", ".,"))


CLOSES = [1200.5 + 0.25 * n for n in range(len(DAYS))]


def plain(number: float) -> str:
    """1,234.50 of 1234.5."""
    return f"{number:,.2f}"


@pytest.mark.parametrize("odd", [1, 6])
@pytest.mark.parametrize(("many", "other"), [(german, plain), (plain, german)])
def test_numbers_of_the_other_hand_are_rejected_and_not_read_as_thousandths(
    tmp_path: Path, odd: int, many: Callable[[float], str], other: Callable[[float], str]
) -> None:
    """1.234,50 among 1,234.50, and the other way: the marks of most numbers are the file's."""
    few = [n for n in range(len(DAYS)) if n % 7 == odd]
    rows = [(other if n in few else many)(close) for n, close in enumerate(CLOSES)]
    lines = [f"{day};{close}" for day, close in zip(DAYS, rows, strict=True)]
    source = inferred(tmp_path, {"BMW.DE.csv": "\n".join(["Datum;Schlusskurs", *lines]) + "\n"})
    found = source.fetch("bars", *EVER)["close"].to_list()
    assert found == [close for n, close in enumerate(CLOSES) if n not in few]
    assert source.rejected().height == len(few)


@pytest.mark.parametrize("number", ["1.5", "12.34", "1.2345", "1,23.4", "12.34,5"])
def test_a_mark_that_parts_no_thousands_makes_no_number(tmp_path: Path, number: str) -> None:
    rows = "".join(f"{day};{german(close)}\n" for day, close in zip(DAYS, CLOSES, strict=True))
    files = {"BMW.DE.csv": f"Datum;Schlusskurs\n{rows}2020-03-02;{number}\n"}
    source = inferred(tmp_path, files)
    assert source.fetch("bars", *EVER)["close"].to_list() == CLOSES
    assert source.rejected().height == 1


def test_numbers_in_quotes_between_commas_have_marks_of_their_own(tmp_path: Path) -> None:
    rows = "".join(
        f'"{day}","{german(close)}","{1000 + n},5"\n'
        for n, (day, close) in enumerate(zip(DAYS, CLOSES, strict=True))
    )
    source = inferred(tmp_path, {"BMW.DE.csv": f'"Datum","Zuletzt","Schlusskurs"\n{rows}'})
    assert source.fetch("bars", *EVER)["close"].to_list() == [
        1000.5 + n for n in range(len(DAYS))
    ]  # fmt: skip
    (tmp_path / "us").mkdir()
    rows = "".join(f'{day},101.25,"{n},{123 + n}"\n' for n, day in enumerate(DAYS, 1))
    bars = inferred(tmp_path / "us", {"IBM.csv": f"Date,Close,Volume\n{rows}"}).fetch("bars", *EVER)
    assert bars["volume"].to_list() == [1000.0 * n + 123 + n for n in range(1, len(DAYS) + 1)]


def test_volumes_in_points_beside_prices_with_a_decimal_point(tmp_path: Path) -> None:
    rows = "".join(
        f"{day};{101.25 + n};{german(898_554 + 700_000 * n, 0)}\n" for n, day in enumerate(DAYS)
    )
    source = inferred(tmp_path, {"IBM.csv": f"Date;Close;Volume\n{rows}"})
    bars = source.fetch("bars", *EVER)
    assert bars["volume"].to_list() == [898_554.0 + 700_000 * n for n in range(len(DAYS))]
    assert bars["close"].to_list() == [101.25 + n for n in range(len(DAYS))]


def lakhs(number: int) -> str:
    """34,57,222 of 3457222."""
    text = str(number)
    head, last = text[:-3], text[-3:]
    parts = [head[max(0, at - 2) : at] for at in range(len(head), 0, -2)][::-1]
    return ",".join([*parts, last])


def test_the_marks_of_india_and_switzerland_are_read(tmp_path: Path) -> None:
    volumes = [998 + 1_234_567 * n for n in range(len(DAYS))]
    rows = "".join(
        f'{day},"{close:,.2f}","{lakhs(volume)}"\n'
        for day, close, volume in zip(DAYS, CLOSES, volumes, strict=True)
    )
    source = inferred(tmp_path, {"TCS.NS.csv": f"Date,Close,Volume\n{rows}"})
    bars = source.fetch("bars", *EVER)
    assert bars["close"].to_list() == CLOSES
    assert bars["volume"].to_list() == [float(volume) for volume in volumes]
    for mark in "'’":
        (tmp_path / mark).mkdir()
        rows = "".join(
            f"{day};{plain(close).replace(',', mark)}\n"
            for day, close in zip(DAYS, CLOSES, strict=True)
        )
        source = inferred(tmp_path / mark, {"NESN.SW.csv": f"Datum;Schlusskurs\n{rows}"})
        assert source.fetch("bars", *EVER)["close"].to_list() == CLOSES


@pytest.mark.parametrize("form", ["€ {}", "{} €", "€{}"])
def test_the_sign_of_a_currency_stands_before_or_behind(tmp_path: Path, form: str) -> None:
    rows = "".join(
        f"{day};{form.format(german(close))}\n" for day, close in zip(DAYS, CLOSES, strict=True)
    )
    source = inferred(tmp_path, {"BMW.DE.csv": f"Datum;Schlusskurs\n{rows}"})
    assert source.fetch("bars", *EVER)["close"].to_list() == CLOSES


def test_prices_of_which_most_are_no_numbers_are_asked_about(tmp_path: Path) -> None:
    rows = "".join(f"{day},1{n}.5 USD\n" for n, day in enumerate(SESSIONS))
    with pytest.raises(
        MappingError, match=r"A\.csv: how are the numbers of 'Close', such as '10.5 U"
    ):
        inferred(tmp_path, {"A.csv": f"Date,Close\n{rows}"})


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("NASDAQ_AAPL, 1D.csv", "US.AAPL"),
        ("NYSE_BRK.B, 1D_3f2a1.csv", "US.BRK.B"),
        ("x/XETR_SAP, 1D.csv", "XETR.SAP"),
        ("nyse_ko.csv", "US.KO"),
    ],
)
def test_where_an_instrument_is_listed_is_no_part_of_its_name(
    tmp_path: Path, name: str, found: str
) -> None:
    """As TradingView names its exports: they were shares of the name NASDAQ."""
    path = tmp_path / "in" / name
    path.parent.mkdir(parents=True)
    path.write_text("time,close\n" + "".join(f"{day},1.5\n" for day in SESSIONS))
    source = FileSource(tmp_path / "in", infer_mapping(tmp_path / "in"))
    assert source.instruments()["instrument_id"].to_list() == [found]
    assert source.fetch("bars", *EVER)["instrument_id"].unique().to_list() == [found]


def test_a_pair_that_an_exchange_trades_is_its_pair(tmp_path: Path) -> None:
    rows = "".join(f"{day}T00:00:00Z,1.5\n" for day in DAYS)
    files = {
        "BINANCE_BTCUSDT, 1D.csv": f"time,close\n{rows}",
        "FX_EURUSD, 1D.csv": f"time,close\n{rows}",
    }
    found = inferred(tmp_path, files).instruments()
    assert found["instrument_id"].to_list() == ["CRYPTO.BTCUSDT", "FX.EURUSD"]


def test_only_the_files_that_hold_the_same_days_are_asked_about(tmp_path: Path) -> None:
    files = {f"{day}.csv": f"date,symbol,close\n{day},KO,1.5\n" for day in SESSIONS}
    again = {f"{SESSIONS[2]}_new.csv": f"date,symbol,close\n{SESSIONS[2]},KO,2.5\n"}
    with pytest.raises(MappingError) as asked:
        inferred(tmp_path, files | again)
    assert f"{SESSIONS[2]}.csv and 1 more: is it another delivery" in str(asked.value)


HEAD, SWAPPED = "Date,Open,High,Low,Close", "Date,Close,High,Low,Open"
LINES = [f"{day},1,3,0.5,2" for day in DAYS]


@pytest.mark.parametrize("ragged", [[], ["2020-02-03,1,3,0.5,2,6,7,8,9"]])
def test_a_second_header_in_another_order_is_asked_about(tmp_path: Path, ragged: list[str]) -> None:
    """Two files put behind one another: the closes of one are the opens of the other."""
    text = "\n".join([HEAD, *LINES[:3], SWAPPED, *LINES[3:], *ragged]) + "\n"
    with pytest.raises(MappingError, match=r"T\.csv must have one order of its columns.*Date, Clo"):
        inferred(tmp_path, {"T.csv": text})
    (tmp_path / "same").mkdir()
    text = "\n".join([HEAD, *LINES[:3], HEAD, *LINES[3:]]) + "\n"
    source = inferred(tmp_path / "same", {"T.csv": text})
    assert source.fetch("bars", *EVER)["close"].to_list() == [2.0] * len(DAYS)
    assert source.rejected().height == 1


@pytest.mark.parametrize("first_days", [5, 100])
def test_of_two_currencies_the_one_of_most_rows_is_the_instruments(
    tmp_path: Path, first_days: int
) -> None:
    rows = "".join(
        f"{day},1.5,{'EUR' if n < first_days else 'USD'}\n" for n, day in enumerate(DAYS)
    )
    source = inferred(tmp_path, {"XYZ.csv": f"Date,Close,Currency\n{rows}"})
    found = source.instruments().select("instrument_id", "currency").rows()
    assert found == [("US.XYZ", "USD" if first_days == 5 else "EUR")]


@pytest.mark.parametrize(("days_each", "is_asked"), [(1, False), (5, True)])
def test_an_archive_of_deliveries_is_to_be_unpacked(
    tmp_path: Path, days_each: int, is_asked: bool
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for end in (5, 6, 7):
            held = SESSIONS[end - days_each : end]
            rows = "".join(f"{day},KO,1.5\n{day},PEP,2.5\n" for day in held)
            archive.writestr(f"eod_{SESSIONS[end - 1]}.csv", f"date,symbol,close\n{rows}")
    (tmp_path / "eod.zip").write_bytes(buffer.getvalue())
    if is_asked:
        with pytest.raises(MappingError, match=r"eod\.zip: its members differ .*: unpack it"):
            infer_mapping(tmp_path)
        return
    assert FileSource(tmp_path, infer_mapping(tmp_path)).fetch("bars", *EVER).height == 6
