"""Every shared folder is ingested whole: rows plus rejected rows are the rows of its raw files."""

import csv
import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from adapters.sources.files import FileSource
from adapters.sources.mapping import SHIPPED_MAPPINGS, MappingError, shipped_mapping
from features.schemas import TABLES
from features.symbology import resolve
from tests.shared_data import SHARED, needs_shared_data

EVER = (datetime(1801, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC))
pytestmark = needs_shared_data

_kept: dict[str, FileSource] = {}


def source_of(name: str) -> FileSource:
    """Read each folder once for all tests."""
    if name not in _kept:
        _kept[name] = FileSource(SHARED / name, shipped_mapping(name))
    return _kept[name]


def parquet_rows(path: str, keep: pl.Expr | None = None) -> int:
    rows = pl.scan_parquet(SHARED / path)
    return (rows if keep is None else rows.filter(keep)).select(pl.len()).collect().item()


def csv_rows(*patterns: str, keep: Callable[[dict[str, str]], bool] = lambda _: True) -> int:
    """Count with the standard library, not with what is tested."""
    count = 0
    for pattern in patterns:
        for path in SHARED.glob(pattern):
            with path.open(newline="", encoding="utf-8-sig") as stream:
                count += sum(1 for row in csv.DictReader(stream) if keep(row))
    return count


def wide_cells(path: str) -> int:
    with (SHARED / path).open(newline="") as stream:
        return sum(1 for row in csv.DictReader(stream) for v in list(row.values())[1:] if v)


def messages(kind: str) -> int:
    path = SHARED / "order_book_feeds" / "binance_spot_btcusdt_20240808.gz"
    with gzip.open(path, "rt") as stream:
        return sum(1 for line in stream if f'"stream":"btcusdt@{kind}"' in line)


def fundamental_cells() -> int:
    kept = ("symbol", "end_date", "amend", "period_focus", "fiscal_year", "doc_type", "archive",
            "crawled_utc")  # fmt: skip
    rows = pl.read_parquet(SHARED / "us_prices_first_seen/fundamental_reports.parquet").drop(kept)
    return rows.height * rows.width - rows.null_count().sum_horizontal().item()


def macro_series_rows() -> int:
    names = ("oil-prices/data/*.csv", "natural-gas/data/daily.csv", "finance-vix/data/*.csv",
             "natural-gas/data/monthly-processed.csv", "gold-prices/data/monthly-processed.csv",
             "gold-prices/data/annual.csv", "cpi-us/data/cpiai.csv",
             "bond-yields-us-10y/data/monthly.csv", "exchange-rates/data/monthly.csv",
             "exchange-rates/data/annual.csv")  # fmt: skip
    wide = ("gdp-us/data/quarter.csv", "gdp-us/data/year.csv", "s-and-p-500/data/data.csv")
    return csv_rows(*(f"macro_series/{n}" for n in names)) + sum(
        wide_cells(f"macro_series/{n}") for n in wide
    )


def is_nonzero(column: str) -> Callable[[dict[str, str]], bool]:
    return lambda row: float(row[column] or 0) != 0


def lean_bars() -> int:
    names = ("equity_usa_daily", "equity_usa_hour", "equity_usa_minute_trades", "crypto_trade_bars")
    return sum(parquet_rows(f"lean/{n}.parquet") for n in names)


def repair_actions() -> int:
    return csv_rows("repair_pairs/*-1d-*.csv", keep=is_nonzero("Dividends")) + csv_rows(
        "repair_pairs/*-1d-*.csv", keep=is_nonzero("Stock Splits")
    )


def one_file(path: str) -> Callable[[], int]:
    return lambda: parquet_rows(path)


FIRST_SEEN = "us_prices_first_seen/"
COUNTS: list[tuple[str, str, Callable[[], int]]] = [
    ("equities_sp500_5yr", "bars", one_file("equities_sp500_5yr/vintage_2018-02-09.parquet")),
    ("fomc", "news", one_file("fomc/fomc_communications.parquet")),
    ("us_macro_vintages", "macro", one_file("us_macro_vintages/us_macro_vintages_changes.parquet")),
    (
        "index_membership",
        "membership",
        lambda: csv_rows("index_membership/sp500_ticker_start_end.csv"),
    ),
    ("news_headlines", "news", one_file("news_headlines/guardian_cnbc_headlines.parquet")),
    ("tweets_and_prices", "bars", one_file("tweets_and_prices/prices.parquet")),
    ("tweets_and_prices", "news", one_file("tweets_and_prices/tweets.parquet")),
    (
        "us_prices_first_seen",
        "bars",
        lambda: (
            parquet_rows(FIRST_SEEN + "prices_first_seen.parquet")
            + parquet_rows(FIRST_SEEN + "restatements.parquet")
        ),
    ),
    ("us_prices_first_seen", "fundamentals", fundamental_cells),
    ("order_book_feeds", "trades", lambda: messages("trade")),
    ("order_book_feeds", "quotes", lambda: messages("bookTicker")),
    ("repair_pairs", "bars", lambda: csv_rows("repair_pairs/*.csv")),
    ("repair_pairs", "corporate_actions", repair_actions),
    ("lean", "bars", lean_bars),
    (
        "lean",
        "quotes",
        lambda: (
            parquet_rows("lean/forex_cfd_quote_bars.parquet")
            + parquet_rows("lean/equity_usa_minute_quotes.parquet")
        ),
    ),
    ("lean", "options", one_file("lean/option_chain_universe.parquet")),
    ("macro_series", "macro", macro_series_rows),
    ("macro_series", "bars", lambda: csv_rows("macro_series/finance-vix/data/vix-daily.csv")),
]


