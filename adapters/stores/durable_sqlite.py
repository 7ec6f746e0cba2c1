"""A small SQLite file that several processes share, opened for one act at a time."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def opened_database(
    path: Path, what: str, failure: type[OSError] = OSError
) -> Iterator[sqlite3.Connection]:
    """Open the file with a write-ahead log and full sync: what is committed survives power loss.

    Raises `failure` where it cannot be opened or written, in one line that says `what` it is.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as database:
            database.execute("pragma journal_mode=wal")
            database.execute("pragma synchronous=full")
            yield database
    except sqlite3.Error as error:
        raise failure(f"{what} {path} must be writable: {error}") from error
