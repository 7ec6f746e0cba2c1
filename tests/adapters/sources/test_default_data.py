"""The default data, from the wheels themselves: counts, times, units and what is known when."""

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from adapters.sources import wheels
from adapters.sources.default_data import DefaultDataSource
from adapters.sources.default_files import read_csv
from adapters.sources.wheels import ContentChangedError
from features.schemas import TABLES
from features.symbology import overlapping_spells, resolve

EVER = (datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> DefaultDataSource:
    """Use the developer's own cache where there is one; else download once, or skip offline."""
    kept = Path(os.environ.get("APIARY_TEST_CACHE", Path.home() / ".cache" / "apiary-tests"))
    made = DefaultDataSource(kept)
    try:
        made.prepare()
    except OSError as error:
        pytest.skip(f"the default data cannot be downloaded here: {error}")
    return made


def read(source: DefaultDataSource, dataset: str) -> pl.DataFrame:
    return read_csv(source._read(dataset))


@pytest.mark.parametrize("table", DefaultDataSource(Path("unused")).tables)
def test_every_table_conforms_is_unique_and_knows_nothing_early(source, table):
    rows, schema = source.fetch(table, *EVER), TABLES[table]
    assert dict(rows.schema) == schema.columns
    assert not rows.select(*schema.key, "knowledge_time").is_duplicated().any()
    assert (rows["knowledge_time"] >= rows["event_time"]).all()
    assert rows.select(schema.required).null_count().sum_horizontal().item() == 0
    assert rows.equals(rows.sort([*schema.key, "knowledge_time"]))


def test_no_cell_of_the_files_is_lost(source):
    bars = source.fetch("bars", *EVER)
    counts = dict(bars.group_by("source").len().rows())

    def cells(dataset: str, *without: str) -> int:
        rows = read(source, dataset)
        rows = rows.select(
            c for c in rows.columns if c.strip() and c not in {"source_row", *without}
        )
        missing = rows.select(pl.all().is_null() | pl.all().is_in(["", "N/A"])).sum()
        return rows.height * rows.width - sum(missing.row(0))

    expected = {
        "us_equities_20": cells("us_equities_20", "Date"),
        "factor_etfs": cells("factor_etfs", "Date"),
        "sp500_index": cells("sp500_index", "Date"),
        "ecb_fx": cells("ecb_fx", "Date"),
        "us_tech_ohlcv": read(source, "us_tech_ohlcv").height,
        "wiki_ohlcv": read(source, "wiki_ohlcv").height,
    }
    assert {name: counts[source.source_of(name)] for name in expected} == expected
    assert source.fetch("trades", *EVER).height == 500_000
    assert source.fetch("news", *EVER).height == read(source, "guardian_headlines").height


def test_source_and_row_lead_back_to_the_cell(source):
    bars = source.fetch("bars", *EVER)
    row = bars.filter(source=source.source_of("us_equities_20"), instrument_id="US.KO").sample(
        1, seed=7
    )
    raw = read(source, "us_equities_20").filter(source_row=row["source_row"][0])
    assert float(raw["KO"][0]) == row["close"][0]
    assert date.fromisoformat(raw["Date"][0]) == row["event_time"][0].date()


def test_one_company_is_one_instrument_in_several_sets(source):
    bars = source.fetch("bars", *EVER)
    sources = bars.group_by("instrument_id").agg(pl.col("source").n_unique())
    counts = dict(sources.rows())
    assert counts["US.AAPL"] == 3
    assert counts["IDX.SP500"] == 2
    assert set(bars["instrument_id"]) == set(source.instruments()["instrument_id"])
    assert overlapping_spells(source.instruments()).is_empty()


def test_renamed_and_reused_tickers_resolve(source):
    listed = source.instruments()
    assert resolve(listed, "FB", date(2013, 1, 2)) == "US.META"
    assert resolve(listed, "GOOG", date(2013, 1, 2)) == "US.GOOGL"
    assert resolve(listed, "GOOG", date(2015, 1, 2)) == "US.GOOG"


def test_a_bar_ends_with_its_session_and_a_fixing_at_16_in_frankfurt(source):
    start, end = datetime(2019, 7, 3, tzinfo=UTC), datetime(2019, 7, 4, tzinfo=UTC)
    bars = source.fetch("bars", start, end)
    ko = bars.filter(instrument_id="US.KO")
    assert ko["event_time"].to_list() == [datetime(2019, 7, 3, 17, tzinfo=UTC)]  # a half day
    fixing = bars.filter(instrument_id="FX.EURUSD")
    assert fixing["event_time"].to_list() == [datetime(2019, 7, 3, 14, tzinfo=UTC)]


def test_known_splits_and_dividends_are_derived(source):
    actions = source.fetch("corporate_actions", *EVER)
    wiki = actions.filter(source=source.source_of("wiki_ohlcv"))
    splits = wiki.filter(kind="split").select(
        "instrument_id", pl.col("event_time").dt.date(), "ratio"
    )
    assert splits.rows() == [
        ("US.AAPL", date(2000, 6, 21), 2.0),
        ("US.AAPL", date(2005, 2, 28), 2.0),
        ("US.MSFT", date(2003, 2, 18), 2.0),
    ]
    special = wiki.filter(
        pl.col("instrument_id") == "US.MSFT", pl.col("event_time").dt.date() == date(2004, 11, 15)
    )
    assert special["amount"][0] == pytest.approx(3.08, abs=1e-3)  # 3.00 and the regular 0.08


def test_units_are_one_and_the_same(source):
    macro = source.fetch("macro", *EVER)
    ten_years = macro.filter(series_id="DGS10")
    assert ten_years["source"].n_unique() == 2
    assert ten_years["unit"].unique().to_list() == ["percent"]
    assert 0.5 < ten_years["value"].min() < ten_years["value"].max() < 10
    # The spot price of 20 April 2020 was truly negative: it stays.
    assert macro.filter(series_id="DCOILWTICO")["value"].min() == -36.98


def test_a_revision_is_a_later_version_of_the_same_record(source):
    macro = source.fetch("macro", *EVER).filter(series_id="PAYEMS")
    may = macro.filter(event_time=datetime(2016, 5, 1, tzinfo=UTC))
    assert may["value"].to_list() == [143894.0, 143888.0]
    assert may["source"].n_unique() == 1
    assert may["knowledge_time"].to_list() == [
        datetime(2016, 6, 30, 4, tzinfo=UTC),
        datetime(2016, 7, 30, 4, tzinfo=UTC),
    ]


def test_a_headline_of_a_day_is_known_when_the_day_is_over(source):
    news = source.fetch("news", *EVER)
    assert (news["knowledge_time"] - news["event_time"]).min() >= timedelta(hours=23)
    assert news["precision"].unique().to_list() == ["day"]


def test_ticks_are_chicago_time_and_minutes_add_up(source):
    trades = source.fetch("trades", *EVER)
    assert trades["event_time"][0] == datetime(2013, 9, 1, 22, 0, 0, 83_000, tzinfo=UTC)
    minutes = source.fetch("bars", *EVER).filter(interval="1m")
    whole = trades.filter(pl.col("event_time") < minutes["event_time"].max())
    assert minutes["volume"].sum() == whole["size"].sum()
    assert minutes["high"].max() == whole["price"].max()


def test_fetch_takes_the_start_and_leaves_the_end(source):
    start = datetime(2020, 3, 2, 21, tzinfo=UTC)
    rows = source.fetch("bars", start, datetime(2020, 3, 3, 21, tzinfo=UTC))
    assert rows.filter(instrument_id="US.KO")["event_time"].to_list() == [start]


def test_a_kept_table_that_was_changed_is_refused(source, tmp_path):
    wheel_dir = tmp_path / "wheels"
    wheel_dir.mkdir()
    for path in source._wheel_dir.glob("*.whl"):
        (wheel_dir / path.name).symlink_to(path)
    mine = DefaultDataSource(tmp_path)
    first = mine.fetch("corporate_actions", *EVER)
    kept = next((tmp_path / "tables").glob("corporate_actions-*.parquet"))
    first.with_columns(amount=pl.lit(1.0)).write_parquet(kept)
    with pytest.raises(ContentChangedError, match=r"must have the sha256 .* it was written with"):
        DefaultDataSource(tmp_path).fetch("corporate_actions", *EVER)
    kept.unlink()
    assert DefaultDataSource(tmp_path).fetch("corporate_actions", *EVER).equals(first)


def test_a_changed_wheel_is_refused_before_a_row_of_it_is_used(source, tmp_path):
    wheel_dir = tmp_path / "wheels"
    wheel_dir.mkdir()
    for path in source._wheel_dir.glob("*.whl"):
        (wheel_dir / path.name).write_bytes(path.read_bytes())
    target = next(wheel_dir.glob("mlfinpy*"))
    target.write_bytes(target.read_bytes() + b"x")
    with pytest.raises(ContentChangedError, match=r"mlfinpy.* must have the pinned sha256"):
        DefaultDataSource(tmp_path).fetch("trades", *EVER)


def test_a_changed_wheel_is_refused_whichever_table_is_asked_for_first(source, tmp_path):
    """The news lie in another wheel; were they ingested, the chain would stop half way."""
    copied = tmp_path / "wheels"
    copied.mkdir()
    for path in source.cache_files:
        if path.suffix == ".whl":
            (copied / path.name).symlink_to(path)
    changed = next(path for path in copied.iterdir() if path.name.startswith("autots"))
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.unlink()
    changed.write_bytes(content)
    for table in source.tables:
        with pytest.raises(ContentChangedError, match=r"autots.* must have the pinned sha256"):
            DefaultDataSource(tmp_path).fetch(table, *EVER)
    assert not list(tmp_path.glob("tables/*"))


def test_the_pinned_manifest_is_the_one_in_use(source):
    for name, wheel in source._manifest.wheels.items():
        assert wheels.sha256_of(source._wheel_dir / name) == wheel.sha256
