"""A file lock among the threads and processes of one machine, which a dead holder lets go."""

import fcntl
from pathlib import Path


class Locked:
    """A lock file that is held inside `with`; closing the file, or dying, releases it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Wait until nobody else holds it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def is_free(self) -> bool:
        """Return whether nobody holds it; one that may not be opened counts as held."""
        try:
            with self._path.open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return True
        except (BlockingIOError, PermissionError):
            return False
        return True

    def __exit__(self, *_: object) -> None:
        self._file.close()
