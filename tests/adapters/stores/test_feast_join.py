"""The bitemporal join against a brute-force reading of its rule."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.stores.feast_join import AsOf, matching_rows

_START = datetime(2024, 1, 1, tzinfo=UTC)
_UTC = pl.Datetime("us", "UTC")

keys = st.sampled_from(["A", "B", "C", None])
ticks = st.one_of(st.none(), st.integers(0, 12))
records = st.lists(st.tuples(keys, keys, ticks, ticks), max_size=25)
questions = st.lists(st.tuples(keys, keys, ticks), max_size=12)
ages = st.one_of(st.none(), st.integers(0, 8).map(lambda h: timedelta(hours=h)))


def hour(tick: int | None) -> datetime | None:
    return None if tick is None else _START + timedelta(hours=tick)


def rows_of(found: list[tuple]) -> pl.DataFrame:
    columns = list(zip(*found, strict=True)) if found else [[]] * 4
    return pl.DataFrame(
        {
            "key": pl.Series(columns[0], dtype=pl.String),
            "venue": pl.Series(columns[1], dtype=pl.String),
            "event": pl.Series([hour(t) for t in columns[2]], dtype=_UTC),
            "known": pl.Series([hour(t) for t in columns[3]], dtype=_UTC),
        }
    )


def requests_of(asked: list[tuple]) -> pl.DataFrame:
    columns = list(zip(*asked, strict=True)) if asked else [[]] * 3
    return pl.DataFrame(
        {
            "id": pl.Series(columns[0], dtype=pl.String),
            "at_venue": pl.Series(columns[1], dtype=pl.String),
            "time": pl.Series([hour(t) for t in columns[2]], dtype=_UTC),
        }
    )


def brute_force(asked: list[tuple], found: list[tuple], rule: AsOf) -> list[int]:
    answers = []
    for key, venue, time in asked:
        best = (-1, -1, -1)
        for number, (row_key, row_venue, event, known) in enumerate(found):
            if None in (key, venue, time, row_key, row_venue, event, known):
                continue
            too_old = rule.max_age is not None and hour(time) - hour(event) > rule.max_age
            unknown = rule.known_only and known > time
            if (row_key, row_venue) == (key, venue) and event <= time and not (too_old or unknown):
                best = max(best, (event, known, number))
        answers.append(best[2])
    return answers


def rule_of(max_age: timedelta | None, *, known_only: bool = True) -> AsOf:
    return AsOf(("id", "at_venue"), ("key", "venue"), "time", "event", "known", max_age, known_only)


@settings(deadline=None)  # the first example compiles the kernels
@given(questions, records, ages, st.booleans())
def test_every_answer_is_that_of_brute_force(
    asked: list[tuple], found: list[tuple], max_age: timedelta | None, known_only: bool
) -> None:
    """Ties, ages at the border, revisions, strangers and nulls, in any order of rows."""
    rule = rule_of(max_age, known_only=known_only)

    answers = matching_rows(requests_of(asked), rows_of(found), rule)

    assert answers.tolist() == brute_force(asked, found, rule)


@settings(deadline=None)  # the first example compiles the kernels
@given(questions, records, ages)
def test_the_order_of_storage_decides_nothing_but_ties(
    asked: list[tuple], found: list[tuple], max_age: timedelta | None
) -> None:
    distinct = list(dict.fromkeys(found))
    rows, rule = rows_of(distinct), rule_of(max_age)
    shuffled = rows.sort("event", "known", nulls_last=True)

    first = matching_rows(requests_of(asked), rows, rule)
    second = matching_rows(requests_of(asked), shuffled, rule)

    assert [rows.row(i) if i >= 0 else None for i in first] == [
        shuffled.row(i) if i >= 0 else None for i in second
    ]


def test_an_age_of_exactly_the_limit_still_counts() -> None:
    rows = rows_of([("A", "B", 0, 0)])
    asked = requests_of([("A", "B", 5), ("A", "B", 6)])

    assert matching_rows(asked, rows, rule_of(timedelta(hours=5))).tolist() == [0, -1]


def test_naive_times_are_taken_as_utc_and_other_zones_are_converted() -> None:
    rows = rows_of([("A", "B", 6, 6)])
    asked = requests_of([("A", "B", 6)])
    naive = asked.with_columns(pl.col("time").dt.replace_time_zone(None))
    tokyo = asked.with_columns(pl.col("time").dt.convert_time_zone("Asia/Tokyo"))
    coarse = naive.with_columns(pl.col("time").cast(pl.Datetime("ms")))

    for requests in (asked, naive, tokyo, coarse):
        assert matching_rows(requests, rows, rule_of(None)).tolist() == [0]


def test_without_keys_the_newest_row_of_all_answers() -> None:
    rows = rows_of([("A", "B", 1, 1), ("B", "B", 3, 3), ("C", "B", 9, 9)])
    rule = AsOf((), (), "time", "event", "known", None)

    assert matching_rows(requests_of([("x", "y", 5)]), rows, rule).tolist() == [1]


def test_no_rows_and_no_requests_are_answered_with_nothing() -> None:
    rule = rule_of(None)

    assert matching_rows(requests_of([]), rows_of([("A", "B", 1, 1)]), rule).size == 0
    assert np.all(matching_rows(requests_of([("A", "B", 1)]), rows_of([]), rule) == -1)


def test_sides_with_different_numbers_of_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="as many keys"):
        AsOf(("a",), (), "time", "event", None, None)
