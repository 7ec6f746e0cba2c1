"""The lock: one process trades a book, and a dead one holds nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from trader.lock import BookLock, BookLockedError

HOLD = """
import sys
from pathlib import Path
from trader.lock import BookLock
with BookLock(Path(sys.argv[1]), "the trader"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    """Whoever comes second gets one line with the holder's name."""
    path = tmp_path / "book.lock"
    with (
        BookLock(path, "the trader"),
        pytest.raises(BookLockedError, match="is by the trader, process"),
        BookLock(path, "the decision job"),
    ):
        pass


def test_a_lock_that_was_given_back_can_be_taken(tmp_path: Path) -> None:
    """The end of the block frees the book."""
    path = tmp_path / "book.lock"
    with BookLock(path, "the trader"):
        pass
    with BookLock(path, "the decision job"):
        assert "the decision job" in path.read_text()


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    """After kill -9 the book is free, though the file still names the dead."""
    path = tmp_path / "book.lock"
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(BookLockedError), BookLock(path, "the decision job"):
        pass

    child.kill()
    child.wait()

    with BookLock(path, "the decision job"):
        pass
