"""A line to a process of its own, which knows nothing but what is sent over it."""

import os
import subprocess
import sys
import threading
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
# A process that starts so runs no file of whoever started this one.
_PROGRAM = """
import sys
handle, life, target, *sys.path[:] = sys.argv[1:]
from adapters.workers.line import answer
answer(int(handle), int(life), target)
"""
EXIT_CODE_ORPHANED = 1


def answer(handle: int, life: int, target: str) -> None:
    """Call `target` with the line's end `handle`; end where nobody holds the other end of `life`.

    What asked may be killed, and tells nothing then: nobody reads what is still worked on.
    """
    held = Connection(life, writable=False)
    threading.Thread(target=_end_with, args=(held,), name="watch-parent", daemon=True).start()
    module, _, name = target.partition(":")
    with Connection(handle) as link:
        getattr(import_module(module), name)(link)


def _end_with(held: "Connection[Any, Any]") -> None:
    wait([held])  # nothing is ever sent
    os._exit(EXIT_CODE_ORPHANED)


class ProcessLine:
    """Starts a process that calls the function `target` ("module:name") with its end of the line.

    The process may end when its end tells EOFError. What it prints goes to this one's stderr.
    """

    def __init__(self, target: str) -> None:
        self._link, other = Pipe()
        life, self._held = Pipe(duplex=False)
        with other, life:
            handles = other.fileno(), life.fileno()
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-c", _PROGRAM, *map(str, handles), target),
                    *(str(_ROOT), *sys.path),
                ],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno() if _has_file(sys.stderr) else subprocess.DEVNULL,
                pass_fds=handles,
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
        finally:
            self._held.close()


def _has_file(stream: Any) -> bool:
    try:
        return stream.fileno() >= 0
    except (AttributeError, OSError, ValueError):  # of a notebook, of a captured test
        return False
