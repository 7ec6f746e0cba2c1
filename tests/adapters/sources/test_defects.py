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
