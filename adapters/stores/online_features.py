"""Online features, embedded or in Redis: packed blocks, one a view, read whole and at once."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from time import sleep
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from adapters.stores.online_block import FeatureBlock, decode, newest

_UTC_US = pl.Datetime("us", "UTC")
_NO_TIME = np.iinfo(np.int64).min
_PREPARE_ATTEMPTS, _PREPARE_WAIT_S = 100, 0.02
_BUSY_TIMEOUT_S = 5.0
_WRITE_ATTEMPTS = 20
_ASSEMBLED_MAX = 32  # selections of features kept ready; a desk has a handful


class OnlineStoreUnavailableError(OSError):
    """The server of the online rows did not answer in time or refused."""


@dataclass(frozen=True, slots=True)
class OnlineRows:
    """What is known online of the keys asked for, in the order asked.

    `values` is [keys, features] in the order of `feature_names`, NaN where not known. `event_us`
    is the oldest and `known_us` the newest among the views, microseconds UTC; where a view has no
    row of the key, both are the least int64.
    """

    keys: tuple[str, ...]
    feature_names: tuple[str, ...]
    event_us: NDArray[np.int64]
    known_us: NDArray[np.int64]
    values: NDArray[np.float64]

    def frame(self, key: str = "instrument_id") -> pl.DataFrame:
        """Return key, event_time, knowledge_time and the features; null where not known."""
        count = len(self.keys)
        # All values become one series, cut into columns without a copy: a tenth of the time that
        # an expression for each column takes.
        flat = pl.Series("values", self.values.ravel(order="F"), nan_to_null=True)
        return pl.DataFrame(
            [
                pl.Series(key, self.keys, dtype=pl.String),
                _times("event_time", self.event_us),
                _times("knowledge_time", self.known_us),
                *(flat.slice(i * count, count).alias(n) for i, n in enumerate(self.feature_names)),
            ]
        )


def _times(name: str, microseconds: NDArray[np.int64]) -> pl.Series:
    """Return the instants as a series; the least int64, which numpy calls NaT, becomes null."""
    return pl.Series(name, microseconds.view("M8[us]")).cast(_UTC_US)


@dataclass(frozen=True, slots=True)
class _Assembled:
    """Several views side by side, with one row more than keys: that of a key nobody knows."""

    blocks: tuple[FeatureBlock | None, ...]
    positions: Mapping[str, int]
    feature_names: tuple[str, ...]
    event_us: NDArray[np.int64]
    known_us: NDArray[np.int64]
    values: NDArray[np.float64]


class OnlineFeatures(ABC):
    """The reading side that both stores share; they differ in where the blocks lie."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._assembled: dict[tuple[tuple[str, tuple[str, ...]], ...], _Assembled] = {}

    @abstractmethod
    def blocks(self, views: Sequence[str]) -> list[FeatureBlock | None]:
        """Return the views' blocks as they stand, None for a view that was never written.

        A block that did not change is the same object as before. All come from one moment.
        Raises CorruptBlockError where one cannot be trusted.
        """

    @abstractmethod
    def write(self, blocks: Mapping[str, FeatureBlock]) -> int:
        """Take the rows that are not older than what is there, all views or none.

        Returns how many keys are in what was given. Durable when it returns; in Redis, as far
        as the server is.
        """

    @abstractmethod
    def delete(self, views: Sequence[str]) -> None:
        """Forget the views."""

    @abstractmethod
    def close(self) -> None:
        """Give back file handles and connections."""

    def read(self, keys: Sequence[str], views: Mapping[str, Sequence[str]]) -> OnlineRows:
        """Return the newest values of the features asked for, by view, of each key."""
        asked = tuple((view, tuple(names)) for view, names in views.items())
        with self._lock:
            blocks = tuple(self.blocks(tuple(views)))
            whole = self._assembled.get(asked)
            if whole is None or any(a is not b for a, b in zip(whole.blocks, blocks, strict=True)):
                if len(self._assembled) >= _ASSEMBLED_MAX:
                    self._assembled.clear()
                whole = self._assembled[asked] = _assemble(blocks, [n for _, n in asked])
        find, unknown = whole.positions.get, len(whole.positions)
        rows = np.array([find(key, unknown) for key in keys], dtype=np.intp)
        return OnlineRows(
            tuple(keys),
            whole.feature_names,
            whole.event_us[rows],
            whole.known_us[rows],
            whole.values[rows],
        )


