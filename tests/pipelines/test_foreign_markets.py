"""Folders that nobody described, of markets that nobody prepared for: read, judged, and traded."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from adapters.sources.files import FileSource
from adapters.sources.opening import open_folder
from assets.partitions import ALL_TIME
from features import calendars, validation
from features.session_bars import Market, session_bars
from features.traded_market import choose_market
from pipelines.chain import ChainStoppedError
from tests.pipelines.foreign_markets import MARKETS
from tests.pipelines.homes import Home, open_home

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LAG = timedelta(hours=2)

# Market -> calendar, currency, classes, sessions, and the bars put aside by (instrument, kind).
EXPECTED: dict[str, tuple[str, str, tuple[str, ...], int, dict[tuple[str, str], int]]] = {
    "london": ("XLON", "GBP", ("equity",), 150, {("XLON.BP", "unit_error"): 12}),
    "tokyo": (
        "XTKS",
        "JPY",
        ("equity",),
        150,
        {("XTKS.4502", "stale"): 15, ("XTKS.6758", "duplicate"): 3},
    ),
    "frankfurt": (
        "XETR",
        "EUR",
        ("equity",),
        150,
        {("XETR.SIE", "unadjusted_split"): 70, ("XETR.BAS", "bad_print"): 1},
    ),
    "coins": ("24/7", "USDT", ("crypto",), 140, {("CRYPTO.SOLUSDT", "bad_print"): 1}),
    "currencies": ("24/5", "USD", ("fx",), 150, {}),
    "futures": ("CMES", "USD", ("future",), 150, {}),
    "new_york": ("XNYS", "USD", ("equity",), 140, {}),
    "sydney": (
        "XASX",
        "AUD",
        ("equity",),
        150,
        {("XASX.CSL", "wrong_zone"): 150, ("XASX.ANZ", "future"): 1},
    ),
}


def _written(tmp_path: Path, market: str) -> FileSource:
    folder = tmp_path / "data"
    folder.mkdir()
    MARKETS[market](folder)
    return open_folder(folder, None)


def _judged(source: FileSource, table: str) -> tuple[pl.DataFrame, validation.ValidationReport]:
    rows = source.fetch(table, *ALL_TIME)
    context = validation.CheckContext(
        as_of=NOW,
        instruments=source.instruments(),
        settings=validation.ValidationSettings(require_fresh=False),
    )
    return rows, validation.check(table, rows, context=context)


@pytest.mark.parametrize("market", EXPECTED)
def test_a_market_is_recognised_and_its_defects_are_put_aside(tmp_path: Path, market: str) -> None:
    calendar, currency, classes, count, defects = EXPECTED[market]
    source = _written(tmp_path, market)
    rows, report = _judged(source, "bars")
    chosen = choose_market(rows, source.instruments())
    assert (chosen.calendar, chosen.currency, chosen.asset_classes) == (calendar, currency, classes)
    assert report.blocking_reasons == ()
    good, bad = validation.split(rows, report)
    name = pl.col("row").str.json_path_match("$.instrument_id").alias("instrument_id")
    found = bad.group_by(name, "kind").len()
    assert {(i, k): n for i, k, n in found.iter_rows()} == defects
    traded = session_bars(good, source.instruments(), Market(calendar, currency, classes, LAG))
    closes = traded["event_time"].unique()
    assert len(calendars.sessions_of_closes(calendar, closes)) == len(closes) == count


def test_crossed_quotes_are_put_aside_and_true_negative_prices_are_not(tmp_path: Path) -> None:
    (tmp_path / "fx").mkdir()
    _, quotes = _judged(_written(tmp_path / "fx", "currencies"), "quotes")
    stopped = quotes.findings.filter(pl.col("severity") == "quarantine")
    assert set(stopped["kind"]) == {"crossed"}
    assert stopped["row_index"].n_unique() == 15
    (tmp_path / "oil").mkdir()
    rows, report = _judged(_written(tmp_path / "oil", "futures"), "bars")
    assert validation.split(rows, report)[0]["close"].min() == -3.7


def test_one_series_under_two_names_stops_a_small_market(tmp_path: Path) -> None:
    _, report = _judged(_written(tmp_path, "hong_kong"), "bars")
    assert "same_series" in report.blocking_reasons[0]


def _rows(home: Home, table: str) -> pl.DataFrame:
    rows: Any = home.workshop.get("rows")
    found: pl.DataFrame = rows.catalogue().sql(f"select * from {table} order by all")
    return found


@pytest.fixture(scope="module")
def coins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home after the whole chain on hourly candles of a market that never rests."""
    path = tmp_path_factory.mktemp("coins")
    (path / "data").mkdir()
    MARKETS["coins"](path / "data")
    with pytest.MonkeyPatch.context() as patch, open_home(path, path / "data", None, patch) as home:
        home.chain.whole(home.windows)
        yield home


