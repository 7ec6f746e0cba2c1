"""The files behind the offline sources: replaced whole, appended once, read in every form."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from deltalake import write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.stores.feast_tables import append, replace_span, scan

_START = datetime(2023, 12, 29, tzinfo=UTC)
_SOURCE = SimpleNamespace(name="rows", timestamp_field="event", field_mapping={})


def day(number: int) -> datetime:
    return _START + timedelta(days=number)


def rows_of(days: list[int], value: float = 0.0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "key": pl.Series([f"K{d}" for d in days], dtype=pl.String),
            "event": pl.Series([day(d) for d in days], dtype=pl.Datetime("us", "UTC")),
            "value": pl.Series([value] * len(days), dtype=pl.Float64),
        }
    )


def read(path: Path) -> list[tuple]:
    return scan(path).select("event", "value").sort("event").collect().rows()


spans = st.tuples(st.integers(0, 8), st.integers(1, 5), st.sets(st.integers(0, 4)))


@settings(deadline=None, max_examples=25)
@given(writes=st.lists(spans, min_size=1, max_size=5))
def test_replacing_spans_leaves_what_a_dictionary_would_hold(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[int, int, set[int]]]
) -> None:
    """Any spans in any order, empty ones too, across the partitions' border at new year."""
    path = tmp_path_factory.mktemp("spans") / "a täble #1"
    held: dict[datetime, float] = {}
    for number, (first, length, offsets) in enumerate(writes):
        days = sorted(first + o for o in offsets if o < length)
        held = {t: v for t, v in held.items() if not day(first) <= t < day(first + length)}
        held |= {day(d): float(number) for d in days}
        replace_span(
            path,
            rows_of(days, float(number)),
            time_column="event",
            start=day(first),
            end=day(first + length),
        )

    assert read(path) == sorted(held.items())


def test_writers_at_once_wait_for_each_other_and_lose_nothing(tmp_path: Path) -> None:
    def write(number: int) -> int:
        return replace_span(
            tmp_path / "table",
            rows_of([number]),
            time_column="event",
            start=day(number),
            end=day(number + 1),
        )

    with ThreadPoolExecutor(6) as pool:
        versions = list(pool.map(write, range(6)))

    assert sorted(versions) == list(range(6))
    assert [t for t, _ in read(tmp_path / "table")] == [day(n) for n in range(6)]


def test_a_new_column_is_null_where_it_was_not_written(tmp_path: Path) -> None:
    span = {"time_column": "event", "start": day(0), "end": day(1)}
    replace_span(tmp_path / "t", rows_of([0]), **span)
    later = rows_of([1]).with_columns(fresh=pl.lit(1.0))
    replace_span(tmp_path / "t", later, time_column="event", start=day(1), end=day(2))

    assert scan(tmp_path / "t").sort("event").collect()["fresh"].to_list() == [None, 1.0]


def test_a_span_in_another_zone_is_the_same_span(tmp_path: Path) -> None:
    tokyo = timezone(timedelta(hours=9))
    replace_span(tmp_path / "t", rows_of([0, 1]), time_column="event", start=day(0), end=day(2))
    replace_span(
        tmp_path / "t",
        rows_of([1], 5.0),
        time_column="event",
        start=day(1).astimezone(tokyo),
        end=day(2).astimezone(tokyo),
    )

    assert read(tmp_path / "t") == [(day(0), 0.0), (day(1), 5.0)]


def test_a_span_without_a_zone_is_refused(tmp_path: Path) -> None:
    naive = day(0).replace(tzinfo=None)

    with pytest.raises(ValueError, match="must have a zone"):
        replace_span(tmp_path / "t", rows_of([0]), time_column="event", start=naive, end=day(1))


@pytest.mark.parametrize("kind", ["delta", "folder", "file"])
def test_appended_rows_stand_beside_the_old(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("röws #1.parquet" if kind == "file" else "röws #1")
    if kind == "delta":
        year = pl.col("event").dt.year().alias("year")
        write_deltalake(str(path), rows_of([0]).with_columns(year).to_arrow())

    append(path, _SOURCE, rows_of([0] if kind != "delta" else [], 1.0))
    append(path, _SOURCE, rows_of([1], 2.0))

    assert [v for _, v in read(path)] == [0.0 if kind == "delta" else 1.0, 2.0]


def test_the_same_batch_appended_twice_to_a_folder_is_there_once(tmp_path: Path) -> None:
    for _ in range(2):
        append(tmp_path / "rows", _SOURCE, rows_of([1]))

    assert len(read(tmp_path / "rows")) == 1


def test_rows_with_other_columns_are_refused(tmp_path: Path) -> None:
    append(tmp_path / "rows", _SOURCE, rows_of([1]))

    with pytest.raises(ValueError, match="rows for rows must have"):
        append(tmp_path / "rows", _SOURCE, rows_of([2]).rename({"value": "price"}))
