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


def write_share(folder: Path, ticker: str, scale: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for number, (day, prices) in enumerate(zip(SESSIONS, PRICES, strict=True)):
        told = ",".join(str(round(price * scale) if scale > 1 else price) for price in prices)
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


def test_prices_that_are_written_as_they_are_stay_so(tmp_path: Path) -> None:
    write_share(tmp_path / "data", "btcusd", 1)
    bars = read(tmp_path / "data", tmp_path, Hints(calendar="24/7", zone="UTC")).fetch(
        "bars", *EVER
    )
    assert bars.select("open", "high", "low", "close").rows() == PRICES
