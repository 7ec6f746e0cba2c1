"""Cells and containers that files come in: signs, short years, structs, old line ends."""

import gzip
import io
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import Hints, infer_mapping
from adapters.sources.mapping import MappingError
from tests.adapters.sources.test_inference import EVER, SESSIONS, inferred

DAYS = [date.fromisoformat(day) for day in SESSIONS]
CLOSES = [round(1.5 - 0.5 * n, 2) for n in range(len(DAYS))]  # below zero in the end


def closes_of(source: FileSource) -> list[float]:
    return source.fetch("bars", *EVER).sort("event_time")["close"].to_list()


def accounted(value: float) -> str:
    return f"({-value})" if value < 0 else str(value)


@pytest.mark.parametrize("written", [accounted, lambda value: str(value).replace("-", "−")])
def test_minus_is_written_in_more_than_one_way(
    tmp_path: Path, written: Callable[[float], str]
) -> None:
    rows = "".join(f"{d},{written(c)},1000\n" for d, c in zip(DAYS, CLOSES, strict=True))
    source = inferred(tmp_path, {"CLK20.csv": f"Date,Close,Volume\n{rows}"})
    assert min(CLOSES) < 0
    assert closes_of(source) == CLOSES
    assert source.rejected().is_empty()


@pytest.mark.parametrize("cell", ["(n/a)", "(1.5", "1.5)", "()", "−", "(1)(2)", "1−2", "(a 1)"])
def test_what_is_no_number_stays_none(tmp_path: Path, cell: str) -> None:
    rows = "".join(f"{d},1.5,1000\n" for d in DAYS[1:])
    source = inferred(tmp_path, {"KO.csv": f"Date,Close,Volume\n{DAYS[0]},{cell},1000\n{rows}"})
    assert source.rejected()["reason"].to_list() == [
        f"close must be readable as its type, was '{cell}'"
    ]
    assert len(closes_of(source)) == len(DAYS) - 1


def test_brackets_hold_thousands_too(tmp_path: Path) -> None:
    rows = "".join(f'{d},"{"1,234.50" if n % 2 else "(1,234.25)"}",5\n' for n, d in enumerate(DAYS))
    source = inferred(tmp_path, {"CLK20.csv": f"Date,Close,Volume\n{rows}"})
    assert closes_of(source) == [1234.5 if n % 2 else -1234.25 for n in range(len(DAYS))]


def test_rates_below_zero_are_numbers_of_a_wide_file(tmp_path: Path) -> None:
    rows = "".join(f"{day},−0.48,(0.57)\n" for day in DAYS)
    values = inferred(tmp_path, {"rates.csv": f"date,eonia,estr\n{rows}"}).fetch("macro", *EVER)
    assert values.group_by("series_id").agg(pl.col("value").unique()).sort("series_id").rows() == [
        ("rates.eonia", [-0.48]), ("rates.estr", [-0.57])
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["%d-%b-%y", "%d.%m.%y", "%d %b %y"])
def test_years_of_two_digits_are_of_this_age(tmp_path: Path, form: str) -> None:
    """They were the years 20 and 21 of our era, in which no exchange had sessions."""
    rows = "".join(f"{day:{form}},1.5,1000\n" for day in DAYS)
    source = inferred(tmp_path, {"KO.csv": f"Date,Close,Volume\n{rows}"})
    found = source.fetch("bars", *EVER)["event_time"].dt.date().sort().to_list()
    assert found == DAYS


def test_lines_that_end_as_old_macs_ended_them(tmp_path: Path) -> None:
    rows = "".join(f"{day},{n + 1},1000\r" for n, day in enumerate(DAYS))
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "KO.csv").write_bytes(f"Date,Close,Volume\r{rows}".encode())
    found = FileSource(folder, infer_mapping(folder))
    assert closes_of(found) == [n + 1.0 for n in range(len(DAYS))]


def test_compressed_files_within_an_archive_are_opened(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for symbol in ("KO", "IBM"):
            rows = "".join(f"{day},1.5,1000\n" for day in DAYS)
            packed = gzip.compress(f"Date,Close,Volume\n{rows}".encode())
            archive.writestr(f"{symbol}.csv.gz", packed)
    source = FileSource(folder, infer_mapping(folder))
    assert source.instruments()["instrument_id"].to_list() == ["US.IBM", "US.KO"]
    assert len(closes_of(source)) == 2 * len(DAYS)


def parquet(folder: Path, rows: pl.DataFrame) -> Path:
    folder.mkdir()
    buffer = io.BytesIO()
    rows.write_parquet(buffer)
    (folder / "bars.parquet").write_bytes(buffer.getvalue())
    return folder


def test_fields_of_structs_are_columns(tmp_path: Path) -> None:
    """The volume beside them was read as a macro series, and the prices not at all."""
    prices = pl.struct(open="close", high="close", low="close", close="close")
    rows = pl.DataFrame({"symbol": "KO", "date": DAYS, "close": CLOSES[0], "volume": 9})
    nested = rows.select("symbol", "date", "volume", ohlc=prices)
    source = FileSource(tmp_path / "in", infer_mapping(parquet(tmp_path / "in", nested)))
    assert source.tables == ("bars",)
    assert closes_of(source) == [CLOSES[0]] * len(DAYS)


def test_fields_of_one_name_stay_apart(tmp_path: Path) -> None:
    sides = [
        pl.struct(o="p", h=pl.col("p") + 1, l=pl.col("p") - 1, c=pl.col("p") + n).alias(side)
        for n, side in ((0.0, "bid"), (0.5, "ask"))
    ]
    rows = pl.DataFrame({"symbol": "EURUSD", "date": DAYS, "p": 2.0}).select(
        "symbol", "date", *sides
    )
    folder = parquet(tmp_path / "in", rows)
    quotes = FileSource(folder, infer_mapping(folder, Hints(quotes="alone"))).fetch("quotes", *EVER)
    assert set(quotes.select("bid", "ask").iter_rows()) == {(2.0, 2.5)}


def test_lists_in_cells_are_refused_in_a_line(tmp_path: Path) -> None:
    rows = pl.DataFrame({"symbol": ["KO", "GE"], "date": [DAYS] * 2, "close": [CLOSES] * 2})
    with pytest.raises(
        MappingError, match=r"one value a cell \(explode lists to rows\), has .* date"
    ):
        infer_mapping(parquet(tmp_path / "in", rows))


@pytest.mark.parametrize(
    ("head", "table"),
    [
        ("date,DGS10,DGS2", "macro"), ("observation_date,DFF,EFFR", "macro"),
        ("date,KO,T10Y2Y", "macro"), ("date,PETR4,BOVA11", "bars"), ("date,ESZ4,ESH5", "bars"),
        ("date,KO,BRK.B", "bars"),
    ],
)  # fmt: skip
def test_series_of_rates_are_no_shares(tmp_path: Path, head: str, table: str) -> None:
    """A wide file of yields was traded as shares by the names DGS10 and DGS2."""
    rows = "".join(f"{day},4.25,4.5\n" for day in DAYS)
    hints = Hints(calendar="XNYS", currency="USD")
    assert inferred(tmp_path, {"w.csv": f"{head}\n{rows}"}, hints).tables == (table,)