def _assemble(
    blocks: tuple[FeatureBlock | None, ...], names: Sequence[tuple[str, ...]]
) -> _Assembled:
    keys = dict.fromkeys(key for block in blocks if block for key in block.keys)
    positions = {key: row for row, key in enumerate(keys)}
    count = len(positions)
    values = np.full((count + 1, sum(map(len, names))), np.nan)
    event = np.full((len(blocks), count + 1), _NO_TIME, dtype=np.int64)
    known = event.copy()
    at = 0
    for view, (block, wanted) in enumerate(zip(blocks, names, strict=True)):
        if block is not None:
            rows = np.array([positions[k] for k in block.keys], dtype=np.intp)
            event[view, rows], known[view, rows] = block.event_us, block.known_us
            for column, name in enumerate(wanted):
                if name in block.feature_names:
                    values[rows, at + column] = block.values[:, block.feature_names.index(name)]
        at += len(wanted)
    oldest = event.min(axis=0) if len(blocks) else np.full(count + 1, _NO_TIME)
    latest = known.max(axis=0) if len(blocks) else oldest
    latest = np.where(oldest == _NO_TIME, _NO_TIME, latest)
    flat = tuple(name for wanted in names for name in wanted)
    return _Assembled(blocks, positions, flat, oldest, latest, values)


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the file ready; SQLite does not wait for another opener that is doing the same."""
    for attempt in range(_PREPARE_ATTEMPTS):
        try:
            connection.executescript(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS "
                "blocks (view TEXT PRIMARY KEY, block BLOB NOT NULL) WITHOUT ROWID;"
            )
        except sqlite3.OperationalError:
            if attempt == _PREPARE_ATTEMPTS - 1:
                raise
            sleep(_PREPARE_WAIT_S)
        else:
            return


class EmbeddedOnlineFeatures(OnlineFeatures):
    """Blocks in one SQLite file: in process, durable at once, safe between processes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = Path(path)
        self._connection: sqlite3.Connection | None = None
        self._known_version = -1
        self._cache: dict[str, FeatureBlock | None] = {}

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT_S
            )
            _prepare(self._connection)
        return self._connection

    def blocks(self, views: Sequence[str]) -> list[FeatureBlock | None]:
        with self._lock:
            connection = self._open()
            # Changes when another connection has committed: then what is cached may be old.
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            if version != self._known_version:
                self._cache.clear()
                self._known_version = version
            if any(view not in self._cache for view in views):
                # All in one statement: a commit since the line above must not mix two pushes.
                self._cache.update(self._load(connection, views))
            return [self._cache[view] for view in views]

    def _load(
        self, connection: sqlite3.Connection, views: Sequence[str]
    ) -> dict[str, FeatureBlock | None]:
        marks = ",".join("?" * len(views))
        found = connection.execute(
            f"SELECT view, block FROM blocks WHERE view IN ({marks})", list(views)
        )
        contents: dict[str, bytes] = dict(found.fetchall())
        return {view: decode(contents[view]) if view in contents else None for view in views}

    def write(self, blocks: Mapping[str, FeatureBlock]) -> int:
        with self._lock:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                there = self._load(connection, list(blocks))
                rows = [(v, _merged(there[v], b).encode()) for v, b in blocks.items()]
                connection.executemany("INSERT OR REPLACE INTO blocks VALUES (?, ?)", rows)
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            self._cache.clear()
        return _key_count(blocks)

    def delete(self, views: Sequence[str]) -> None:
        with self._lock:
            self._open().executemany("DELETE FROM blocks WHERE view = ?", [(v,) for v in views])
            self._cache.clear()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self._known_version = -1
            self._cache.clear()


