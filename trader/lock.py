"""One process trades a book: a file lock that the operating system drops when its holder dies."""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import IO

# Whoever only looks holds the file for a moment: that is no reason not to start.
_TRIES, _LOOK_S = 5, 0.02
_NAMELESS = "a process that has not said its name"


class BookLockedError(BlockingIOError):
    """Another process trades this book."""


class BookLock:
    """Held from `with` to its end; `holder` is what others read who come too late.

    The lock belongs to the open file: a killed process leaves none behind, whatever the file says.
    """

    def __init__(self, path: Path, holder: str) -> None:
        self.path, self.holder = path, holder
        self._file: IO[str] | None = None

    def __enter__(self) -> "BookLock":
        """Take the lock at once; raises BookLockedError where another holds it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a+")
        for tries_left in reversed(range(_TRIES)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if tries_left:
                    time.sleep(_LOOK_S)
                    continue
                file.seek(0)
                other = file.read().strip() or _NAMELESS
                file.close()
                raise BookLockedError(
                    f"a book must be traded by one process at a time, is by {other} ({self.path})"
                ) from None
        file.truncate(0)
        file.write(f"{self.holder}, process {os.getpid()}")
        file.flush()
        self._file = file
        return self

    def find_holder(self) -> str | None:
        """Return who trades the book, None where nobody does; whoever looks takes nothing."""
        try:
            file = self.path.open()
        except FileNotFoundError:
            return None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or _NAMELESS
            return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None
