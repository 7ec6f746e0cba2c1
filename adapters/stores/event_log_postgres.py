"""The event log in PostgreSQL: the chain of the embedded one, for several machines."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import sql

from adapters.stores.event_log_appends import GroupCommit, Request, Row, Written, link, recorded
from adapters.stores.event_log_bytes import find_event_id, write_event
from adapters.stores.event_log_reading import Stored, linked
from adapters.stores.event_log_times import QUERY as TIMES_QUERY
from adapters.stores.event_log_times import SCHEMA as TIMES_SCHEMA
from adapters.stores.event_log_times import parts, written_now
from adapters.stores.postgres_address import PostgresAddress
from swarm_core.event_chain import GENESIS, ChainReport, check_chain
from swarm_core.events import Event, RecordedEvent
from swarm_core.ports import ConcurrentAppendError

T = TypeVar("T")
_READ_BATCH = 2_000
_HOLD_TRIES, _HOLD_EVERY_S = 20, 0.1  # the server needs a moment to see that a holder died
# A holder whose machine is gone is given up after half a minute.
_ALIVE: LiteralString = """
set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3
"""

# The row of the head is the lock of the writers, and misses records cut off the end.
_SCHEMA: LiteralString = """
create table if not exists events (
    sequence bigint primary key,
    event_id text not null unique,
    body bytea not null,
    hash bytea not null
);
create table if not exists head (
    only_row int primary key check (only_row = 1),
    sequence bigint not null,
    hash bytea not null
);
insert into head values (1, 0, decode(repeat('00', 32), 'hex')) on conflict do nothing;
create or replace view events_json as
    select sequence, event_id, convert_from(body, 'UTF8')::json as event from events;
