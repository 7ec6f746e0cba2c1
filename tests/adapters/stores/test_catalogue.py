"""The catalogue: one question over all tiers, of which only what is asked for is read."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.stores.plan_parts import pushable
from adapters.stores.segments import TierCorruptionError
from adapters.stores.tiers import Tiers
from tests.adapters.stores.test_tiers import DAY, START, make_fills, make_tiers


@pytest.fixture
def tiers(tmp_path: Path) -> Tiers:
    """Sixty fills: ten hot, thirty warm, twenty cold."""
    made = make_tiers(tmp_path)
    made.hot.write("fills", make_fills(50, 10))
    made.warm.write("fills", make_fills(20, 30))
    made.cold.add("fills", make_fills(0, 20))
    return made


def test_a_scan_answers_over_all_tiers(tiers: Tiers) -> None:
    scan = tiers.catalogue().scan(
        "fills", between=(START + 10 * DAY, START + 55 * DAY), instrument="US.1"
    )

    found = scan.select("fill_id", "event_time").collect().sort("event_time")
    assert found["fill_id"].to_list() == [f"F{i}" for i in range(10, 55) if i % 3 == 1]


def test_a_filter_on_the_frame_is_the_same_as_an_argument(tiers: Tiers) -> None:
    catalogue = tiers.catalogue()
    chosen = (pl.col("instrument_id") == "US.2") & (pl.col("quantity") > 30)

    by_filter = catalogue.scan("fills").filter(chosen).collect()
    by_argument = catalogue.scan("fills", instrument=["US.2"]).collect()

    assert by_filter.sort("fill_id").equals(
        by_argument.filter(pl.col("quantity") > 30).sort("fill_id")
    )


def test_a_condition_on_values_sees_the_newest_version_only(tiers: Tiers) -> None:
    """A condition on a value must not bring back a version that has been replaced."""
    later = make_fills(5, 1, price=7.0).with_columns(pl.col("knowledge_time") + DAY)
    tiers.hot.write("fills", later)
    catalogue = tiers.catalogue()

    assert catalogue.scan("fills").filter(pl.col("price") == 100.0).collect().height == 59
    assert catalogue.sql("SELECT price FROM fills WHERE fill_id = 'F5'").rows() == [(7.0,)]
    assert catalogue.scan("fills", revisions=True).collect().height == 61
    assert catalogue.sql("SELECT count(*) FROM fills", revisions=True).item() == 61


def test_only_the_files_of_the_months_and_instruments_asked_for_are_read(
    tiers: Tiers, tmp_path: Path
) -> None:
    tiers.cold.add("fills", make_fills(-200, 100))
    for month in (tmp_path / "cold" / "fills").glob("_month=*"):
        if month.name < "_month=2024-01":
            for file in month.iterdir():
                file.unlink()

    assert tiers.catalogue().scan("fills", between=(START, None)).collect().height == 60
    with pytest.raises((OSError, TierCorruptionError)):
        tiers.catalogue().scan("fills").collect()


def test_a_pinned_version_is_read_as_it_was(tiers: Tiers) -> None:
    before = tiers.cold.open("fills").version()  # type: ignore[attr-defined]  # the Delta store
    tiers.cold.add("fills", make_fills(100, 5))
    catalogue = tiers.catalogue()

    pinned = {"fills": before}
    assert catalogue.scan("fills", versions=pinned).collect().height == 20
    assert catalogue.sql("SELECT count(*) FROM fills", versions=pinned).item() == 20
    assert catalogue.sql("SELECT count(*) FROM fills").item() == 65
    with pytest.raises(KeyError, match="no version 99"):
        catalogue.scan("fills", versions={"fills": 99})


def test_sql_joins_tables_of_different_tiers(tiers: Tiers) -> None:
    notes = pl.DataFrame(
        {"instrument_id": ["US.1", "US.2"], "note": ["one", "two"], "event_time": [START, START]}
    )
    tiers.warm.write("notes", notes)

    answer = tiers.catalogue().sql(
        "SELECT note, count(*) AS n FROM fills JOIN notes USING (instrument_id)"
        " GROUP BY note ORDER BY note"
    )

    assert answer.rows() == [("one", 20), ("two", 20)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM nowhere",
        "SELEC 1",
        "SELECT no_such_column FROM fills",
    ],
)
def test_sql_that_is_wrong_is_one_line(tiers: Tiers, query: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        tiers.catalogue().sql(query)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_parquet('{root}/cold/fills/**/*.parquet')",
        "COPY (SELECT 1) TO '{root}/out.csv'",
        "ATTACH '{root}/some.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
    ],
)
def test_sql_reaches_nothing_else(tiers: Tiers, tmp_path: Path, query: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        tiers.catalogue().sql(query.format(root=tmp_path))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_rotten_cold_file_is_named(tiers: Tiers, tmp_path: Path) -> None:
    file = next((tmp_path / "cold" / "fills").glob("_month=*/*.parquet"))
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])

    with pytest.raises(TierCorruptionError, match=file.name):
        tiers.catalogue().scan("fills").collect()


@settings(max_examples=60, deadline=None)
@given(
    time=st.integers(0, 5),
    name=st.sampled_from(["a", "b"]),
    price=st.integers(0, 5),
    shape=st.sampled_from(["and", "or", "nested", "not"]),
)
def test_what_is_pushed_down_never_refuses_a_row_that_the_whole_takes(
    time: int, name: str, price: int, shape: str
) -> None:
    rows = pl.DataFrame(
        [(t, n, p) for t in range(6) for n in "ab" for p in range(6)],
        schema=["event_time", "instrument_id", "price"],
        orient="row",
    )
    a, b = pl.col("event_time") >= time, pl.col("instrument_id") == name
    c = pl.col("price") < price
    whole = {"and": a & b & c, "or": a | c, "nested": (a | b) & c & b, "not": ~(a & c) & b}[shape]

    part = pushable(whole, ("event_time", "instrument_id"))

    kept = rows.filter(whole)
    assert part is None or rows.filter(part).filter(whole).equals(kept)
    assert shape == "or" or part is not None


def test_a_scan_of_nothing_has_the_columns(tiers: Tiers) -> None:
    scan = tiers.catalogue().scan("fills", between=(datetime(1990, 1, 1, tzinfo=UTC), START - DAY))

    assert scan.collect().height == 0
    assert "fill_id" in scan.collect_schema()


def test_a_table_that_no_tier_has_is_a_key_error(tiers: Tiers) -> None:
    with pytest.raises(KeyError, match="no tier has a table nothing"):
        tiers.catalogue().scan("nothing")


def test_a_table_that_holds_nothing_yet_is_empty_in_a_query(tiers: Tiers) -> None:
    counted = tiers.catalogue().sql("SELECT count(*) AS n, sum(weight) AS s FROM positions")

    assert counted.row(0) == (0, None)


def test_a_query_that_names_no_table_is_told_which_there_are(tiers: Tiers) -> None:
    with pytest.raises(ValueError, match=r"must be one of fills.*, was fils$"):
        tiers.catalogue().sql("SELECT * FROM fils")


def test_a_limit_and_a_count_are_right(tiers: Tiers) -> None:
    scan = tiers.catalogue().scan("fills")

    assert scan.head(7).collect().height == 7
    assert scan.select(pl.len()).collect().item() == 60
    assert scan.filter(pl.col("event_time") < START + timedelta(hours=1)).collect().height == 1
