"""Killed at every write there is, a session ends as if it had lived."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("how", ["filled", "halted", "bracketed", "flattened", "sliced"])
def test_a_session_killed_at_each_of_its_writes_ends_the_same(tmp_path: Path, how: str) -> None:
    """In a process of its own: forking beside the threads of a test is not safe."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.trader.killed_everywhere", str(tmp_path / how), how],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 35