"""
_INSERT: LiteralString = """
with new as (
    insert into events
    select * from unnest(%s::bigint[], %s::text[], %s::bytea[], %s::bytea[])
), times as (
    insert into written select * from unnest(%s::bigint[], %s::bigint[], %s::bigint[])
)
update head set sequence = %s, hash = %s
"""


class PostgresEventLog:
    """A log in the schema `schema` of a database, made where it does not exist.

    An append returns when the server has it on disk (synchronous_commit on), whatever the
    server's own default is. Raises OSError where the server cannot be reached or will not write;
    a lost connection is opened again once by each call. An append whose answer was lost is asked
    for by its event ids before it is written again. `time_ns` is the clock of this machine, which
    says when an append was.
    """

    def __init__(
        self,
        address: PostgresAddress,
        *,
        schema: str = "apiary",
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.address, self._schema, self._time_ns = address, schema, time_ns
        self._lock = threading.RLock()
        self._db: psycopg.Connection[Any] | None = None
        self._group = GroupCommit(self._write)
        self._is_held = False  # whether every connection holds the log before it is used
        self._holder: tuple[Any, ...] | None = None  # the server's process that holds it for us
        self._asking(lambda db: None)

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db = None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other holders out, whatever home they are of, until this ends or its process dies.

        A connection that was lost holds it anew before it is used: where another holder came
        meanwhile, nothing can be written here any more. Raises BlockingIOError where another
        holds it.
        """
        with self._lock:
            self._asking(self._take_hold)
            self._is_held = True
        try:
            yield
        finally:
            with self._lock:
                self._is_held, self._holder = False, None
                if self._db is not None:
                    self._db.close()  # and the server lets go of it

    def _take_hold(self, db: psycopg.Connection[Any]) -> None:
        if self._holder is not None:  # our own, cut off: its server may not know that yet
            db.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where (pid, backend_start) = (%s, %s)",
                self._holder,
            )
        for _ in range(_HOLD_TRIES):
            row = db.execute(
                "select pg_try_advisory_lock(hashtext(%s), 1), pid, backend_start "
                "from pg_stat_activity where pid = pg_backend_pid()",
                (self._schema,),
            ).fetchone()
            if row is not None and row[0]:
                self._holder = row[1:]
                return
            time.sleep(_HOLD_EVERY_S)
        raise BlockingIOError(
            "a book must be traded by one process at a time, is by one of another home "
            f"whose log is {self.address}"
        )

    def append(
        self,
        events: Sequence[Event],
        *,
        expected_sequence: int | None = None,
        written: Sequence[Written] | None = None,
    ) -> Sequence[RecordedEvent]:
        """Write the events that are new, in order, and return all of them as they stand.

        `written` tells a copy when the original was written. Raises EventConflictError on a known
        id with other contents, ConcurrentAppendError where the last record is not
        `expected_sequence`; nothing is written then.
        """
        bodies = [write_event(event) for event in events]
        return self._group.append(Request(events, bodies, expected_sequence, written))

    def _write(self, group: Sequence[Request]) -> None:
        tried = False

        def write(db: psycopg.Connection[Any]) -> None:
            nonlocal tried
            again, tried = tried, True
            with db.transaction():
                self._place(db, group, again=again)

        self._asking(write)

    def _place(self, db: psycopg.Connection[Any], group: Sequence[Request], *, again: bool) -> None:
        row = db.execute("select sequence, hash from head where only_row = 1 for update").fetchone()
        assert row is not None
        head: tuple[int, bytes] = (row[0], bytes(row[1]))
        known = self._known(db, [e.event_id for request in group for e in request.events])
        new: list[tuple[str, Row]] = []
        lines: list[Written] = []
        for request in group:
            request.rows, request.failure = [], None
            if again and all(e.event_id in known for e in request.events):
                request.expected_sequence = None  # it arrived; only its answer was lost
            try:
                fresh = link(request, head, known.get)
            except (ValueError, ConcurrentAppendError) as failure:
                request.failure = failure
                continue
            if fresh:
                lines += written_now(request, fresh, self._time_ns())
            names = {
                row.sequence: e.event_id
                for e, row in zip(request.events, request.rows, strict=True)
            }
            for row in fresh:
                known[names[row.sequence]] = row
                new.append((names[row.sequence], row))
                head = (row.sequence, row.hash)
        if new:
            self._insert(db, new, lines, head)

    def _insert(
        self,
        db: psycopg.Connection[Any],
        new: Sequence[tuple[str, Row]],
        lines: Sequence[Written],
        head: tuple[int, bytes],
    ) -> None:
        columns = (
            [row.sequence for _, row in new],
            [event_id for event_id, _ in new],
            [row.body for _, row in new],
            [row.hash for _, row in new],
            [line.first for line in lines],
            [line.last for line in lines],
            [line.time_ns for line in lines],
        )
        db.execute(_INSERT, (*columns, *head), binary=True)

    def _known(self, db: psycopg.Connection[Any], event_ids: list[str]) -> dict[str, Row]:
        rows = db.execute(
            "select e.event_id, e.sequence, e.body, e.hash, p.hash from events e "
            "left join events p on p.sequence = e.sequence - 1 where e.event_id = any(%s)",
            (event_ids,),
        ).fetchall()
        return {
            event_id: Row(sequence, bytes(body), bytes(digest), bytes(previous or GENESIS))
            for event_id, sequence, body, digest, previous in rows
        }

    def read(self, after_sequence: int = 0) -> Iterator[RecordedEvent]:
        """Yield the records after a sequence number, in order.

        Raises ValueError on a record that is not as it was written, OSError where the server is
        away.
        """
        stored = self._stored(after_sequence)
        yield from linked(stored, after_sequence, lambda: self._hash_at(after_sequence))

    def find_all(self, event_ids: Sequence[str]) -> dict[str, RecordedEvent]:
        """Return, by id, the records of those events that are in the log."""
        found = self._asking(lambda db: self._known(db, list(event_ids)))
        return {event_id: recorded(row) for event_id, row in found.items()}

    def rows(self, after_sequence: int = 0) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield sequence, bytes and hash of the records after a sequence number, as stored."""
        for stored in self._stored(after_sequence):
            yield from zip(*stored, strict=True)

    def _stored(self, after_sequence: int) -> Iterator[Stored]:
        while rows := self._rows(after_sequence):
            sequences, _, bodies, hashes = map(list, zip(*rows, strict=True))
            yield Stored(sequences, bodies, hashes)
            after_sequence = sequences[-1]

    def hash_at(self, sequence: int) -> str | None:
        """Return the hash of a record in hex, None where there is no such record."""
        digest = self._hash_at(sequence)
        return None if digest == GENESIS else digest.hex()

    def _hash_at(self, sequence: int) -> bytes:
        row = self._asking(
            lambda db: db.execute(
                "select hash from events where sequence = %s", (sequence,)
            ).fetchone()
        )
        return GENESIS if row is None else bytes(row[0])

    def _rows(self, after_sequence: int) -> list[tuple[int, str, bytes, bytes]]:
        return self._asking(
            lambda db: db.execute(
                "select sequence, event_id, body, hash from events where sequence > %s "
                "order by sequence limit %s",
                (after_sequence, _READ_BATCH),
                binary=True,
            ).fetchall()
        )

    def written(self, after_sequence: int = 0, through: int | None = None) -> list[Written]:
        """Return when the records after a sequence number were written, an append a line.

        Records from before there were such times are in none.
        """
        end = self.last_sequence() if through is None else through
        asked = (end, after_sequence + 1)
        rows = self._asking(lambda db: db.execute(TIMES_QUERY, asked).fetchall())
        return parts(rows, after_sequence, end)

    def last_sequence(self) -> int:
        """Return the sequence number of the last record, 0 in an empty log."""
        return self._head()[0]

    def _head(self) -> tuple[int, bytes]:
        row = self._asking(lambda db: db.execute("select sequence, hash from head").fetchone())
        return (0, GENESIS) if row is None else (row[0], bytes(row[1]))

    def verify(self) -> ChainReport:
        """Check every record against the chain; a changed, missing or added one is found."""
        misnamed: list[int] = []

        def rows() -> Iterator[tuple[int, bytes, bytes]]:
            after = 0
            while batch := self._rows(after):
                for sequence, event_id, body, digest in batch:
                    if not misnamed and find_event_id(body) != event_id:
                        misnamed.append(sequence)
                    yield sequence, body, digest
                    after = sequence

        head, report = self._head(), check_chain(rows())
        if not report.sound:
            return report
        if misnamed:
            detail = f"record {misnamed[0]} must be found under its own event id, and is not"
            return ChainReport(misnamed[0] - 1, misnamed[0], detail, report.head)
        if (report.checked_count, report.head) != (head[0], head[1].hex()):
            detail = f"the last record must be {head[0]}, was {report.checked_count}"
            return ChainReport(report.checked_count, report.checked_count + 1, detail, report.head)
        return report

    def _asking(self, ask: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Ask over the open connection, or over a new one where that was lost."""
        with self._lock:
            try:
                if self._db is None or self._db.closed:
                    self._db = self._connect()
                try:
                    return ask(self._db)
                except psycopg.OperationalError:
                    if not self._db.closed and not self._db.broken:
                        raise  # the server refused, e.g. on a full disk: it would again
                self._db = self._connect()
                return ask(self._db)
            except psycopg.Error as error:
                said = " ".join(str(error).split())
                raise OSError(f"the event log at {self.address} must be usable: {said}") from error

    def _connect(self) -> psycopg.Connection[Any]:
        db = self.address.connect("apiary event log")
        name = sql.Identifier(self._schema)
        with db.transaction():
            # Two that open an empty database at once must not both make the tables.
            db.execute("select pg_advisory_xact_lock(hashtext(%s))", (self._schema,))
            db.execute(sql.SQL("create schema if not exists {}").format(name))
            db.execute(sql.SQL("set search_path to {}").format(name))
            db.execute(_SCHEMA)
            db.execute(TIMES_SCHEMA)
        db.execute("set synchronous_commit = on")
        db.execute("set lock_timeout = '10s'")
        db.execute(_ALIVE)
        if self._is_held:
            try:
                self._take_hold(db)
            except BlockingIOError:
                db.close()
                raise
        return db