class RedisOnlineFeatures(OnlineFeatures):
    """Blocks in Redis, one key a view, all read by one MGET; shared between machines.

    Every wait is bounded: `timeout_s` to connect and for each answer, and once again. Raises
    OnlineStoreUnavailableError where the server does not answer.
    """

    def __init__(
        self,
        url: str,
        *,
        project: str = "apiary",
        prefix: Callable[[], str] | None = None,
        timeout_s: float = 1.0,
    ) -> None:
        """`prefix` begins every key; f"{project}:online:" where it is left out."""
        super().__init__()
        if not 0.0 < timeout_s <= 60.0:
            raise ValueError(f"timeout_s must be in (0, 60], was {timeout_s}")
        self._url = url
        self._find_prefix = prefix or (lambda: f"{project}:online:")
        self._timeout_s = timeout_s
        self._client: Any = None
        self._cache: dict[str, tuple[bytes, FeatureBlock]] = {}

    @property
    def _prefix(self) -> str:
        import redis

        try:
            return self._find_prefix()
        except (redis.RedisError, OSError) as error:
            raise OnlineStoreUnavailableError(f"Redis failed: {error}") from error

    @contextmanager
    def _answering(self) -> Iterator[Any]:
        import redis

        from adapters.stores.redis_client import open_redis

        if self._client is None:
            self._client = open_redis(self._url, timeout_s=self._timeout_s)
        try:
            yield self._client
        except redis.RedisError as error:
            raise OnlineStoreUnavailableError(f"Redis failed: {error}") from error

    def blocks(self, views: Sequence[str]) -> list[FeatureBlock | None]:
        with self._lock, self._answering() as client:
            contents: Any = client.mget([self._prefix + v for v in views]) if views else []
            return [self._decoded(v, c) for v, c in zip(views, contents, strict=True)]

    def _decoded(self, view: str, content: bytes | None) -> FeatureBlock | None:
        if content is None:
            return None
        cached = self._cache.get(view)
        if cached is None or cached[0] != content:
            cached = self._cache[view] = (content, decode(content))
        return cached[1]

    def write(self, blocks: Mapping[str, FeatureBlock]) -> int:
        keys = [self._prefix + view for view in blocks]

        def merge(pipe: Any) -> None:
            there = [decode(c) if c is not None else None for c in pipe.mget(keys)]
            pipe.multi()
            for key, old, new in zip(keys, there, blocks.values(), strict=True):
                pipe.set(key, _merged(old, new).encode())

        if blocks:
            self._transaction(merge, keys)
        return _key_count(blocks)

    def _transaction(self, body: Callable[[Any], None], keys: Sequence[str]) -> None:
        """Run read-merge-write again, a bounded number of times, when another came between."""
        from redis import WatchError

        for _ in range(_WRITE_ATTEMPTS):
            with self._answering() as client, client.pipeline() as pipe:
                pipe.watch(*keys)
                body(pipe)
                try:
                    pipe.execute()
                except WatchError:
                    continue
                return
        raise TimeoutError(f"{_WRITE_ATTEMPTS} writers in a row came first at {self._prefix}*")

    def delete(self, views: Sequence[str]) -> None:
        if views:
            with self._answering() as client:
                client.delete(*(self._prefix + view for view in views))

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self._cache.clear()


def _merged(there: FeatureBlock | None, given: FeatureBlock) -> FeatureBlock:
    return newest([given] if there is None else [there, given])


def _key_count(blocks: Mapping[str, FeatureBlock]) -> int:
    return len({key for block in blocks.values() for key in block.keys})
