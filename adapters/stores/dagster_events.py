"""Dagster's embedded event storage with its connections kept open.

Dagster's own opens, syncs and closes an SQLite connection for every event, which is much of what a
partition costs. Here a connection per file stays open, and a commit is written ahead without a sync
of its own: after a loss of power the newest run events may be missing, never torn. The record of
what was traded is the platform's event log, which syncs every append.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dagster._config import StringSource
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.pool import QueuePool

_OPEN_FILES_MAX = 16
_BUSY_TIMEOUT_S = 30


class PooledSqliteEventLogStorage(SqliteEventLogStorage):
    """Fulfils Dagster's event log storage under `home/history/runs`, as its default does."""

    def __init__(self, home: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        super().__init__(os.path.join(home, "history", "runs"), inst_data)  # noqa: PTH118 - Dagster wants text

    @classmethod
    def config_type(cls) -> Any:
        """Return the configuration: `home`, where the instance lives."""
        return {"home": StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "PooledSqliteEventLogStorage":
        """Build the storage as Dagster asks for it."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _engine(self, shard: str) -> Engine:
        known = self._engines.pop(shard, None)
        if known is None:
            known = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                pool_size=1,
                max_overflow=2,  # Dagster looks at a new file's tables while it makes them
                connect_args={"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False},
            )
            event.listen(known, "connect", _write_ahead)
        self._engines[shard] = known
        while len(self._engines) > _OPEN_FILES_MAX:
            self._engines.popitem(last=False)[1].dispose()
        return known


def _write_ahead(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
