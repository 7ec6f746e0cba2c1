"""The head of the embedded log: its last record, and when the newest records were written.

Each append rewrites it. The times of the newest appends stand in it as well and are moved to
their own table some at a time: a page less to write at each append. Files made before that are
left as they are, and go on with one line in the table of times for each append.
"""

import sqlite3
import struct
from collections.abc import Sequence
from typing import LiteralString, NamedTuple

from adapters.stores.event_log_appends import Written
from adapters.stores.event_log_times import QUERY, SQLITE_SCHEMA, parts
from swarm_core.event_chain import GENESIS

_LINE = struct.Struct(">3q")
_TIMES_BYTES_MAX = 100 * _LINE.size  # with the rest of the row they must fit into a page of 4,096

# The head repeats the last record, so that records cut off the end are missed.
SCHEMA: LiteralString = f"""
create table if not exists head (
    only integer primary key check (only = 1),
    sequence integer not null,
    hash blob not null,
    times blob not null default x''
);
{SQLITE_SCHEMA}
"""


class Head(NamedTuple):
    """The last record, and the lines of the newest appends that are in no table yet."""

    sequence: int
    hash: bytes
    times: bytes

    @property
    def lines(self) -> list[Written]:
        return [Written(*line) for line in _LINE.iter_unpack(self.times)]


class Heads:
    """The head of one file, read and written inside a transaction of the connection given."""

    def __init__(self, db: sqlite3.Connection) -> None:
        columns = [row[1] for row in db.execute("pragma table_info(head)")]
        self._keeps_times = "times" in columns
        self._query = f"select sequence, hash, {'times' if self._keeps_times else 'null'} from head"

    def read(self, db: sqlite3.Connection) -> Head:
        """Return the head; that of an empty log is record 0."""
        row = db.execute(self._query).fetchone()
        if row is None:
            return Head(0, GENESIS, b"")
        times = row[2] or b""
        if len(times) % _LINE.size:
            raise sqlite3.DatabaseError(f"its head must hold whole times, held {len(times)} bytes")
        return Head(row[0], row[1], times)

    def write(self, db: sqlite3.Connection, head: Head, lines: Sequence[Written]) -> None:
        """Put a head, and the lines of the appends that led to it, in the place of the last one."""
        if not self._keeps_times:
            db.executemany("insert or replace into written values (?, ?, ?)", lines)
            row = (head.sequence, head.hash)
            db.execute("insert or replace into head values (1, ?, ?)", row)
            return
        times = head.times + b"".join([_LINE.pack(*line) for line in lines])
        if len(times) > _TIMES_BYTES_MAX:
            every = _LINE.iter_unpack(times)
            db.executemany("insert or replace into written values (?, ?, ?)", every)
            times = b""
        row = (head.sequence, head.hash, times)
        db.execute("insert or replace into head values (1, ?, ?, ?)", row)

    def written(self, db: sqlite3.Connection, after: int, through: int | None) -> list[Written]:
        """Return when the records after..through were written, an append a line.

        The head is read first: what somebody moves to the table meanwhile is found there again.
        """
        head = self.read(db)
        end = head.sequence if through is None else through
        rows = db.execute(QUERY.replace("%s", "?"), (end, after + 1)).fetchall()
        lines = {line[0]: line for line in rows}
        lines.update({line.first: line for line in head.lines if line.first <= end})
        return parts([lines[first] for first in sorted(lines)], after, end)
