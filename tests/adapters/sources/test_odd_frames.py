"""Frames as people save them: two levels of columns, chains of options, texts of several lines."""

from pathlib import Path

import polars as pl
import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import infer_mapping
from adapters.sources.mapping import MappingError
from tests.adapters.sources.test_inference import EVER
from tests.adapters.sources.test_kept_reads import DAYS
from tests.adapters.sources.test_odd_layouts import closes

FIELDS = ("Open", "High", "Low", "Close", "Volume")


def wide(names: tuple[str, ...], column: str) -> pl.DataFrame:
    """A frame with a column for each field of each ticker, as pandas flattens two levels."""
    cells = {
        column.format(field=field, ticker=ticker): [10.0 + 5 * t + n for n in range(len(DAYS))]
        for field in FIELDS
        for t, ticker in enumerate(names)
    }
    return pl.DataFrame({**cells, "Date": DAYS}).with_columns(
        pl.col("Date").str.to_date().cast(pl.Datetime("ns"))
    )


@pytest.mark.parametrize("names", [("KO", "BRK-B"), ("KO",)])
def test_two_levels_of_columns_in_parquet_are_bars(tmp_path: Path, names: tuple[str, ...]) -> None:
    """pandas saves the columns of a download of many shares as ('Open', 'KO')."""
    wide(names, "('{field}', '{ticker}')").write_parquet(tmp_path / "download.parquet")
    found = closes(tmp_path)
    assert set(found) == {f"US.{name}" for name in names}
    assert found["US.KO"] == [10.0 + n for n in range(len(DAYS))]


def test_fields_and_tickers_in_the_names_of_parquet_are_bars(tmp_path: Path) -> None:
    """Whether the index stands first or last."""
    frame = wide(("KO", "PG"), "{ticker}_{field}")
    frame.write_parquet(tmp_path / "last.parquet")
    assert set(closes(tmp_path)) == {"US.KO", "US.PG"}
    frame.select("Date", pl.exclude("Date")).write_parquet(tmp_path / "last.parquet")
    source = FileSource(tmp_path, infer_mapping(tmp_path))
    row = source.fetch("bars", *EVER).row(3, named=True)
    assert source.locate(row["source"], row["source_row"]) is not None
    assert set(closes(tmp_path)) == {"US.KO", "US.PG"}


def test_a_cell_of_several_lines_begins_a_file(tmp_path: Path) -> None:
    """Its first three lines are fewer rows; it ended in an error."""
    lines = "".join(f'2021-01-0{n}T10:00:00Z,"Apple\nup {n}","a\nb"\n' for n in range(4, 9))
    (tmp_path / "news.csv").write_text("published,title,body\n" + lines)
    source = FileSource(tmp_path, infer_mapping(tmp_path))
    assert source.fetch("news", *EVER).height == 5


def test_a_chain_of_options_is_asked_about(tmp_path: Path) -> None:
    """As quotes all its contracts would be of one instrument, named by the file."""
    chain = pl.DataFrame(
        {
            "contractSymbol": ["AAPL210618C00090000", "AAPL210618P00090000"],
            "date": ["2021-05-03"] * 2,
            "expiration": ["2021-06-18"] * 2,
            "strike": [90, 90],
            "bid": [5.0, 4.0],
            "ask": [5.2, 4.2],
        }
    )
    chain.write_csv(tmp_path / "chain.csv")
    with pytest.raises(MappingError, match="its rows are options: table: options reads them"):
        infer_mapping(tmp_path)


@pytest.mark.parametrize("symbol", ["AAPL210618C00090000", "O:SPXW210618P04000000"])
@pytest.mark.parametrize("by_name", [True, False])
def test_bars_of_options_are_no_bars_of_shares(tmp_path: Path, symbol: str, by_name: bool) -> None:
    """A contract stands for a hundred shares: an order of as many would be a hundred times it."""
    if by_name and ":" in symbol:
        symbol = symbol.partition(":")[2]
    named = "" if by_name else f"{symbol},"
    head = "Date,Open,High,Low,Close,Volume\n"
    lines = "".join(
        f"{named}{day},5,6,4,{5 + n % 7 / 10},{900 + n}\n" for n, day in enumerate(DAYS)
    )
    name = f"{symbol}.csv" if by_name else "bars.csv"
    (tmp_path / name).write_text(("" if by_name else "symbol,") + head + lines)
    with pytest.raises(MappingError, match=f"'{symbol}' is an option, and not a share"):
        infer_mapping(tmp_path)


def test_a_partition_a_day_dates_its_rows(tmp_path: Path) -> None:
    """The column that a frame is partitioned by stands in the folders' names alone."""
    for n, day in enumerate(DAYS):
        folder = tmp_path / f"date={day}"
        folder.mkdir()
        prices = {c: [10.0 + n, 20.0 + n] for c in ("open", "high", "low", "close")}
        rows = pl.DataFrame({"symbol": ["KO", "PG"], **prices, "volume": [900 + n] * 2})
        rows.write_parquet(folder / "part-0.parquet")
    assert closes(tmp_path) == {
        "US.KO": [10.0 + n for n in range(len(DAYS))],
        "US.PG": [20.0 + n for n in range(len(DAYS))],
    }
    source = FileSource(tmp_path, infer_mapping(tmp_path))
    days = source.fetch("bars", *EVER)["event_time"].dt.date().unique().sort()
    assert [str(day) for day in days] == [str(day) for day in DAYS]