def test_hours_are_traded_as_days_that_end_at_midnight_weekends_too(coins: Home) -> None:
    assert coins.workshop.settings.calendar == "24/7"
    decided = _rows(coins, "decisions")["session"].unique().sort().to_list()
    first, last = date(2021, 5, 4), date(2021, 5, 23)
    assert (decided[0], decided[-1], len(decided)) == (first, last, 20)
    assert any(day.weekday() >= 5 for day in decided)


def test_an_order_that_comes_after_the_open_is_filled_at_the_close(coins: Home) -> None:
    """The next day opens at the close that was decided on: two hours before the decision."""
    fills, tables = _rows(coins, "fills"), coins.workshop.get("tables")
    assert fills.height > 0
    source: Any = coins.workshop.get("source")
    market = Market("24/7", "USDT", ("crypto",), LAG)
    clean: Any = tables.read("clean_bars")  # type: ignore[attr-defined]  # built by name
    bars = session_bars(clean, source.instruments(), market)
    joined = fills.join(
        bars.select("instrument_id", "event_time", "close"), on=["instrument_id", "event_time"]
    )
    assert joined.height == fills.height
    off = joined.select((pl.col("price") / pl.col("close") - 1.0).abs().max()).item()
    assert off < 0.002  # slippage and impact, no more


def test_fractions_of_a_coin_are_held(coins: Home) -> None:
    quantities = _rows(coins, "positions")["quantity"]
    assert (quantities != quantities.round(0)).any()


def test_an_order_of_a_coin_is_explained_down_to_its_candles(coins: Home) -> None:
    queries = coins.workshop.lineage()
    tree = queries.explain_order(queries.order_ids()[-1])
    nodes = {node.kind: node for node in tree.walk()}
    assert {"decision", "contributions", "features", "raw_rows"} <= set(nodes)
    candles = pl.DataFrame(nodes["raw_rows"].rows)
    assert nodes["raw_rows"].title.endswith("rows of bars")
    assert candles["event_time"].n_unique() > 24 * 100  # hours, as far back as features reach
    missing = {node.title for node in tree.walk() if node.kind == "missing"}
    assert missing == {"there is no table clean_macro", "there is no table clean_news"}


@pytest.mark.slow
@pytest.mark.parametrize("market", [name for name in EXPECTED if name != "coins"])
def test_a_foreign_market_is_traded_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, market: str
) -> None:
    (tmp_path / "data").mkdir()
    MARKETS[market](tmp_path / "data")
    with open_home(tmp_path, tmp_path / "data", None, monkeypatch) as home:
        home.chain.whole(home.windows)
        settings = home.workshop.settings
        assert (settings.calendar, settings.base_currency) == EXPECTED[market][:2]
        assert _rows(home, "decisions")["session"].n_unique() == 20
        assert _rows(home, "orders").filter(pl.col("verdict") == "approved").height > 0
        before = {name: _rows(home, name) for name in ("decisions", "orders", "fills", "nav")}
        home.chain.whole(home.windows)
        assert all(_rows(home, name).equals(rows) for name, rows in before.items())


@pytest.mark.slow
def test_no_order_leaves_where_one_series_stands_under_two_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    MARKETS["hong_kong"](tmp_path / "data")
    with open_home(tmp_path, tmp_path / "data", None, monkeypatch) as home:
        with pytest.raises(ChainStoppedError, match="same_series"):
            home.chain.whole(home.windows)
        log: Any = home.workshop.get("log")
        assert not list(log.read())
