"""As-of joins and views give what a reader at that moment could have known, and nothing else."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.point_in_time import as_of_join, known_at, leaking_rows
from features.schemas import UTC_TIME

ORIGIN = datetime(2020, 1, 1, tzinfo=UTC)
TABLE = {
    "instrument_id": pl.String(),
    "event_time": UTC_TIME,
    "knowledge_time": UTC_TIME,
    "value": pl.Int64(),
}


def at(hours: int) -> datetime:
    return ORIGIN + timedelta(hours=hours)


def make_table(rows: list[tuple[str, int, int]]) -> pl.DataFrame:
    """Return versions (instrument, event hour, knowledge hour), each with a value of its own."""
    data = [(name, at(event), at(known), k) for k, (name, event, known) in enumerate(rows)]
    return pl.DataFrame(data, schema=TABLE, orient="row")


def make_entity(rows: list[tuple[str, int]]) -> pl.DataFrame:
    schema = {"instrument_id": pl.String(), "as_of": UTC_TIME}
    return pl.DataFrame([(n, at(h)) for n, h in rows], schema=schema, orient="row")


def by_brute_force(name: str, as_of: int, rows: list[tuple[str, int, int]], ttl: int | None):
    """Return the value known at as_of: newest event, then newest version of it, then last row."""
    usable = [
        (event, known, k)
        for k, (n, event, known) in enumerate(rows)
        if n == name and known <= as_of and event <= as_of
    ]
    if not usable:
        return None
    event, _, value = max(usable)
    return None if ttl is not None and event < as_of - ttl else value


VERSIONS = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(0, 12), st.integers(0, 20)), max_size=25
)
DECISIONS = st.lists(st.tuples(st.sampled_from("ABC"), st.integers(-2, 24)), max_size=10)


@settings(max_examples=300, deadline=None)
@given(versions=VERSIONS, decisions=DECISIONS, ttl=st.one_of(st.none(), st.integers(0, 10)))
def test_the_join_equals_a_search_through_all_versions(versions, decisions, ttl):
    limit = None if ttl is None else timedelta(hours=ttl)
    joined = as_of_join(make_entity(decisions), make_table(versions), ttl=limit)
    expected = [by_brute_force(name, hour, versions, ttl) for name, hour in decisions]
    assert joined["value"].to_list() == expected
    assert joined.select("instrument_id", "as_of").equals(make_entity(decisions))


@settings(max_examples=200, deadline=None)
@given(versions=VERSIONS, hour=st.integers(-1, 22))
def test_known_at_keeps_the_newest_version_of_each_record(versions, hour):
    newest: dict[tuple[str, int], tuple[int, int]] = {}
    for k, (name, event, known) in enumerate(versions):
        if known <= hour and (known, k) >= newest.get((name, event), (-99, -1)):
            newest[name, event] = (known, k)
    ours = known_at(make_table(versions), at(hour))
    assert sorted(ours["value"].to_list()) == sorted(k for _, k in newest.values())


def test_known_at_works_on_a_lazy_table_and_under_another_key():
    rows = make_table([("A", 0, 1), ("A", 0, 2), ("A", 1, 2)])
    assert known_at(rows.lazy(), at(2)).collect().height == 2
    assert known_at(rows, at(2), key=("instrument_id",)).height == 1


def test_a_value_revised_on_the_fourth_does_not_serve_the_second():
    versions = make_table([("A", 24, 25), ("A", 24, 96)])
    joined = as_of_join(make_entity([("A", 48), ("A", 97)]), versions)
    assert joined["value"].to_list() == [0, 1]


def test_rows_come_back_in_their_order_and_none_is_dropped():
    entity = make_entity([("B", 9), ("A", 1), ("A", 9), ("B", 1)])
    joined = as_of_join(entity, make_table([("A", 0, 0), ("B", 5, 5)]).lazy())
    assert joined.select(entity.columns).equals(entity)
    assert joined["value"].to_list() == [1, 0, 0, None]


def test_a_row_used_before_it_was_known_leaks_and_so_does_one_without_a_time():
    table = make_table([("A", 0, 1), ("A", 0, 3), ("A", 0, 2)]).with_columns(
        as_of=pl.Series([at(2), at(2), None], dtype=UTC_TIME)
    )
    assert leaking_rows(table)["value"].to_list() == [1, 2]


def test_bad_calls_are_refused_in_one_line():
    table, entity = make_table([("A", 0, 0)]), make_entity([("A", 1)])
    with pytest.raises(ValueError, match=r"columns of the table, had \['value'\]"):
        as_of_join(entity.with_columns(value=1), table)
    with pytest.raises(ValueError, match="ttl must be 0 or more"):
        as_of_join(entity, table, ttl=-timedelta(1))
    with pytest.raises(ValueError, match="moment must carry a time zone"):
        known_at(table, at(0).replace(tzinfo=None))
