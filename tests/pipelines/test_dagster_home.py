"""Dagster's home on a fresh machine, where the first commands may come at once."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from shutil import copy
from threading import Barrier

import pytest

from pipelines.dagster_home import open_instance
from pipelines.settings import ROOT, embedded_dagster_home


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


def test_a_home_that_is_chosen_watches_over_its_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of DAGSTER_HOME without settings took those of Dagster, and killed runs stayed."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "own"))
    with open_instance(embedded_dagster_home()) as instance:
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert not instance.telemetry_enabled


def test_settings_that_a_home_has_are_left_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: true}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    assert embedded_dagster_home() == tmp_path
    assert (tmp_path / "dagster.yaml").read_text() == "telemetry: {enabled: true}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["dagster.yaml"]
