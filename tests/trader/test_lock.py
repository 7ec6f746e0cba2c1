"""The lock: one process trades a book, and a dead one holds nothing."""

import fcntl
import subprocess
import sys
import threading
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


def test_whoever_asks_for_the_holder_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "book.lock"
    lock = BookLock(path, "the trader")
    assert lock.find_holder() is None
    assert not path.exists()
    with lock:
        holder = BookLock(path, "").find_holder()
        assert holder is not None
        assert holder.startswith("the trader, process ")
    assert lock.find_holder() is None


def test_a_look_at_the_lock_keeps_nobody_from_starting(tmp_path: Path) -> None:
    """A sensor looks every half minute, and a trader that started just then was refused."""
    path = tmp_path / "book.lock"
    path.touch()
    with path.open() as looked:
        fcntl.flock(looked, fcntl.LOCK_SH)
        threading.Timer(0.03, lambda: fcntl.flock(looked, fcntl.LOCK_UN)).start()
        with BookLock(path, "the trader"):
            pass