@pytest.mark.parametrize(("name", "table", "count"), COUNTS, ids=[f"{n}-{t}" for n, t, _ in COUNTS])
def test_every_raw_row_is_a_row_or_a_rejected_one(name, table, count):
    source = source_of(name)
    rows, rejected = source.fetch(table, *EVER), source.rejected(table)
    assert rows.height + rejected.height == count()
    assert dict(rows.schema) == TABLES[table].columns
    assert (rows["knowledge_time"] >= rows["event_time"]).all()
    assert rejected["reason"].null_count() == 0


def test_there_is_a_mapping_for_every_folder_and_it_leaves_no_file_unnamed():
    folders = {path.name for path in SHARED.iterdir() if path.is_dir()} - {"default_set"}
    assert {path.stem for path in SHIPPED_MAPPINGS.glob("*.yaml")} == folders
    for name in folders:
        assert source_of(name).unmapped_files() == ()


def test_an_unknown_shipped_mapping_lists_those_there_are():
    with pytest.raises(MappingError, match=r"must be one of \['equities_sp500_5yr'.*was 'nope'"):
        shipped_mapping("nope")


def test_a_first_price_is_known_at_noon_after_and_a_restatement_later():
    rows = source_of("us_prices_first_seen").fetch("bars", *EVER)
    first = rows.filter(
        pl.col("instrument_id") == "US.A", pl.col("event_time").dt.date() == date(2015, 3, 24)
    )
    assert first["knowledge_time"].to_list() == [datetime(2015, 3, 25, 12, tzinfo=UTC)]
    # Single precision on disk, but the price as written in the row.
    assert first["close"].to_list() == [41.09]
    restated = rows.filter(
        pl.col("instrument_id") == "US.BTI", pl.col("event_time").dt.date() == date(2015, 3, 23)
    )
    assert restated["volume"].to_list()[-1] == 222_000
    assert restated["knowledge_time"].to_list()[-1] == datetime(2015, 3, 25, 12, tzinfo=UTC)


def test_fxcm_is_five_hours_behind_oanda():
    quotes = source_of("lean").fetch("quotes", *EVER)
    raw = pl.read_parquet(SHARED / "lean/forex_cfd_quote_bars.parquet")
    for venue, hours in (("oanda", 0), ("fxcm", 5)):
        hourly = raw.filter(pl.col("venue") == f"forex/{venue}", res="hour", symbol="EURUSD")
        found = quotes.filter(
            source=f"files/lean/{venue}", interval="1h", instrument_id="FX.EURUSD"
        )
        begin = hourly["ts"].min().replace(tzinfo=UTC)
        assert found["event_time"].min() == begin + timedelta(hours=hours + 1)


def test_reused_tickers_are_different_instruments():
    source = source_of("lean")
    listed = source.instruments()
    assert resolve(listed, "FB", date(2002, 1, 2)) == "US.FB.1"
    assert resolve(listed, "FB", date(2015, 1, 2)) == "US.FB"
    assert resolve(listed, "WMI", date(2005, 1, 3)) == resolve(listed, "WM", date(2015, 1, 2))
    daily = source.fetch("bars", *EVER).filter(source="files/lean/equity_daily")
    spells = daily.filter(pl.col("instrument_id") == "US.QQQ")
    assert spells["event_time"].dt.year().min() == 1999
    # Washington Mutual bore WM until 2008: no map file knows it, so its rows are set aside.
    reasons = source.rejected("bars")["reason"]
    assert reasons.str.contains("ticker WM must name an instrument on 200").any()


def test_a_volatility_of_zero_is_an_unknown_one():
    options = source_of("lean").fetch("options", *EVER)
    assert options["implied_volatility"].min() > 0
    assert options["implied_volatility"].null_count() > 0


def test_no_trade_is_known_before_it_happened_although_the_clock_was_behind():
    trades = source_of("order_book_feeds").fetch("trades", *EVER)
    delay = trades["knowledge_time"] - trades["event_time"]
    assert timedelta(0) <= delay.min() <= delay.median() < timedelta(milliseconds=200)


def test_a_statement_is_known_when_its_day_of_release_is_over():
    news = source_of("fomc").fetch("news", *EVER)
    last = news.filter(pl.col("headline").str.contains("statement.*2023-07-26"))
    assert last["knowledge_time"].to_list() == [datetime(2023, 7, 27, 4, tzinfo=UTC)]


def test_rejected_rows_show_what_was_written_and_where():
    rejected = source_of("news_headlines").rejected()
    assert rejected.height == 40
    assert rejected["row"].str.contains("Jul-18").any()
    path, row = source_of("news_headlines").locate(rejected["source"][0], rejected["source_row"][0])
    assert pl.read_parquet(path)["ts_local"][row] is None


def test_a_row_of_many_files_is_found_again():
    source = source_of("lean")
    action = source.fetch("corporate_actions", *EVER).filter(instrument_id="US.AAPL", kind="split")
    assert action["ratio"].round(3).to_list() == [2.0, 2.0, 7.0, 4.0][: action.height]
    path, row = source.locate(action["source"][0], action["source_row"][0])
    assert path.name == "aapl.csv"
    assert path.read_text().splitlines()[row].startswith("20000620")


def test_files_are_listed_with_their_hash():
    listed = source_of("repair_pairs").files()
    assert listed["path"].n_unique() == len(list(Path(SHARED / "repair_pairs").glob("*.csv")))
    assert (listed["sha256"].str.len_chars() == 64).all()
