"""Dagster's embedded event storage with its connections kept open, and batches written at once.

Dagster's own opens, syncs and closes an SQLite connection for every event, which is much of what a
partition costs. Here a connection per file stays open, and what Dagster gives as a batch (the
partitions of a run: planned, and made) is one transaction. A commit is written ahead without a sync
of its own: after a loss of power the newest run events may be missing, never torn. The record of
what was traded is the platform's event log, which syncs every append.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby
from threading import get_ident
from typing import Any

from dagster import EventLogEntry
from dagster._config import StringSource
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Engine, create_engine, event, func, select
from sqlalchemy.engine import Connection
from sqlalchemy.pool import QueuePool

_OPEN_FILES_MAX = 16
_BUSY_TIMEOUT_S = 30


class PooledSqliteEventLogStorage(SqliteEventLogStorage):
    """Fulfils Dagster's event log storage under `home/history/runs`, as its default does."""

    def __init__(self, home: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._batch: dict[str, Connection] = {}  # by shard, while this thread writes one
        self._newest: dict[tuple[str, str], tuple[Connection, EventLogEntry, int]] = {}
        self._tagged: list[tuple[EventLogEntry, int]] = []
        self._tables: set[str] = set()  # those that were seen
        self._writer: int | None = None
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

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events in one transaction for each file, or none of them where one fails."""
        with self._db_lock, ExitStack() as stack:
            self._writer = get_ident()
            try:
                for shard in (*{entry.run_id for entry in events}, INDEX_SHARD_NAME):
                    self._batch[shard] = stack.enter_context(self._open(shard))
                for of_assets, some in groupby(events, key=_is_of_an_asset):
                    if of_assets:
                        self._store_asset_events(list(some))
                        continue
                    for entry in some:
                        self.store_event(entry)
                for connection, entry, number in self._newest.values():
                    super()._store_asset_event(connection, entry, number)
                if self._tagged:
                    entries, numbers = zip(*self._tagged, strict=True)
                    index = self._batch[INDEX_SHARD_NAME]
                    super()._store_asset_event_tags(index, entries, numbers)
            finally:
                self._writer, self._batch, self._newest, self._tagged = None, {}, {}, []

    def _store_asset_events(self, entries: Sequence[EventLogEntry]) -> None:
        """Write events of assets to their runs' files and to the index, many at a statement."""
        rows = [self._event_to_row(entry) for entry in entries]
        for run_id, some in groupby(rows, key=lambda row: row["run_id"]):
            self._batch[run_id].execute(SqlEventLogStorageTable.insert(), list(some))
        index = self._batch[INDEX_SHARD_NAME]
        index.execute(SqlEventLogStorageTable.insert(), rows)
        # Nobody else writes until this commits: the newest numbers are those of these rows.
        last = index.execute(select(func.max(SqlEventLogStorageTable.c.id))).scalar_one()
        for number, entry in enumerate(entries, last - len(entries) + 1):
            self._tagged.append((entry, number))
            self._store_asset_event(index, entry, number)

    def _store_asset_event(self, conn: Connection, event: EventLogEntry, event_id: int) -> None:
        if self._writer != get_ident():
            super()._store_asset_event(conn, event, event_id)
            return
        # An asset's row keeps the newest event of each kind: of a batch only those are written.
        told = event.get_dagster_event()
        key = (str(told.asset_key), told.event_type_value)
        self._newest.pop(key, None)
        self._newest[key] = (conn, event, event_id)

    def has_table(self, table_name: str) -> bool:
        """Return whether the index has a table: Dagster asks for every event, by a new connection.

        One that is there stays.
        """
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        if self._writer == get_ident():
            yield self._batch[shard]
            return
        with self._db_lock, self._open(shard) as connection:
            yield connection

    @contextmanager
    def _open(self, shard: str) -> Iterator[Connection]:
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


def _is_of_an_asset(entry: EventLogEntry) -> bool:
    return entry.is_dagster_event and entry.dagster_event_type in ASSET_EVENTS


def _write_ahead(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
