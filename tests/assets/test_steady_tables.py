"""Steady tables: a backtest reads one version of each table, and that one is on record."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from adapters.stores.tables_delta import DeltaTableStore
from assets.experiment_market import data_versions
from assets.session_tables import read_steadily
from assets.steady_tables import SteadyTables
from tests.adapters.stores.test_tables_delta import DAY, KEY, NOON, make_rows
from tests.assets.test_session_market import make_desk


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


class WrittenMeanwhile(DeltaTableStore):
    """A store to which another run adds a row after each read of the feature table."""

    def read(self, table: str, **asked: Any) -> pl.DataFrame:
        rows = super().read(table, **asked)
        if table == "features":
            later = NOON + DAY * (self.version(table) + 1)
            self.append(table, make_rows(2.0, first=later), key=KEY)
        return rows


def test_a_decision_names_the_version_that_it_read_though_another_run_writes(
    tmp_path: Path,
) -> None:
    store = WrittenMeanwhile(tmp_path)
    store.append("features", make_rows(1.0), key=KEY)

    read = read_steadily(make_desk(), store, NOON - DAY, NOON + timedelta(days=90))

    assert store.version("features") > 0
    assert read.versions == {"features": 0}
    assert read.features.equals(DeltaTableStore(tmp_path).read("features", version=0))
