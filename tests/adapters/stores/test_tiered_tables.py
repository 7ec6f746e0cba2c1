"""Rows written again: by the same version, and in a home that an older one has written."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from adapters.stores.hot_embedded import EmbeddedHotStore
from adapters.stores.tables_delta import DeltaTableStore
from adapters.stores.tier_policy import TierPolicies
from adapters.stores.tiered_tables import TieredTables
from adapters.stores.warm import WarmStore
from features.schemas import TableSchema
from features.schemas_derived import NAV

FIRST = date(2024, 3, 4)


def opened(home: Path) -> TieredTables:
    hot = EmbeddedHotStore(home / "hot.db")
    return TieredTables(hot, WarmStore(home / "warm"), DeltaTableStore(home / "cold"), POLICIES)


POLICIES = TierPolicies()


def levels(first: int, count: int, moved_in: float | None = 0.0) -> pl.DataFrame:
    """NAV rows of sessions `first`.. after FIRST; without `moved_in` as they were once written."""
    days = [FIRST + timedelta(days=first + i) for i in range(count)]
    closes = [datetime(d.year, d.month, d.day, 21, tzinfo=UTC) for d in days]
    rows = NAV.conform(
        pl.DataFrame(
            {
                "session": days,
                "event_time": closes,
                "knowledge_time": closes,
                "nav_minor": [10**14 + first + i for i in range(count)],
                "nav": [1e6 + first + i for i in range(count)],
                "moved_in": [moved_in] * count,
            },
            schema_overrides={"moved_in": pl.Float64()},
        )
    )
    return rows.drop("moved_in") if moved_in is None else rows


def stored(rows: TieredTables) -> list[tuple[date, float | None]]:
    found = rows.catalogue().query("nav", revisions=True)
    return NAV.conform(found).sort("session").select("session", "moved_in").rows()


@pytest.mark.parametrize("is_cold", [False, True])
def test_rows_of_before_a_column_was_there_are_known_again(tmp_path: Path, is_cold: bool) -> None:
    """A session decided again, alone and beside sessions that have the column, adds nothing."""
    rows = opened(tmp_path)
    rows.write("nav", levels(0, 3, None))
    if is_cold:
        rows.demote(datetime(2026, 1, 1, tzinfo=UTC))
    before = [(FIRST + timedelta(days=i), None) for i in range(3)]
    rows.write("nav", levels(0, 3))
    assert stored(rows) == before
    rows.write("nav", levels(2, 3))
    after = [(FIRST + timedelta(days=i), 0.0) for i in (3, 4)]
    assert stored(rows) == [*before, *after]
    rows.write("nav", levels(0, 5))
    assert stored(rows) == [*before, *after]


def test_a_row_that_says_something_else_is_added_beside_one_of_before(tmp_path: Path) -> None:
    rows = opened(tmp_path)
    rows.write("nav", levels(0, 2, None))
    changed = levels(0, 2).with_columns(nav=pl.col("nav") + 1)
    rows.write("nav", changed)
    assert [moved for _, moved in stored(rows)].count(0.0) == 2
    rows.write("nav", levels(0, 2, 5.0).with_columns(nav=pl.col("nav") + 1))
    assert [moved for _, moved in stored(rows)].count(5.0) == 2


def test_a_table_names_only_columns_that_it_has() -> None:
    with pytest.raises(ValueError, match=r"columns that t names must be its own, were \['b'\]"):
        TableSchema("t", {"a": pl.Int64()}, key=("a",), required=("a",), added=("b",))
