"""Tiers: rows go down whole or stay, and one catalogue answers wherever they lie."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.stores.content_hash import canonical_order
from adapters.stores.hot import EmbeddedHotStore
from adapters.stores.segments import TierCorruptionError
from adapters.stores.tables_delta import DeltaTableStore
from adapters.stores.tiers import Catalogue, TierPolicy, Tiers
from adapters.stores.warm import WarmStore
from features.schemas_derived import FILLS

START = datetime(2024, 1, 1, 21, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = TierPolicy(hot_age=5 * DAY, warm_age=40 * DAY)


def make_fills(first: int, count: int, **more: object) -> pl.DataFrame:
    times = [START + DAY * i for i in range(first, first + count)]
    rows = pl.DataFrame(
        {
            "fill_id": [f"F{i}" for i in range(first, first + count)],
            "order_id": [f"O{i}" for i in range(first, first + count)],
            "session": [t.date() for t in times],
            "event_time": times,
            "knowledge_time": times,
            "instrument_id": [f"US.{i % 3}" for i in range(first, first + count)],
            "quantity": [float(i) for i in range(first, first + count)],
            "price": [100.0] * count,
        }
    )
    return FILLS.conform(rows.with_columns(**{k: pl.lit(v) for k, v in more.items()}))


def make_tiers(root: Path) -> Tiers:
    return Tiers(
        EmbeddedHotStore(root / "hot.sqlite"),
        WarmStore(root / "warm"),
        DeltaTableStore(root / "cold"),
    )


@pytest.fixture
def tiers(tmp_path: Path) -> Tiers:
    return make_tiers(tmp_path)


def places(tiers: Tiers) -> dict[str, int]:
    return dict(tiers.catalogue().tables().select("tier", "rows").iter_rows())


def test_rows_go_down_by_age_and_none_is_lost(tiers: Tiers) -> None:
    for day in range(0, 100, 10):  # ten sessions of ten fills
        tiers.hot.write("fills", make_fills(day, 10))
    before = tiers.catalogue().query("fills")

    moves = tiers.demote(START + 100 * DAY, POLICY)

    assert tiers.catalogue().query("fills").equals(before)
    assert before.height == 100
    assert set(places(tiers)) == {"hot", "warm", "cold"}
    assert {m.target for m in moves} == {"warm", "cold"}


def test_demoting_again_moves_nothing(tiers: Tiers) -> None:
    tiers.hot.write("fills", make_fills(0, 60))
    first = tiers.demote(START + 70 * DAY, POLICY)
    where = places(tiers)

    assert first
    assert tiers.demote(START + 70 * DAY, POLICY) == ()
    assert places(tiers) == where


def test_young_rows_stay_hot(tiers: Tiers) -> None:
    tiers.hot.write("fills", make_fills(0, 3))

    assert tiers.demote(START + 4 * DAY, POLICY) == ()
    assert places(tiers) == {"hot": 3}


def test_a_row_in_two_tiers_is_one_row(tiers: Tiers) -> None:
    rows = make_fills(0, 4)
    tiers.hot.write("fills", rows)
    tiers.warm.write("fills", rows)
    tiers.cold.add("fills", rows)

    assert tiers.catalogue().query("fills").equals(rows)


def test_the_newest_version_answers_and_all_versions_can_be_had(tiers: Tiers) -> None:
    old, new = make_fills(0, 1), make_fills(0, 1, price=101.0)
    new = new.with_columns(pl.col("knowledge_time") + DAY)
    tiers.cold.add("fills", old)
    tiers.hot.write("fills", new)
    catalogue = tiers.catalogue()

    assert catalogue.query("fills")["price"].to_list() == [101.0]
    assert catalogue.query("fills", known_by=START)["price"].to_list() == [100.0]
    assert catalogue.query("fills", revisions=True).height == 2


def test_a_query_bounds_names_columns_and_speaks_sql(tiers: Tiers) -> None:
    tiers.hot.write("fills", make_fills(50, 10))
    tiers.warm.write("fills", make_fills(20, 30))
    tiers.cold.add("fills", make_fills(0, 20))
    catalogue = tiers.catalogue()

    some = catalogue.query(
        "fills",
        start=START + 10 * DAY,
        end=START + 55 * DAY,
        columns=["fill_id", "instrument_id"],
        instrument_ids=["US.1"],
    )
    counted = catalogue.query("fills", sql="SELECT count(*) AS n, max(event_time) AS m FROM fills")

    assert some["fill_id"].to_list() == [f"F{i}" for i in range(10, 55) if i % 3 == 1]
    assert counted.row(0) == (60, START + 59 * DAY)


def test_sql_reaches_nothing_outside(tiers: Tiers, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    tiers.hot.write("fills", make_fills(0, 1))

    with pytest.raises(Exception, match=r"disabled|permission|Permission"):
        tiers.catalogue().query("fills", sql=f"SELECT * FROM '{tmp_path}/secret.csv'")


def test_a_table_that_no_tier_has_is_a_key_error(tiers: Tiers) -> None:
    with pytest.raises(KeyError, match="no tier has a table fills"):
        tiers.catalogue().query("fills")


def test_a_rotten_segment_is_not_moved_and_not_dropped(tiers: Tiers, tmp_path: Path) -> None:
    tiers.warm.write("fills", make_fills(0, 5))
    (path,) = (tmp_path / "warm" / "fills").iterdir()
    rotten = pl.read_parquet(path).with_columns(price=pl.lit(1.0))
    metadata = pl.read_parquet_metadata(path)
    rotten.write_parquet(path, metadata={k: v for k, v in metadata.items() if "apiary" in k})

    with pytest.raises(TierCorruptionError, match="must hash to"):
        tiers.demote(START + 99 * DAY, POLICY)

    assert path.exists()
    assert not tiers.cold.exists("fills")


def test_a_rotten_hot_value_is_named_and_stays(tiers: Tiers, tmp_path: Path) -> None:
    (segment,) = tiers.hot.write("fills", make_fills(0, 5))
    store = EmbeddedHotStore(tmp_path / "hot.sqlite")
    good = store.find("rows/fills", segment.content_hash) or b""
    for rotten in (b"no header", good[:-9], good[:60] + bytes(8) + good[68:]):
        store.put("rows/fills", {segment.content_hash: rotten})
        with pytest.raises(TierCorruptionError):
            tiers.demote(START + 99 * DAY, POLICY)
        assert store.find("rows/fills", segment.content_hash) == rotten
    assert not tiers.warm.tables()


def test_a_span_without_rows_answers_with_columns(tiers: Tiers) -> None:
    tiers.hot.write("fills", make_fills(0, 5))

    rows = tiers.catalogue().query("fills", start=START + 50 * DAY)

    assert (rows.height, rows.columns) == (0, list(FILLS.columns))


class ForgetfulCold(DeltaTableStore):
    """A cold tier that says yes and keeps only half."""

    def add(self, table: str, rows: pl.DataFrame) -> object:  # type: ignore[override]  # a liar
        return super().add(table, rows.head(rows.height // 2))


def test_nothing_leaves_warm_if_cold_does_not_give_it_back(tmp_path: Path) -> None:
    hot, warm = EmbeddedHotStore(tmp_path / "hot"), WarmStore(tmp_path / "warm")
    tiers = Tiers(hot, warm, ForgetfulCold(tmp_path / "cold"))
    warm.write("fills", make_fills(0, 10))

    with pytest.raises(TierCorruptionError, match="nothing was dropped"):
        tiers.demote(START + 99 * DAY, POLICY)

    assert warm.segments("fills")[0].row_count == 10


def test_cold_may_hold_other_rows_of_the_same_days_and_more_columns(tiers: Tiers) -> None:
    tiers.cold.add("fills", make_fills(0, 10, price=7.0, venue="XNYS"))
    tiers.warm.write("fills", make_fills(0, 10))

    tiers.demote(START + 99 * DAY, POLICY)

    assert tiers.cold.read("fills").height == 20
    assert places(tiers) == {"cold": 20}


@settings(max_examples=15, deadline=None)
@given(
    batches=st.lists(st.tuples(st.integers(0, 80), st.integers(1, 8)), min_size=1, max_size=5),
    days=st.lists(st.integers(0, 140), max_size=4),
)
def test_no_sequence_of_demotions_changes_any_answer(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[int, int]], days: list[int]
) -> None:
    tiers = make_tiers(tmp_path_factory.mktemp("tiers"))
    for first, count in batches:
        tiers.hot.write("fills", make_fills(first, count))
    expected = canonical_order(
        pl.concat([make_fills(*b) for b in batches]).unique(), key=("event_time",)
    )
    for day in days:
        tiers.demote(START + day * DAY, POLICY)

    assert tiers.catalogue().query("fills").equals(expected)


def test_ages_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="hot_age <= warm_age"):
        TierPolicy(hot_age=5 * DAY, warm_age=DAY)


def test_a_catalogue_takes_keys_of_tables_it_does_not_know(tiers: Tiers, tmp_path: Path) -> None:
    rows = make_fills(0, 1)
    later = rows.with_columns(pl.col("knowledge_time") + DAY, price=pl.lit(2.0))
    tiers.warm.write("my_notes", pl.concat([rows, later]))
    catalogue = Catalogue(tiers.hot, tiers.warm, tiers.cold, keys={"my_notes": ["fill_id"]})

    assert catalogue.query("my_notes")["price"].to_list() == [2.0]
