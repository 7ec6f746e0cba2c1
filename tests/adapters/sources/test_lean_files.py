"""Bars as LEAN keeps them: an archive for each share, prices in ten thousandths."""

import zipfile
from pathlib import Path

import polars as pl
import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import Hints, infer_mapping, to_yaml
from adapters.sources.mapping import load_mapping
from tests.adapters.sources.test_inference import EVER, SESSIONS

PRICES = [(121.65 + n % 3, 123.5 + n % 3, 120.0625, 121.25 + n % 2) for n in range(len(SESSIONS))]


def write_share(folder: Path, ticker: str, scale: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for number, (day, prices) in enumerate(zip(SESSIONS, PRICES, strict=True)):
        told = ",".join(str(price if scale == 1 else round(price * scale)) for price in prices)
        lines.append(f"{day.replace('-', '')} 00:00,{told},{100 + number}\n")
    with zipfile.ZipFile(folder / f"{ticker}.zip", "w") as archive:
        archive.writestr(f"{ticker}.csv", "".join(lines))


def read(folder: Path, tmp_path: Path, hints: Hints | None = None) -> FileSource:
    mapping = infer_mapping(folder, hints)
    written = tmp_path / "lean.yaml"
    written.write_text(to_yaml(mapping))
    assert load_mapping(written) == mapping
    return FileSource(folder, mapping)


@pytest.mark.parametrize("inside", ["", "equity/usa/daily"])
def test_prices_of_shares_are_ten_thousandths(tmp_path: Path, inside: str) -> None:
    for ticker in ("aapl", "ibm"):
        write_share(tmp_path / "data" / inside, ticker, 10_000)
    source = read(tmp_path / "data", tmp_path)
    bars = source.fetch("bars", *EVER).filter(pl.col("instrument_id") == "US.AAPL")
    assert bars.select("open", "high", "low", "close").rows() == PRICES
    assert bars["volume"].to_list() == [100.0 + n for n in range(len(SESSIONS))]
    assert source.rejected().is_empty()


def test_a_share_of_a_penny_is_one_of_leans_as_well(tmp_path: Path) -> None:
    """In their folder, whatever they cost; elsewhere those that ever were worth ten cents."""
    write_share(tmp_path / "data" / "equity" / "usa" / "daily", "pnny", 2)
    write_share(tmp_path / "data" / "others", "dime", 9)
    bars = read(tmp_path / "data", tmp_path).fetch("bars", *EVER)
    assert 0.02 < bars.filter(pl.col("instrument_id") == "US.PNNY")["close"].max() < 0.03
    assert 0.1 < bars.filter(pl.col("instrument_id") == "US.DIME")["close"].max() < 0.12


def test_prices_that_are_written_as_they_are_stay_so(tmp_path: Path) -> None:
    write_share(tmp_path / "data", "btcusd", 1)
    bars = read(tmp_path / "data", tmp_path, Hints(calendar="24/7", zone="UTC")).fetch(
        "bars", *EVER
    )
    assert bars.select("open", "high", "low", "close").rows() == PRICES
