"""The warm tier: whole segments or none, named by what they hold, under DuckDB views."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from adapters.stores.segments import Segment, TierCorruptionError
from adapters.stores.warm import WarmStore

NOON = datetime(2024, 1, 20, 12, tzinfo=UTC)


def make_bars(count: int) -> pl.DataFrame:
    times = [NOON + timedelta(days=i) for i in range(count)]
    return pl.DataFrame(
        {"event_time": times, "close": [float(i) for i in range(count)]},
        schema_overrides={"event_time": pl.Datetime("us", "UTC")},
    )


@pytest.fixture
def warm(tmp_path: Path) -> WarmStore:
    return WarmStore(tmp_path / "warm")


def test_a_batch_is_cut_by_month_and_read_back_whole(warm: WarmStore) -> None:
    segments = warm.write("bars", make_bars(30))

    assert [s.row_count for s in segments] == [12, 18]
    assert warm.read("bars").sort("event_time").equals(make_bars(30))
    assert segments[1].first == datetime(2024, 2, 1, 12, tzinfo=UTC)


def test_writing_again_adds_no_file(warm: WarmStore) -> None:
    assert warm.write("bars", make_bars(5)) == warm.write("bars", make_bars(5).reverse())
    assert len(warm.segments("bars")) == 1


def test_reads_are_bounded_by_time(warm: WarmStore) -> None:
    warm.write("bars", make_bars(30))
    day = timedelta(days=1)

    rows = warm.read("bars", start=NOON + 3 * day, end=NOON + 20 * day)

    assert sorted(rows["close"]) == [float(i) for i in range(3, 20)]


def test_sql_sees_every_table_once(warm: WarmStore) -> None:
    warm.write("bars", make_bars(30))
    warm.write("bars", make_bars(31))  # the first segment again, the second one row longer
    warm.write("notes", pl.DataFrame({"event_time": [NOON], "text": ["it's"]}))

    answer = warm.query("SELECT count(*), (SELECT text FROM notes) FROM bars")

    assert answer.row(0) == (31, "it's")


def test_an_unfinished_write_is_not_seen(warm: WarmStore, tmp_path: Path) -> None:
    warm.write("bars", make_bars(3))
    (tmp_path / "warm" / "bars" / "torn.999.part").write_bytes(b"PAR1 half a")

    assert warm.read("bars").height == 3


def test_a_torn_segment_is_found(warm: WarmStore, tmp_path: Path) -> None:
    (segment,) = warm.write("bars", make_bars(3))
    path = tmp_path / "warm" / "bars" / f"{segment.content_hash}.parquet"
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(TierCorruptionError, match="Parquet"):
        warm.read_segment(segment)


def test_what_is_not_there_raises_key_error(warm: WarmStore) -> None:
    with pytest.raises(KeyError, match="no table bars"):
        warm.read("bars")
    with pytest.raises(KeyError, match="no segment"):
        warm.read_segment(Segment("bars", "0" * 64, 0, 0, None, None))


def test_removal_is_idempotent(warm: WarmStore) -> None:
    segments = warm.write("bars", make_bars(30))
    warm.remove("bars", segments[:1])
    warm.remove("bars", segments[:1])

    assert warm.segments("bars") == segments[1:]
    assert warm.tables() == ("bars",)
