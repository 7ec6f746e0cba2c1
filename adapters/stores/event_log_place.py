"""Whether the files of a log still lie where they were opened."""

import os
from pathlib import Path


class Place:
    """The files at `path`, to be made when they are open.

    A file that is deleted or moved away while it is open takes every write, and nobody will ever
    find what it took: such a log has acknowledged nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()  # a process may go to another folder
        self._names = (str(self._path), f"{self._path}-wal")
        self._opened = self._find()

    def _find(self) -> list[tuple[int, int]]:
        # Each append asks: a Path would cost as much again.
        return [(s.st_dev, s.st_ino) for s in map(os.stat, self._names)]

    def check(self) -> None:
        """Raise OSError where one of them is gone, or another lies in its place."""
        try:
            stand = self._find() == self._opened
        except FileNotFoundError:
            stand = False
        if not stand:
            raise OSError(
                f"the event log {self._path} must stay where it was opened with its -wal, was "
                "deleted or replaced: put it back from a backup before anything is traded"
            )
