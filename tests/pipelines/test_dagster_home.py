"""Dagster's home on a fresh machine, where the first commands may come at once."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from shutil import copy
from threading import Barrier

import pytest

from pipelines.dagster_home import open_instance
from pipelines.settings import ROOT


def test_four_that_open_a_new_home_at_once_all_find_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(ROOT / "dagster_home" / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))  # the shipped settings name it
    together = Barrier(4)

    def count_runs(_: int) -> int:
        together.wait()
        with open_instance(tmp_path) as instance:
            return instance.get_runs_count()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(count_runs, range(4))) == [0, 0, 0, 0]


def test_a_home_of_two_schema_versions_is_told_in_one_line_with_its_cure(tmp_path: Path) -> None:
    """Two processes that made a home at once left such ones behind, before they took turns."""
    with open_instance(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "history" / "runs.db")) as runs, runs:
        runs.execute("insert into alembic_version values ('5771160a95ad')")
    with (
        pytest.raises(OSError, match=r"one schema version: .* remove its folders history"),
        open_instance(tmp_path),
    ):
        pass
