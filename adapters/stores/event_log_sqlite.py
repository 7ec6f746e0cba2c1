"""The event log in one SQLite file: append-only, hash-chained, on disk before it returns."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from adapters.stores.event_log_appends import EventConflictError
from swarm_core.event_chain import GENESIS, ChainReport, chain_hash, check_chain
from swarm_core.events import Event, RecordedEvent, decode, encode
from swarm_core.ports import ConcurrentAppendError

_READ_BATCH = 1_000

# The head repeats the last record, so that records cut off the end are missed.
_SCHEMA = """
create table if not exists events (
    sequence integer primary key,
    event_id text not null unique,
    body blob not null,
    hash blob not null
);
create table if not exists head (
    only integer primary key check (only = 1),
    sequence integer not null,
    hash blob not null
);
"""


class SqliteEventLog:
    """A log at `path`, made where it does not exist; many readers, one writer at a time.

    WAL and synchronous=FULL: an append survives the loss of power once it has returned. A batch
    is one transaction, so it stands whole or not at all. Raises OSError where the file cannot be
    opened or written, e.g. on a full disk; nothing of the batch is then in the log.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=30
            )
            self._db.execute("pragma journal_mode=wal")
            self._db.execute("pragma synchronous=full")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise OSError(f"the event log must be a readable log, was {path}: {error}") from error

    def close(self) -> None:
        self._db.close()

    def append(
        self, events: Sequence[Event], *, expected_sequence: int | None = None
    ) -> tuple[RecordedEvent, ...]:
        """Write the events that are new, in order, and return all of them as they stand.

        Raises EventConflictError on a known id with other contents, ConcurrentAppendError where
        the last record is not `expected_sequence`; nothing is written then.
        """
        bodies = [(event, encode(event)) for event in events]
        with self._lock:
            try:
                try:
                    recorded = self._transact(bodies, expected_sequence, frozenset())
                except sqlite3.IntegrityError:
                    # Some ids are in the log already: look which, and write the others.
                    known = frozenset(e.event_id for e, _ in bodies if self._find(e.event_id))
                    recorded = self._transact(bodies, expected_sequence, known)
            except sqlite3.Error as error:
                raise OSError(f"the event log {self.path} must be writable: {error}") from error
        return recorded

    def _transact(
        self,
        bodies: Sequence[tuple[Event, bytes]],
        expected_sequence: int | None,
        known_ids: frozenset[str],
    ) -> tuple[RecordedEvent, ...]:
        self._db.execute("begin immediate")
        try:
            recorded = self._append(bodies, expected_sequence, known_ids)
            self._db.execute("commit")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise
        return recorded

    def _append(
        self,
        bodies: Sequence[tuple[Event, bytes]],
        expected_sequence: int | None,
        known_ids: frozenset[str],
    ) -> tuple[RecordedEvent, ...]:
        sequence, previous = self._head()
        if expected_sequence is not None and sequence != expected_sequence:
            raise ConcurrentAppendError(
                f"the last record must be {expected_sequence}, was {sequence}: read on"
            )
        rows: list[tuple[int, str, bytes, bytes]] = []
        recorded: list[RecordedEvent] = []
        fresh: dict[str, tuple[bytes, RecordedEvent]] = {}
        for event, body in bodies:
            known = fresh.get(event.event_id)
            if known is None and event.event_id in known_ids:
                known = self._find(event.event_id)
            if known is not None:
                if known[0] != body:
                    raise EventConflictError(
                        f"event {event.event_id} must be told the same way twice, "
                        f"was another {type(event).__name__}"
                    )
                recorded.append(known[1])
                continue
            sequence += 1
            digest = chain_hash(previous, sequence, body)
            rows.append((sequence, event.event_id, body, digest))
            record = RecordedEvent(sequence, event, digest.hex(), previous.hex())
            fresh[event.event_id] = (body, record)
            recorded.append(record)
            previous = digest
        if rows:
            self._db.executemany("insert into events values (?, ?, ?, ?)", rows)
            self._db.execute("insert or replace into head values (1, ?, ?)", (sequence, previous))
        return tuple(recorded)

    def _head(self) -> tuple[int, bytes]:
        row = self._db.execute("select sequence, hash from head").fetchone()
        return (0, GENESIS) if row is None else (row[0], row[1])

    def _find(self, event_id: str) -> tuple[bytes, RecordedEvent] | None:
        row = self._db.execute(
            "select e.sequence, e.body, e.hash, p.hash from events e "
            "left join events p on p.sequence = e.sequence - 1 where e.event_id = ?",
            (event_id,),
        ).fetchone()
        if row is None:
            return None
        sequence, body, digest, previous = row
        previous = GENESIS if previous is None else previous
        return body, RecordedEvent(sequence, decode(body), digest.hex(), previous.hex())

    def read(self, after_sequence: int = 0) -> Iterator[RecordedEvent]:
        """Yield the records after a sequence number, in order.

        Raises ValueError on a record that cannot be read, OSError where the file cannot be.
        """
        previous = self._hash_at(after_sequence)
        while rows := self._rows(after_sequence):
            for sequence, body, digest in rows:
                yield RecordedEvent(sequence, decode(body), digest.hex(), previous.hex())
                after_sequence, previous = sequence, digest

    def _hash_at(self, sequence: int) -> bytes:
        with self._lock:
            row = self._db.execute(
                "select hash from events where sequence = ?", (sequence,)
            ).fetchone()
        return GENESIS if row is None else row[0]

    def _rows(self, after_sequence: int) -> list[tuple[int, bytes, bytes]]:
        with self._lock:
            try:
                return self._db.execute(
                    "select sequence, body, hash from events where sequence > ? "
                    "order by sequence limit ?",
                    (after_sequence, _READ_BATCH),
                ).fetchall()
            except sqlite3.Error as error:
                raise OSError(f"the event log {self.path} must be readable: {error}") from error

    def last_sequence(self) -> int:
        """Return the sequence number of the last record, 0 in an empty log."""
        with self._lock:
            return self._head()[0]

    def verify(self) -> ChainReport:
        """Check the file and every record against the chain; a changed or missing byte is found."""
        with self._lock:
            try:
                sound = self._db.execute("pragma integrity_check").fetchone()[0]
                if sound != "ok":
                    return ChainReport(0, 1, f"the file must be sound, and is not: {sound}", "")
                rows = self._db.execute("select sequence, body, hash from events order by sequence")
                report = check_chain((s, bytes(b), bytes(h)) for s, b, h in rows)
                head, misnamed = self._head(), self._find_misnamed()
            except (sqlite3.Error, TypeError, ValueError) as error:
                return ChainReport(0, 1, f"the file must be readable, and is not: {error}", "")
        if report.sound and misnamed is not None:
            detail = f"record {misnamed} must be found under its own event id, and is not"
            return ChainReport(misnamed - 1, misnamed, detail, report.head)
        if report.sound and (report.checked_count, report.head) != (head[0], head[1].hex()):
            detail = f"the last record must be {head[0]}, was {report.checked_count}"
            return ChainReport(report.checked_count, report.checked_count + 1, detail, report.head)
        return report

    def _find_misnamed(self) -> int | None:
        """Return the first record whose id beside it is not the id in its bytes."""
        rows = self._db.execute("select sequence, event_id, body from events order by sequence")
        for sequence, event_id, body in rows:
            if json.loads(body).get("event_id") != event_id:
                return sequence
        return None
