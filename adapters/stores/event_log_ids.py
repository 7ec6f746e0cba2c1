"""Which event ids the embedded log holds: an index on disk, and the newest ones in memory.

Ids are random, so writing each at once would touch a page for every event. The newest wait in
memory and are written in one sorted go; a process that dies finds them again in the frames. A go
costs about as much for many as for few, since each of them lies on a page of its own: it is made
while nobody waits, or else seldom.
"""

import sqlite3
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from adapters.stores.event_log_frames import Frame, unpack

INDEX_AT = 4_096  # while nobody waits
FLUSH_AT = 65_536  # whoever waits: bounds what a start reads again, a tenth of a second
_ASKED_UNFILTERED = 64  # asking the index for fewer keys costs less than making the filter
_COUNTED_ONE_BY_ONE = 24  # fewer keys than these cost less so than as an array
_ASK_AT_ONCE = 500  # SQLite's own limit of parameters is 999 in old builds

SCHEMA = """
create table if not exists ids (key integer primary key, sequence integer not null);
create table if not exists indexed (
    only_row integer primary key check (only_row = 1),
    through integer not null
);
"""


class KeyFilter:
    """Which keys have never been added: it may take a new one for known, and never the reverse.

    One bit a key (Bloom, 1970, with one hash: the keys are hashes already). 4 MB take a million
    keys for one in thirty; what it lets through is asked of the index.
    """

    def __init__(self, bits: int = 2**25) -> None:
        self._bits, self._mask = bytearray(bits // 8), bits - 1
        self._array = np.frombuffer(self._bits, dtype=np.uint8)  # the same bits

    def add(self, keys: Collection[int]) -> None:
        places = np.fromiter(keys, np.int64, len(keys)) & self._mask
        np.bitwise_or.at(self._array, places >> 3, np.left_shift(1, places & 7).astype(np.uint8))

    def candidates(self, keys: Sequence[int]) -> list[int]:
        """Return the keys that may have been added."""
        mask = self._mask
        if len(keys) < _COUNTED_ONE_BY_ONE:
            bits = self._bits
            return [key for key in keys if bits[(key & mask) >> 3] >> (key & 7) & 1]
        places = np.array(keys, np.int64) & mask
        set_bits = self._array[places >> 3] >> (places & 7) & 1
        return [keys[place] for place in np.flatnonzero(set_bits).tolist()]


class EventIds:
    """The index of one log; every method but the first is called inside a transaction of it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._newest: dict[int, int] = {}
        self._disk_is_empty = False  # as far as this log knows: True once it has looked
        self._maybe: KeyFilter | None = None  # of what is on disk; made once many were asked for
        self._asked = 0
        self.seen = -1  # the last record whose id is here or on disk

    def catch_up(self, head: int) -> None:
        """Learn what others wrote, up to the record `head`."""
        if self.seen == head:
            return
        through = self._through()
        self._disk_is_empty = through == 0
        if through > self.seen:
            self._maybe = None  # somebody else has written keys that were never seen here
        after = max(self.seen, through)
        frames = self._db.execute("select * from frames where last > ? order by last", (after,))
        for sequence, _, _, key in unpack(map(Frame._make, frames)):
            if sequence > after:
                self._newest[key] = sequence
        self.seen = head

    def _through(self) -> int:
        row = self._db.execute("select through from indexed").fetchone()
        return 0 if row is None else row[0]

    def find(self, keys: Sequence[int]) -> dict[int, int]:
        """Return the sequence of each key that is taken."""
        newest, found = self._newest, dict[int, int]()
        if not newest.keys().isdisjoint(keys):
            found = {key: newest[key] for key in keys if key in newest}
        if self._disk_is_empty:
            return found
        self._asked += len(keys)
        if self._asked >= _ASKED_UNFILTERED:
            keys = self._on_disk_perhaps(keys)
        for start in range(0, len(keys), _ASK_AT_ONCE):
            part = keys[start : start + _ASK_AT_ONCE]
            marks = ",".join("?" * len(part))
            rows = self._db.execute(f"select key, sequence from ids where key in ({marks})", part)
            found.update(rows)
        return found

    def _on_disk_perhaps(self, keys: Sequence[int]) -> list[int]:
        """Return the keys that may be on disk: seldom one of those that are not."""
        return self._filter().candidates(keys)

    def _filter(self) -> KeyFilter:
        if self._maybe is None:
            self._maybe = KeyFilter()
            self._maybe.add([key for (key,) in self._db.execute("select key from ids")])
        return self._maybe

    def prepare(self) -> None:
        """Make the filter while nobody waits: else a question does, for milliseconds."""
        if not self._disk_is_empty:
            self._filter()

    @property
    def waiting_count(self) -> int:
        """How many keys are not on disk yet."""
        return len(self._newest)

    def flush(self, fresh: dict[int, int], head: int, at: int | None = None) -> bool:
        """Write what waits where it is `at` keys or more; return whether it was written."""
        if len(self._newest) + len(fresh) < (FLUSH_AT if at is None else at):
            return False
        self.write(sorted((*self._newest.items(), *fresh.items())), head)
        return True

    def write(self, pairs: Iterable[tuple[int, int]], head: int) -> None:
        # Another process may have written some of them.
        self._db.executemany("insert or ignore into ids values (?, ?)", pairs)
        self._db.execute("insert or replace into indexed values (1, ?)", (head,))

    def committed(self, fresh: dict[int, int], head: int, *, flushed: bool) -> None:
        """Keep what was committed; to be called after the commit alone."""
        self.seen = head
        if flushed:
            self._disk_is_empty = False
            if self._maybe is not None:
                self._maybe.add(self._newest)
                self._maybe.add(fresh)
            self._newest.clear()
        else:
            self._newest.update(fresh)
