"""A worker that crashes costs its test, and never the end of the run."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = """
import pytest

from tests.spreading import Spreading


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Spreading(config, log)
"""
CRASH = """
import os
import pathlib


def test_first():
    once = pathlib.Path(__file__).with_suffix(".once")
    if {crashes} and not once.exists():
        once.touch()
        os._exit(3)


def test_second():
    pass
"""


@pytest.mark.parametrize("place", [0, 2])
def test_the_worker_in_the_place_of_one_that_crashed_runs_to_the_end(
    place: int, tmp_path: Path
) -> None:
    """It waited for ever for what follows its last test, in the last files as in the first."""
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "spreading.py").write_text((ROOT / "tests/spreading.py").read_text())
    (folder / "conftest.py").write_text(CONFTEST)
    for number in range(3):
        (folder / f"test_{number}.py").write_text(CRASH.format(crashes=number == place))
    command = [sys.executable, "-m", "pytest", "-n", "1", "-q", "--rootdir", str(tmp_path), "tests"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert "1 failed, 6 passed" in ran.stdout, ran.stdout + ran.stderr
