"""A process at the other end of a line answers, and ends with whoever asked."""

import os
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from adapters.workers.line import ProcessLine

ROOT = Path(__file__).parents[2]


def echo(link: Connection) -> None:
    """Send back what comes until the other end is closed."""
    while True:
        try:
            link.send(link.recv())
        except EOFError:
            return


def busy(link: Connection) -> None:
    """Tell the process, and work on for longer than a test takes."""
    link.send(os.getpid())
    time.sleep(600)


def test_what_is_sent_is_answered_and_hanging_up_ends_the_process() -> None:
    line = ProcessLine(f"{__name__}:echo")
    for value in (1, {"a": [2.5]}):
        line.send(value)
        assert line.recv() == value
    assert line.close() == 0


def test_a_process_that_has_ended_is_told() -> None:
    line = ProcessLine("os:no_such_function")
    with pytest.raises((EOFError, OSError)):
        line.recv()
    assert line.close() == 1


def test_a_process_ends_with_a_parent_that_is_killed() -> None:
    program = (
        "from adapters.workers.line import ProcessLine\n"
        f"line = ProcessLine('{__name__}:busy')\n"
        "print(line.recv(), flush=True)\n"
        "line.recv()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 20
    while _lives(pid):
        assert time.monotonic() < until, "the process must end with its parent"
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")
