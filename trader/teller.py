"""Prints lines beside the trading: a terminal that stands still holds nothing up."""

import threading
from collections import deque
from collections.abc import Callable

_KEPT_MAX = 10_000


class Teller:
    """Takes lines at once and prints them from a thread of its own, in their order.

    Where the reader is slower than what is told, lines beyond `kept_max` are left out, and how
    many is said in their place. A reader that has gone away ends the printing and nothing else.
    """

    def __init__(self, write: Callable[[str], object], kept_max: int = _KEPT_MAX) -> None:
        self._write, self._kept_max = write, kept_max
        self._lines: deque[str] = deque()
        self._left_out = 0
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._print, name="teller", daemon=True)
        self._thread.start()

    def tell(self, line: str) -> None:
        """Take a line; never waits for the printing."""
        with self._changed:
            if self._ended:
                return
            if len(self._lines) >= self._kept_max:
                self._left_out += 1
                return
            if self._left_out:
                self._lines.append(f"({self._left_out} lines were left out: too slow a reader)")
                self._left_out = 0
            self._lines.append(line)
            self._changed.notify()

    def close(self, patience_s: float = 5.0) -> None:
        """Print what is left, for so long at most."""
        with self._changed:
            if self._left_out:
                self._lines.append(f"({self._left_out} lines were left out: too slow a reader)")
            self._ended = True
            self._changed.notify()
        self._thread.join(patience_s)

    def _print(self) -> None:
        while True:
            with self._changed:
                while not self._lines and not self._ended:
                    self._changed.wait()
                if not self._lines:
                    return
                line = self._lines.popleft()
            try:
                self._write(line)
            except (OSError, ValueError):  # the pipe is closed, or its file is
                with self._changed:
                    self._ended = True
                    self._lines.clear()
                return
