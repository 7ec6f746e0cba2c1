"""A line to a process of its own, which knows nothing but what is sent over it."""

import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
# A process that starts so runs no file of whoever started this one.
_PROGRAM = """
import sys
handle, target, *sys.path[:] = sys.argv[1:]
from importlib import import_module
from multiprocessing.connection import Connection
module, _, name = target.partition(":")
with Connection(int(handle)) as link:
    getattr(import_module(module), name)(link)
"""


class ProcessLine:
    """Starts a process that calls the function `target` ("module:name") with its end of the line.

    The process may end when its end tells EOFError. What it prints goes to this one's stderr.
    """

    def __init__(self, target: str) -> None:
        self._link, other = Pipe()
        with other:
            handle = other.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(handle), target, str(_ROOT), *sys.path],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno() if _has_file(sys.stderr) else subprocess.DEVNULL,
                pass_fds=(handle,),
            )

    def send(self, value: Any) -> None:
        """Send what can be pickled; OSError where nobody is there any more."""
        self._link.send(value)

    def recv(self) -> Any:
        """Wait for what the process sends; EOFError where it has ended."""
        return self._link.recv()

    def close(self) -> int:
        """Hang up, and return the code that the process ended with; killed where it stays."""
        self._link.close()
        try:
            return self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _has_file(stream: Any) -> bool:
    try:
        return stream.fileno() >= 0
    except (AttributeError, OSError, ValueError):  # of a notebook, of a captured test
        return False
