"""Copies in the home of what lies on servers, so that a backup of the home is one of the desk.

What is copied once is not read again: the log is followed, segments go by their hash.
"""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Protocol

from adapters.stores.event_log_appends import Written
from adapters.stores.event_log_sqlite import SqliteEventLog
from adapters.stores.hot_embedded import EmbeddedHotStore, HotStore
from adapters.stores.segments import SegmentTier
from adapters.stores.warm import WarmStore
from swarm_core.events import Event, RecordedEvent

COPIES = "copies"
LOG, HOT, WARM, COLD = "events.db", "hot.db", "warm", "cold"
_BATCH = 1_000


class Log(Protocol):
    """A log that is copied from, or into."""

    def last_sequence(self) -> int: ...
    def hash_at(self, sequence: int) -> str | None: ...
    def read(self, after_sequence: int = 0) -> Iterator[RecordedEvent]: ...
    def written(self, after_sequence: int = 0, through: int | None = None) -> Sequence[Written]: ...
    def append(
        self,
        events: Sequence[Event],
        *,
        expected_sequence: int | None = None,
        written: Sequence[Written] | None = None,
    ) -> Sequence[RecordedEvent]: ...


def follow_log(source: Log, target: Log) -> int:
    """Add to a log what another has more, each record with its hash and the time of its writing.

    Return how many.

    Raises ValueError where the one is not the beginning of the other.
    """
    last = target.last_sequence()
    if source.hash_at(last) != target.hash_at(last):
        raise ValueError(f"the copy of the log must be its first {last} records, is not")
    following, count = source.read(last), 0
    while batch := list(islice(following, _BATCH)):
        first, events = batch[0].sequence, [r.event for r in batch]
        lines = source.written(first - 1, batch[-1].sequence)
        added = target.append(events, expected_sequence=first - 1, written=lines)
        if [r.hash for r in added] != [r.hash for r in batch]:
            raise ValueError(f"records from {first} on must keep their hashes")
        count += len(batch)
    return count


def copy_segments(source: SegmentTier, target: SegmentTier, *, only_add: bool = False) -> int:
    """Make the target hold the segments of the source, each proved by its hash; return the new.

    With `only_add` what the target has more stays.
    """
    count = 0
    for table in sorted({*source.tables(), *target.tables()}):
        held = {s.content_hash: s for s in target.segments(table)}
        wanted = source.segments(table)
        for segment in wanted:
            if segment.content_hash not in held:
                target.write(table, source.read_segment(segment))
                count += 1
        gone = [s for h, s in held.items() if h not in {s.content_hash for s in wanted}]
        if gone and not only_add:
            target.remove(table, gone)
    return count


def copy_log(home: Path, source: Log) -> int:
    """Copy the log of a server into the home."""
    with closing(SqliteEventLog(home / COPIES / LOG)) as target:
        return follow_log(source, target)


def copy_hot(home: Path, source: HotStore) -> None:
    """Copy the hot tier of a server into the home."""
    with closing(EmbeddedHotStore(home / COPIES / HOT)) as target:
        for space in {*source.spaces(), *target.spaces()}:
            target.swap(space, source.read(space))


def copy_warm(home: Path, source: SegmentTier) -> int:
    """Copy the warm tier of a server into the home; return how many segments were new."""
    return copy_segments(source, WarmStore(home / COPIES / WARM))


def settle_copies(home: Path) -> list[str]:
    """Put the copies of a restored home where the embedded stores are; return what was put."""
    found, copies = list[str](), home / COPIES
    if (copies / LOG).is_file():
        (home / "warm").mkdir(exist_ok=True)
        (copies / LOG).replace(home / "warm" / "events.db")
        found.append("the event log")
    if (copies / WARM).is_dir():
        shutil.rmtree(home / "warm" / "tables", ignore_errors=True)
        (home / "warm").mkdir(exist_ok=True)
        (copies / WARM).rename(home / "warm" / "tables")
        found.append("the warm tier")
    if (copies / HOT).is_file():
        EmbeddedHotStore(home / "hot" / "hot.db").close()
        with closing(sqlite3.connect(copies / HOT)) as source:
            cells = source.execute("select space, key, value from cells").fetchall()
        with closing(sqlite3.connect(home / "hot" / "hot.db")) as target, target:
            target.executemany("insert or replace into cells values (?, ?, ?)", cells)
        found.append("the hot tier")
    if (copies / COLD).is_dir():
        shutil.rmtree(home / "cold", ignore_errors=True)
        (copies / COLD).rename(home / "cold")
        found.append("the cold tier")
    shutil.rmtree(copies, ignore_errors=True)
    return found
