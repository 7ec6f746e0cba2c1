"""The bus without a server: the event log itself, and a file with the offsets of its readers."""

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Protocol

from adapters.bus.messages import BusError, Log, Message, check_group
from adapters.stores.durable_sqlite import opened_database

_SCHEMA = """
create table if not exists offsets (name text primary key, sequence integer not null)
"""
_COMMIT = """
insert into offsets values (?, ?)
on conflict (name) do update set sequence = max(sequence, excluded.sequence)
"""


class CountedLog(Log, Protocol):
    """A log that knows the number of its last record."""

    def last_sequence(self) -> int: ...


class EmbeddedBus:
    """Readers of one machine: what is in the log is published, nothing is written twice.

    Offsets lie in a SQLite file at `path`, on disk before a commit returns; any number of
    processes may use it.
    """

    def __init__(self, log: CountedLog, path: Path) -> None:
        self._log, self._path = log, Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._opened() as database:
            database.execute(_SCHEMA)

    def find_last(self) -> Message | None:
        last = self._log.last_sequence()
        return next((Message.of(r) for r in self._log.read(last - 1)), None) if last else None

    def publish(self, messages: Sequence[Message]) -> None:
        """Nothing is to be done: a message is in the log, or it is none."""

    def read(self, group: str, count_max: int) -> Sequence[Message]:
        after = self.committed(group)
        return [Message.of(r) for r in islice(self._log.read(after), count_max)]

    def commit(self, group: str, sequence: int) -> None:
        check_group(group)
        with self._opened() as database:
            database.execute(_COMMIT, (group, sequence))

    def committed(self, group: str) -> int:
        check_group(group)
        with self._opened() as database:
            row = database.execute(
                "select sequence from offsets where name = ?", (group,)
            ).fetchone()
        return 0 if row is None else int(row[0])

    def _opened(self) -> AbstractContextManager[sqlite3.Connection]:
        return opened_database(self._path, "the offsets", BusError)
