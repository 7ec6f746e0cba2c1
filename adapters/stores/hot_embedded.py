"""The embedded hot tier, and what every hot tier promises; it imports no client of any server."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol


class HotStoreUnavailableError(OSError):
    """The hot store did not answer in time or refused; nothing may be assumed of the write."""


class HotStore(Protocol):
    """What the rest of the stores needs of a hot tier."""

    def put(self, space: str, values: Mapping[str, bytes]) -> None:
        """Set these keys, all or none; other keys of the space stay."""
        ...

    def swap(self, space: str, values: Mapping[str, bytes]) -> None:
        """Make these keys the whole content of the space, all or none."""
        ...

    def exchange(self, space: str, key: str, expected: bytes | None, value: bytes) -> bool:
        """Set the key only if it holds `expected` (None: is absent); return whether it was set."""
        ...

    def find(self, space: str, key: str) -> bytes | None: ...

    def read(self, space: str) -> dict[str, bytes]:
        """Return every key of the space, sorted by key; empty where there is none."""
        ...

    def stamp(self, space: str) -> object | None:
        """Return what differs whenever a space does; None where to ask is as dear as to read."""
        ...

    def remove(self, space: str, keys: Iterable[str]) -> int:
        """Remove these keys and return how many were there."""
        ...

    def spaces(self) -> tuple[str, ...]:
        """Return the names of the spaces that hold something, sorted."""
        ...

    def close(self) -> None: ...


_SCHEMA = """
CREATE TABLE IF NOT EXISTS cells (
    space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (space, key))
"""
_UPSERT = "INSERT INTO cells VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"


class EmbeddedHotStore:
    """The hot tier in process: SQLite with a write-ahead log and full sync; needs no server.

    Safe among threads and processes. A writer waits up to `busy_timeout_s` for another. What was
    found is kept in memory, up to `cache_bytes_max`, for as long as no other connection, of this
    process or another, has committed: SQLite counts those commits in shared memory, and every
    read asks it first. So a read is never older than the last commit before it.
    """

    def __init__(
        self, path: Path, *, busy_timeout_s: float = 5.0, cache_bytes_max: int = 64_000_000
    ) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._cache = _Cache(cache_bytes_max)
        self._own_commits = 0
        self._connection = sqlite3.connect(
            path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        with self._answering():
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")  # survives a loss of power
            self._connection.execute(_SCHEMA)

    def put(self, space: str, values: Mapping[str, bytes]) -> None:
        with self._transaction() as connection:
            connection.executemany(_UPSERT, [(space, k, v) for k, v in values.items()])

    def swap(self, space: str, values: Mapping[str, bytes]) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM cells WHERE space = ?", (space,))
            connection.executemany(_UPSERT, [(space, k, v) for k, v in values.items()])

    def exchange(self, space: str, key: str, expected: bytes | None, value: bytes) -> bool:
        with self._transaction() as connection:
            if self.find(space, key) != expected:
                return False
            connection.execute(_UPSERT, (space, key, value))
            return True

    def find(self, space: str, key: str) -> bytes | None:
        with self._answering() as connection:
            (commits,) = connection.execute("PRAGMA data_version").fetchone()
            known = self._cache.find(commits, space, key)
            if known is not None:
                return known
            query = "SELECT value FROM cells WHERE space = ? AND key = ?"
            row = connection.execute(query, (space, key)).fetchone()
            found = None if row is None else bytes(row[0])
            if found is not None and not connection.in_transaction:
                self._cache.keep(space, key, found)
            return found

    def read(self, space: str) -> dict[str, bytes]:
        query = "SELECT key, value FROM cells WHERE space = ? ORDER BY key"
        with self._answering() as connection:
            return {str(k): bytes(v) for k, v in connection.execute(query, (space,))}

    def stamp(self, space: str) -> object | None:
        with self._answering() as connection:
            (commits,) = connection.execute("PRAGMA data_version").fetchone()
            return commits, self._own_commits

    def remove(self, space: str, keys: Iterable[str]) -> int:
        query = "DELETE FROM cells WHERE space = ? AND key = ?"
        with self._transaction() as connection:
            return sum(connection.execute(query, (space, k)).rowcount for k in keys)

    def spaces(self) -> tuple[str, ...]:
        with self._answering() as connection:
            rows = connection.execute("SELECT DISTINCT space FROM cells ORDER BY space").fetchall()
        return tuple(str(r[0]) for r in rows)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _answering(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise HotStoreUnavailableError(f"the embedded hot store failed: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._answering() as connection:
            self._cache.clear()  # SQLite does not count our own commits
            self._own_commits += 1
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")


class _Cache:
    """Values found, as of a count of the commits of others."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._commits = -1
        self._bytes = 0
        self._values: dict[tuple[str, str], bytes] = {}

    def find(self, commits: int, space: str, key: str) -> bytes | None:
        if commits != self._commits:
            self.clear()
            self._commits = commits
        return self._values.get((space, key))

    def keep(self, space: str, key: str, value: bytes) -> None:
        if self._bytes + len(value) <= self._bytes_max:
            self._bytes += len(value)
            self._values[space, key] = value

    def clear(self) -> None:
        self._values.clear()
        self._bytes = 0
