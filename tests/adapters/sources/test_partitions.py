"""Folders that stand for columns (symbol=AAPL/year=2024/), and tickers that read like no cell."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import Hints, infer_mapping
from features.calendars import sessions

_START, _END = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def make_days() -> list[date]:
    told = sessions("XNYS", datetime(2023, 12, 1, tzinfo=UTC), datetime(2024, 2, 10, tzinfo=UTC))
    return told.get_column("close").dt.date().to_list()


def make_bars(*symbols: str) -> pl.DataFrame:
    """Return bars of some symbols whose closes name symbol and day."""
    days = make_days()
    return pl.concat(
        pl.DataFrame({"symbol": symbol, "date": days}).with_columns(
            open=100.0 * (n + 1) + pl.int_range(pl.len()),
            high=100.0 * (n + 1) + pl.int_range(pl.len()) + 1.5,
            low=100.0 * (n + 1) + pl.int_range(pl.len()) - 1.5,
            close=100.0 * (n + 1) + pl.int_range(pl.len()) + 0.25,
            volume=pl.lit(1_000 + n),
        )
        for n, symbol in enumerate(symbols)
    )


def write(rows: pl.DataFrame, folder: Path, path: str) -> None:
    """Write rows to one Parquet file for each value of what the path names, without the columns."""
    parts = rows.with_columns(
        year=pl.col("date").dt.year(), month=pl.col("date").dt.month(), day=pl.col("date").dt.day()
    )
    named = [c for c in ("symbol", "date", "year", "month", "day") if f"{{{c}" in path]
    left = [c for c in rows.columns if c not in named and not (c == "date" and "day" in named)]
    for number, (key, part) in enumerate(parts.group_by(named, maintain_order=True)):
        file = folder / path.format(number=number, **dict(zip(named, key, strict=True)))
        file.parent.mkdir(parents=True, exist_ok=True)
        part.select(left).write_parquet(file)


def read(folder: Path) -> pl.DataFrame:
    """Return symbol, day and close as the inferred mapping reads them."""
    source = FileSource(folder, infer_mapping(folder))
    assert source.rejected().is_empty()
    local = pl.col("event_time").dt.convert_time_zone("America/New_York").dt.date()
    named = pl.col("instrument_id").str.strip_prefix("US.").alias("symbol")
    rows = source.fetch("bars", _START, _END)
    return rows.select(named, local.alias("date"), "close").sort("symbol", "date")


@pytest.mark.parametrize(
    "path",
    [
        "year={year}/month={month:02}/day={day:02}/part-0.parquet",
        "year={year}/month={month}/day={day}/part-0.parquet",
        "year={year}/month={month:02}/day={day:02}/symbol={symbol}/part-0.parquet",
        "symbol={symbol}/year={year}/month={month:02}/day={day:02}/part-0.parquet",
        "date={date}/symbol={symbol}/part-0.parquet",
        "ticker={symbol}/date={date}/00000000.parquet",
        "symbol={symbol}/year={year}/data_0.parquet",
        "year={year}/symbol={symbol}/part-00000-5f1b{number}-c000.snappy.parquet",
        "exchange=XNAS/symbol={symbol}/year={year}/00000000.parquet",
        "year={year}/month={month}/part-0.parquet",
    ],
)
def test_partitions_of_a_path_are_columns(path: str, tmp_path: Path) -> None:
    bars = make_bars("AAPL", "MSFT", "NVDA")
    write(bars, tmp_path / "lake", path)
    assert read(tmp_path / "lake").equals(
        bars.select("symbol", "date", "close").sort("symbol", "date")
    )


def test_tickers_that_read_like_an_empty_cell_are_tickers(tmp_path: Path) -> None:
    bars = make_bars("AAPL", "NA", "NULL", "TRUE", "INF", "NAN")
    wanted = bars.select("symbol", "date", "close").sort("symbol", "date")
    for name in ("long", "wide", "each"):
        (tmp_path / name).mkdir()
    bars.write_csv(tmp_path / "long" / "eod.csv")
    wide = bars.pivot("symbol", index="date", values="close")
    wide.write_csv(tmp_path / "wide" / "prices.csv")
    for (symbol,), rows in bars.group_by("symbol"):
        rows.write_csv(tmp_path / "each" / f"{symbol}.csv")
    for name in ("long", "wide", "each"):
        assert read(tmp_path / name).equals(wanted)


def test_symbols_that_are_missing_in_a_few_rows_are_no_ticker(tmp_path: Path) -> None:
    bars = make_bars("AAPL", "MSFT")
    missing = pl.int_range(pl.len()) % 17 == 3
    holed = bars.with_columns(symbol=pl.when(missing).then(pl.lit("NA")).otherwise("symbol"))
    (tmp_path / "eod").mkdir()
    holed.write_csv(tmp_path / "eod" / "eod.csv")
    source = FileSource(tmp_path / "eod", infer_mapping(tmp_path / "eod"))
    assert source.rejected().height == holed.filter(symbol="NA").height
    ids = source.fetch("bars", _START, _END)["instrument_id"]
    assert set(ids) == {"US.AAPL", "US.MSFT"}


@pytest.mark.parametrize("form", ["%Y%j", "%Y-%j", "%G-W%V"])
def test_days_of_a_year_and_weeks_are_read(form: str, tmp_path: Path) -> None:
    """2024067 is the 67th day of 2024, and not the seventh of June."""
    step = 7 if "W" in form else 1
    days = [date(2024, 1, 1) + timedelta(days=step * n) for n in range(14, 90)]
    lines = [f"{day.strftime(form)},{number}.5" for number, day in enumerate(days)]
    (tmp_path / "macro").mkdir()
    (tmp_path / "macro" / "CPI.csv").write_text("date,value\n" + "\n".join(lines))
    source = FileSource(
        tmp_path / "macro", infer_mapping(tmp_path / "macro", Hints(published="10d"))
    )
    rows = source.fetch("macro", _START, _END).sort("event_time")
    assert rows["event_time"].dt.date().to_list() == days
    assert rows["value"].to_list() == [number + 0.5 for number in range(len(days))]


@pytest.mark.parametrize("form", ["%H%M", "%H%M%S"])
def test_a_clock_without_its_first_zero_is_read(form: str, tmp_path: Path) -> None:
    """930 and 93000 are half past nine, as programs write a clock that they hold as a number."""
    days = make_days()[:20]
    moments = [
        datetime(day.year, day.month, day.day, 9, 30) + timedelta(minutes=15 * n)  # noqa: DTZ001
        for day in days
        for n in range(26)
    ]
    lines = [
        f"{moment:%Y%m%d},{int(moment.strftime(form))},10,11,9,{10 + n / 1000},100"
        for n, moment in enumerate(moments)
    ]
    (tmp_path / "bars").mkdir()
    header = "date,time,open,high,low,close,volume\n"
    (tmp_path / "bars" / "AAPL.csv").write_text(header + "\n".join(lines))
    source = FileSource(tmp_path / "bars", infer_mapping(tmp_path / "bars"))
    assert source.rejected().is_empty()
    rows = source.fetch("bars", _START, _END).sort("event_time")
    ends = rows["event_time"].dt.convert_time_zone("America/New_York").dt.replace_time_zone(None)
    assert ends.to_list() == [moment + timedelta(minutes=15) for moment in moments]
