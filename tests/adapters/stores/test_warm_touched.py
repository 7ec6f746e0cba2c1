"""Rows of the warm tier that somebody changes by hand in PostgreSQL: the next question tells."""

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import psycopg
import pytest

from adapters.stores.hot_embedded import EmbeddedHotStore
from adapters.stores.postgres_address import PostgresAddress
from adapters.stores.segments import TierCorruptionError
from adapters.stores.tables_delta import DeltaTableStore
from adapters.stores.tiers import TierPolicy, Tiers
from adapters.stores.warm_postgres import PostgresWarmStore
from tests.adapters.stores.test_tiers import DAY, START, make_fills
from tests.services import PostgresService, postgres_server

COUNT = 70  # days of fills, three months
By = Callable[[str], None]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresService]:
    with postgres_server() as service:
        yield service


@pytest.fixture
def schema(request: pytest.FixtureRequest) -> str:
    return f"touched_{abs(hash(request.node.name)) % 10**9}"


@pytest.fixture
def opened(server: PostgresService, schema: str, tmp_path: Path) -> Callable[[], Tiers]:
    """Open the tiers again and again, as another process would."""

    def open_tiers() -> Tiers:
        warm = PostgresWarmStore(PostgresAddress(server.url), schema=schema)
        cold = DeltaTableStore(tmp_path / "cold")
        return Tiers(EmbeddedHotStore(tmp_path / "hot.db"), warm, cold)

    open_tiers().warm.write("fills", make_fills(0, COUNT))
    return open_tiers


@pytest.fixture
def by_hand(server: PostgresService, schema: str) -> By:
    def run(statement: str) -> None:
        with psycopg.connect(server.url, autocommit=True) as hand:
            hand.execute(f"SET search_path TO {schema}")
            hand.execute(statement)

    return run


def ask(tiers: Tiers) -> pl.DataFrame:
    """Ask for a third of the rows, which most changes are not of."""
    return tiers.catalogue().scan("fills", instrument="US.2").sort("fill_id").collect()


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE fills SET price = 1 WHERE fill_id = 'F5'",
        "UPDATE fills__2024_01 SET price = 1 WHERE fill_id = 'F5'",
        "UPDATE fills SET instrument_id = 'US.1' WHERE fill_id = 'F5'",
        "DELETE FROM fills WHERE fill_id = 'F4'",
        "INSERT INTO fills SELECT * FROM fills WHERE fill_id = 'F4'",
        "TRUNCATE fills__2024_02",
        "UPDATE segments SET last = first WHERE month = '2024-01-01'",
        "UPDATE segments SET row_count = 3 WHERE month = '2024-01-01'",
        "DELETE FROM segments WHERE month = '2024-01-01'",
        "DELETE FROM segments",
    ],
)
def test_a_change_by_hand_is_told_by_the_next_question(
    opened: Callable[[], Tiers], by_hand: By, harm: str
) -> None:
    tiers = opened()
    right = ask(tiers)
    assert right.height == 23

    by_hand(harm)

    for asked in (tiers, opened()):
        with pytest.raises(TierCorruptionError, match="somebody changed fills") as told:
            ask(asked)
        assert "\n" not in str(told.value)
    if not harm.startswith("DELETE FROM segments"):
        assert [d.table for d in opened().damages()] == ["fills"]


def test_what_was_put_right_is_compared_once_and_answers(
    opened: Callable[[], Tiers], by_hand: By, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = ask(opened())
    by_hand("UPDATE fills SET price = price + 1")
    by_hand("UPDATE segments SET row_count = row_count + 1")
    with pytest.raises(TierCorruptionError, match="somebody changed fills"):
        ask(opened())
    by_hand("UPDATE fills SET price = price - 1")
    by_hand("UPDATE segments SET row_count = row_count - 1")

    assert ask(opened()).equals(right)

    monkeypatch.setattr(PostgresWarmStore, "read_segment", None)  # what was proven stays so
    assert ask(opened()).equals(right)


def test_our_own_moves_are_no_touch(opened: Callable[[], Tiers], server: PostgresService) -> None:
    tiers = opened()
    tiers.hot.write("fills", make_fills(COUNT, 30))
    tiers.demote(START + 120 * DAY, TierPolicy(hot_age=DAY, warm_age=50 * DAY))
    tiers.restore("fills", start=START, end=START + 9 * DAY, until=START + 900 * DAY)

    with psycopg.connect(server.url) as hand:
        schema = tiers.warm._schema  # type: ignore[attr-defined]  # that of this test
        assert hand.execute(f"SELECT count(*) FROM {schema}.touched").fetchone() == (0,)
    assert ask(tiers).height == 33


def test_a_month_that_was_dropped_by_hand_is_told(opened: Callable[[], Tiers], by_hand: By) -> None:
    """No trigger fires for a table that goes; the rows that are missing tell."""
    tiers = opened()
    by_hand("DROP TABLE fills__2024_02")

    with pytest.raises(TierCorruptionError, match="must have 70 rows in PostgreSQL, has 41"):
        tiers.catalogue().scan("fills").collect()


def test_tables_from_before_there_were_triggers_get_them(
    opened: Callable[[], Tiers], by_hand: By
) -> None:
    for name in ("fills", "fills__2024_01", "segments"):
        by_hand(f"DROP TRIGGER apiary_touched ON {name}")
    by_hand("DROP TABLE touched")
    by_hand("DROP FUNCTION note_touch CASCADE")
    assert ask(opened()).height == 23

    by_hand("UPDATE fills SET price = 1 WHERE fill_id = 'F5'")

    with pytest.raises(TierCorruptionError, match="somebody changed fills"):
        ask(opened())


def test_a_table_without_the_column_that_it_is_asked_by_says_so(
    opened: Callable[[], Tiers],
) -> None:
    tiers = opened()
    tiers.warm.write("notes", pl.DataFrame({"event_time": [START], "note": ["one"]}))

    with pytest.raises(ValueError, match=r"asked by \['instrument_id'\] must have them"):
        tiers.catalogue().scan("notes", instrument="US.1")
