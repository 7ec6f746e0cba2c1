"""A home keeps what the files of a folder held, but not in plain beside sealed tables."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from adapters.sources import files
from assets.partitions import ALL_TIME
from pipelines.resources import Workshop
from pipelines.settings import read_settings, settings_for_files
from tests.adapters.sources.test_many_files import NAMES, write_folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = write_folder(tmp_path / "in", NAMES[:8])
    settings_for_files(folder, None, tmp_path / "home", base=None)
    return tmp_path / "home" / "apiary.yaml"


def bars(config: Path) -> pl.DataFrame:
    """What a new process reads of the folder."""
    source: Any = Workshop(read_settings(config)).source()
    return source.fetch("bars", *ALL_TIME)


def test_the_next_run_reads_only_the_changed_file(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bars(config)
    read: list[str] = []
    opened = files.contents
    monkeypatch.setattr(
        files, "contents", lambda path, whole: read.append(path.name) or opened(path, whole)
    )
    assert bars(config).equals(first)
    assert read == []
    changed = tmp_path / "in" / f"{NAMES[2]}.csv"
    changed.write_text(changed.read_text() + "2020-01-13,77,77,1\n")
    assert bars(config).height == first.height
    assert set(read) == {changed.name}


def test_under_encryption_nothing_of_the_files_is_kept(config: Path, tmp_path: Path) -> None:
    bars(config)
    assert (tmp_path / "home" / "cache" / "files").exists()
    given = yaml.safe_load(config.read_text())
    given["encryption"] = {"owner": "fund", "keys": str(tmp_path / "keys.json")}
    config.write_text(yaml.safe_dump(given))
    assert bars(config).height > 0
    assert not (tmp_path / "home" / "cache" / "files").exists()
