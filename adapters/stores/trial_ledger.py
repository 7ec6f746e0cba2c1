"""The trial ledger in one SQLite file: append-only, hash-chained, on disk before it returns."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from adapters.clock import SystemClock
from adapters.stores.durable_sqlite import opened_database
from swarm_core.event_chain import GENESIS, ChainReport, chain_hash, check_chain

# The head repeats the last record, so that records cut off the end are missed; the triggers keep
# an ordinary statement from changing what stands.
_SCHEMA = """
create table if not exists trials (
    sequence integer primary key,
    body blob not null,
    hash blob not null
);
create table if not exists head (
    only integer primary key check (only = 1),
    sequence integer not null,
    hash blob not null
);
create trigger if not exists trials_stand before update on trials
begin select raise(abort, 'a trial on record must stand'); end;
create trigger if not exists trials_stay before delete on trials
begin select raise(abort, 'a trial on record must stay'); end;
"""


def _now() -> datetime:
    return SystemClock().now()


class SqliteTrialLedger:
    """A ledger at `path`, made where it does not exist; any number of processes may write.

    It holds no connection, so that it can be handed to the workers of a sweep. An append has
    survived the loss of power once it returns. Raises OSError where the file cannot be written.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = _now) -> None:
        self.path = Path(path)
        self._clock = clock
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._opened() as database:
            database.executescript(_SCHEMA)

    def append(self, record: Mapping[str, object]) -> int:
        """Write the record with the time of writing, durably, and return its number."""
        body = json.dumps(
            {**record, "recorded_at": self._clock().isoformat()}, sort_keys=True
        ).encode()
        with self._opened() as database:
            database.execute("begin immediate")
            row = database.execute("select sequence, hash from head").fetchone()
            sequence, previous = (0, GENESIS) if row is None else row
            digest = chain_hash(previous, sequence + 1, body)
            database.execute("insert into trials values (?, ?, ?)", (sequence + 1, body, digest))
            database.execute("insert or replace into head values (1, ?, ?)", (sequence + 1, digest))
            database.execute("commit")
        return sequence + 1

    def records(self) -> list[dict[str, object]]:
        """Return every record in order; raises OSError where one has been changed."""
        rows, head = self._rows()
        report = _check(rows, head)
        if not report.sound:
            raise OSError(f"the trial ledger {self.path} must be sound: {report.detail}")
        return [json.loads(body) for _, body, _ in rows]

    def verify(self) -> ChainReport:
        """Recompute the hash chain and return what was found."""
        return _check(*self._rows())

    def _rows(self) -> tuple[list[tuple[int, bytes, bytes]], tuple[int, bytes] | None]:
        with self._opened() as database:
            database.execute("begin")  # one view of both tables
            rows = database.execute(
                "select sequence, body, hash from trials order by sequence"
            ).fetchall()
            head = database.execute("select sequence, hash from head").fetchone()
            database.execute("commit")
        return rows, head

    def _opened(self) -> AbstractContextManager[sqlite3.Connection]:
        return opened_database(self.path, "the trial ledger")


def _check(rows: list[tuple[int, bytes, bytes]], head: tuple[int, bytes] | None) -> ChainReport:
    report = check_chain(rows)
    stated = (0, GENESIS.hex()) if head is None else (head[0], head[1].hex())
    if report.sound and stated != (report.checked_count, report.head):
        detail = f"the head must be record {stated[0]}, the last record is {report.checked_count}"
        return ChainReport(report.checked_count, report.checked_count + 1, detail, report.head)
    return report
