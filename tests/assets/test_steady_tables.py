"""Steady tables: a backtest reads one version of each table, and that one is on record."""

from pathlib import Path

from adapters.stores.tables_delta import DeltaTableStore
from assets.experiment_market import data_versions
from assets.steady_tables import SteadyTables
from tests.adapters.stores.test_tables_delta import DAY, KEY, NOON, make_rows


def make_store(tmp_path: Path) -> DeltaTableStore:
    store = DeltaTableStore(tmp_path)
    for table in ("features", "clean_bars"):
        store.append(table, make_rows(1.0), key=KEY)
    return store


def test_a_write_between_two_reads_is_not_seen(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    steady = SteadyTables(store)
    before = steady.read("features")
    store.append("features", make_rows(2.0, first=NOON + DAY), key=KEY)

    assert steady.read("features").equals(before)
    assert SteadyTables(store).read("features").height == 2


def test_what_is_on_record_is_what_was_read(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    steady = SteadyTables(store)
    steady.read("clean_bars")
    for table in ("features", "clean_bars"):
        store.append(table, make_rows(2.0, first=NOON + DAY), key=KEY)

    assert data_versions(steady) == "features@1,clean_bars@0"
    assert steady.versions == {"clean_bars": 0, "features": 1}
    for table, version in steady.versions.items():
        assert store.read(table, version=version).equals(steady.read(table))


def test_a_version_that_is_asked_for_is_given(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    store.append("features", make_rows(2.0, first=NOON + DAY), key=KEY)

    assert SteadyTables(store).read("features", version=0).height == 1
