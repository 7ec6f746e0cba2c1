"""The event log in one SQLite file: append-only, hash-chained, on disk before it returns."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from adapters.stores.event_log_anchor import Anchor
from adapters.stores.event_log_appends import (
    EventConflictError,
    GroupCommit,
    Request,
    Row,
    Written,
    link,
    recorded,
)
from adapters.stores.event_log_bytes import find_event_id, write_events
from adapters.stores.event_log_check import verify_file
from adapters.stores.event_log_frames import Frame, key_of, keys_of, pack
from adapters.stores.event_log_head import SCHEMA as HEAD_SCHEMA
from adapters.stores.event_log_head import Head, Heads
from adapters.stores.event_log_ids import INDEX_AT, EventIds
from adapters.stores.event_log_ids import SCHEMA as IDS_SCHEMA
from adapters.stores.event_log_place import Place
from adapters.stores.event_log_reading import Stored, joined, linked
from adapters.stores.event_log_times import written_now
from swarm_core.event_chain import GENESIS, ChainReport
from swarm_core.events import Event, RecordedEvent
from swarm_core.ports import ConcurrentAppendError

__all__ = ["EventConflictError", "SqliteEventLog"]

_READ_FRAMES = 256
_READ_ROWS = 1_000
_OLD_ROWS = (
    "select sequence, body, hash from events where sequence > ? order by sequence "
    f"limit {_READ_ROWS}"
)
_COMMITS_UNTENDED = 128  # about half of the thousand pages at which SQLite does it by itself

_SCHEMA = f"""
create table if not exists frames (
    last integer primary key,
    bodies blob not null,
    hashes blob not null,
    keys blob not null
);
{IDS_SCHEMA}
{HEAD_SCHEMA}
"""


class SqliteEventLog:
    """A log at `path`, made where it does not exist; many readers, one writer at a time.

    WAL and synchronous=FULL: an append survives the loss of power once it has returned. A batch
    is one transaction, so it stands whole or not at all; batches that come from several threads
    at once share one. Raises OSError where the file cannot be opened or written, e.g. on a full
    disk (nothing of the batch is then in the log), was deleted meanwhile, or where the file has
    lost what it had acknowledged. Logs of the older layout, a row for each record, are read and
    added to. `time_ns` is the clock that says when an append was.
    """

    def __init__(self, path: Path, *, time_ns: Callable[[], int] = time.time_ns) -> None:
        self.path, self._time_ns = Path(path), time_ns
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock, self._reading = threading.RLock(), threading.RLock()
        self._group = GroupCommit(self._write)
        try:
            self._db, self._reader = self._connect(), self._connect()
            self._db.executescript(_SCHEMA)
            self._heads = Heads(self._db)
            self._rows_last = self._adopt_rows()
            self._ids = EventIds(self._db)
            self._commits = 0  # since the write-ahead file was emptied
            self._anchor = Anchor(self.path.with_name(self.path.name + "-anchor"))
            self._look_for_loss()
            self._place_on_disk = Place(self.path)
        except (sqlite3.Error, OSError) as error:
            self._let_go()
            if isinstance(error, OSError):
                raise
            raise OSError(f"the event log must be a readable log, was {path}: {error}") from error

    def _let_go(self) -> None:
        """Close what was opened of a log that cannot be used."""
        for name in ("_reader", "_db", "_anchor"):
            opened = self.__dict__.get(name)
            if opened is not None:
                opened.close()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
        db.execute("pragma journal_mode=wal")
        db.execute("pragma synchronous=full")
        return db

    def _adopt_rows(self) -> int:
        """Index the ids of a log of the older layout, once; return its last record there."""
        old = "select 1 from sqlite_master where name = 'events'"
        if self._db.execute(old).fetchone() is None:
            return 0
        last: int = self._db.execute("select ifnull(max(sequence), 0) from events").fetchone()[0]
        if last and self._db.execute("select 1 from indexed").fetchone() is None:
            self._db.execute("begin immediate")
            rows = self._db.execute("select event_id, sequence from events")
            pairs = sorted((key_of(event_id), sequence) for event_id, sequence in rows)
            EventIds(self._db).write(pairs, last)
            self._db.execute("commit")
        return last

    def _look_for_loss(self) -> None:
        """Raise OSError where the log does not hold what it had acknowledged."""
        try:
            promised = self._anchor.read()
        except ValueError:
            return  # `verify` reports it; the next append writes it anew
        if promised is None or self._hash_at(promised[0]) == promised[1]:
            return
        last = self.last_sequence()
        raise OSError(
            f"the event log {self.path} must hold record {promised[0]} as it was acknowledged, "
            f"does not and ends with {last}: its end was damaged, cut off or replaced. Restore "
            f"the file and its -wal, or delete {self._anchor.path} to accept the loss"
        )

    def close(self) -> None:
        self._reader.close()
        self._db.close()
        self._anchor.close()

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
        return self._group.append(Request(events, write_events(events), expected_sequence, written))

    def tend(self) -> None:
        """Index ids and empty the write-ahead file where there are many, while nobody waits.

        Else the commit that fills them pays for that, milliseconds in which an order waits. It
        moves nothing that is not on disk already; a disk that is full is told by the next append.
        """
        with self._lock, suppress(sqlite3.Error):
            if self._ids.waiting_count >= INDEX_AT:
                self._index()
            self._ids.prepare()
            if self._commits >= _COMMITS_UNTENDED:
                self._commits = 0
                self._db.execute("pragma wal_checkpoint(passive)").fetchall()

    def _index(self) -> None:
        with self._transaction():
            sequence = self._heads.read(self._db).sequence
            self._ids.catch_up(sequence)
            flushed = self._ids.flush({}, sequence, INDEX_AT)
        self._ids.committed({}, sequence, flushed=flushed)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
            self._db.execute("commit")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise

    def _write(self, group: Sequence[Request]) -> None:
        with self._lock:
            try:
                with self._transaction():
                    head, fresh, flushed = self._place(group)
            except sqlite3.Error as error:
                raise OSError(f"the event log {self.path} must be writable: {error}") from error
            self._place_on_disk.check()
            self._ids.committed(fresh, head[0], flushed=flushed)
            if fresh:
                self._anchor.write(*head)
                self._commits += 1

    def _place(self, group: Sequence[Request]) -> tuple[tuple[int, bytes], dict[int, int], bool]:
        """Write what is new; return the new head, the new keys, and whether the index has all."""
        before = self._heads.read(self._db)
        head = before.sequence, before.hash
        self._ids.catch_up(before.sequence)
        keys = [keys_of([event.event_id for event in request.events]) for request in group]
        flat = keys[0] if len(keys) == 1 else [key for some in keys for key in some]
        known = _Known(self, self._ids.find(flat))
        # Where no key is taken, here or among themselves, no id is known: nothing need be compared.
        all_new = not known.has_candidates and len(set(flat)) == len(flat)
        bodies: list[bytes] = []
        hashes: list[bytes] = []
        lines: list[Written] = []
        for request, some in zip(group, keys, strict=True):
            try:
                run = link(request, head, None if all_new else known.find)
            except (ValueError, ConcurrentAppendError) as failure:
                request.failure = failure
                continue
            if run:
                lines += written_now(request, run, self._time_ns())
                if all_new:
                    known.fresh.update(zip(some, range(run.first, run.last + 1), strict=True))
                else:
                    names = dict(zip((e.event_id for e in request.events), some, strict=True))
                    known.add(request, run, names)
                bodies += run.bodies
                hashes += run.hashes
                head = (run.last, run.hashes[-1])
        if not bodies:
            return head, {}, False
        fresh = known.fresh
        frames = pack(before.sequence + 1, bodies, hashes, list(fresh))
        self._db.executemany("insert into frames values (?, ?, ?, ?)", frames)
        self._heads.write(self._db, Head(*head, before.times), lines)
        return head, fresh, self._ids.flush(fresh, head[0])

    def read_row(self, sequence: int) -> Row:
        """Return one record's bytes as the writer sees them; to be called inside an append."""
        return self._row(self._db, sequence)

    def _row(self, db: sqlite3.Connection, sequence: int) -> Row:
        before = GENESIS if sequence == 1 else self._hash_of(db, sequence - 1)
        if sequence <= self._rows_last:
            found = "select body, hash from events where sequence = ?"
            body, digest = db.execute(found, (sequence,)).fetchone()
            return Row(sequence, body, digest, before)
        return self._frame(db, sequence).row(sequence, before)

    def _hash_of(self, db: sqlite3.Connection, sequence: int) -> bytes:
        if sequence <= self._rows_last:
            found = "select hash from events where sequence = ?"
            return bytes(db.execute(found, (sequence,)).fetchone()[0])
        return self._frame(db, sequence).hash_of(sequence)

    @staticmethod
    def _frame(db: sqlite3.Connection, sequence: int) -> Frame:
        found = "select * from frames where last >= ? order by last limit 1"
        kept = db.execute(found, (sequence,)).fetchone()
        if kept is None or Frame(*kept).first > sequence:
            raise ValueError(f"record {sequence} must be there, is not")
        return Frame(*kept)

    def find_sequence(self, key: int) -> int | None:
        """Return the record of a key; to be called inside an append."""
        return self._ids.find([key]).get(key)

    def find_all(self, event_ids: Sequence[str]) -> dict[str, RecordedEvent]:
        """Return, by id, the records of those events that are in the log."""
        with self._lock:
            try:
                self._db.execute("begin")
                try:
                    self._ids.catch_up(self._heads.read(self._db).sequence)
                    known = _Known(self, self._ids.find([key_of(i) for i in event_ids]))
                    found = {i: known.find(i) for i in event_ids}
                finally:
                    self._db.execute("rollback")  # nothing was written
            except sqlite3.Error as error:
                raise OSError(f"the event log {self.path} must be readable: {error}") from error
        return {event_id: recorded(row) for event_id, row in found.items() if row is not None}

    def read(self, after_sequence: int = 0) -> Iterator[RecordedEvent]:
        """Yield the records after a sequence number, in order.

        Raises ValueError on a record that is not as it was written, OSError where the file cannot
        be read.
        """
        stored = self._stored(after_sequence)
        yield from linked(stored, after_sequence, lambda: self._hash_at(after_sequence) or GENESIS)

    def rows(self, after_sequence: int = 0) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield sequence, bytes and hash of the records after a sequence number, as stored."""
        for stored in self._stored(after_sequence):
            yield from zip(*stored, strict=True)

    def _stored(self, after_sequence: int) -> Iterator[Stored]:
        while after_sequence < self._rows_last and (old := self._fetch(_OLD_ROWS, after_sequence)):
            yield Stored(*map(list, zip(*old, strict=True)))
            after_sequence = old[-1][0]
        while frames := self._fetch(
            f"select * from frames where last > ? order by last limit {_READ_FRAMES}",
            after_sequence,
        ):
            yield from joined(frames, after_sequence)
            after_sequence = frames[-1][0]

    def _fetch(self, query: str, *parameters: int) -> list[Any]:
        with self._reading:
            try:
                return self._reader.execute(query, parameters).fetchall()
            except sqlite3.Error as error:
                raise OSError(f"the event log {self.path} must be readable: {error}") from error

    def _hash_at(self, sequence: int) -> bytes | None:
        if not 0 < sequence <= self.last_sequence():
            return None
        with self._reading:
            try:
                return self._hash_of(self._reader, sequence)
            except (sqlite3.Error, TypeError, ValueError, IndexError) as error:
                raise OSError(f"the event log {self.path} must be readable: {error}") from error

    def written(self, after_sequence: int = 0, through: int | None = None) -> list[Written]:
        """Return when the records after a sequence number were written, an append a line.

        Records from before there were such times are in none.
        """
        with self._reading:
            try:
                return self._heads.written(self._reader, after_sequence, through)
            except sqlite3.Error as error:
                raise OSError(f"the event log {self.path} must be readable: {error}") from error

    def last_sequence(self) -> int:
        """Return the sequence number of the last record, 0 in an empty log."""
        with self._reading:
            return self._heads.read(self._reader).sequence

    def hash_at(self, sequence: int) -> str | None:
        """Return the hash of a record in hex, None where there is no such record."""
        digest = self._hash_at(sequence)
        return None if digest is None else digest.hex()

    def verify(self) -> ChainReport:
        """Check the file and every record against the chain; a changed or missing byte is found.

        Another process may go on writing: what is checked is the log as it was at one moment.
        """
        with self._reading:
            self._reader.execute("begin")
            try:
                return verify_file(self._reader, self._heads.read, self._anchor)
            finally:
                with suppress(sqlite3.Error):  # a damaged file was told by the report
                    self._reader.execute("rollback")


class _Known:
    """What an append finds in the log: on disk, and among what the same group has placed."""

    def __init__(self, log: SqliteEventLog, candidates: dict[int, int]) -> None:
        self._log, self._candidates = log, candidates
        self._placed: dict[str, Row] = {}
        self.fresh: dict[int, int] = {}  # key -> sequence, in the order of the sequences

    @property
    def has_candidates(self) -> bool:
        return bool(self._candidates)

    def find(self, event_id: str) -> Row | None:
        placed = self._placed.get(event_id)
        if placed is not None or not self._candidates:
            return placed
        key = key_of(event_id)
        sequence = self._candidates.get(key)
        while sequence is not None:
            row = self._log.read_row(sequence)
            if find_event_id(row.body) == event_id:
                return row
            key += 1  # two ids of one number lie side by side
            sequence = self._log.find_sequence(key)
        return None

    def add(self, request: Request, rows: Sequence[Row], keys: dict[str, int]) -> None:
        """Remember new rows, each under its key, or under the next that is free."""
        names = {r.sequence: e.event_id for e, r in zip(request.events, request.rows, strict=True)}
        for row in rows:
            event_id = names[row.sequence]
            key = keys[event_id]
            if key in self.fresh or key in self._candidates:
                key = self._next_free(key)
            self._placed[event_id] = row
            self.fresh[key] = row.sequence

    def _next_free(self, key: int) -> int:
        while key in self.fresh or self._log.find_sequence(key) is not None:
            key += 1
        return key
