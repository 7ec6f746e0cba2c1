"""The whole embedded log checked: file, chain, ids, index, head and anchor."""

import sqlite3
from collections.abc import Callable, Iterator

from adapters.stores.event_log_anchor import Anchor
from adapters.stores.event_log_bytes import find_event_id
from adapters.stores.event_log_frames import Frame, key_of, unpack
from adapters.stores.event_log_head import Head
from swarm_core.event_chain import ChainReport, check_chain

_PROBES_MAX = 64  # ids of one number lie side by side; so many never will


class _Checked:
    """The rows of a log on their way to the chain; keeps the first that is misnamed."""

    def __init__(self, db: sqlite3.Connection, promised: tuple[int, bytes] | None) -> None:
        self._db, self._promised = db, promised
        self.misnamed: int | None = None
        self.broken_promise = promised is not None
        self._index = db.execute("select sequence, key from ids order by sequence")
        through = db.execute("select through from indexed").fetchone()
        self._through = 0 if through is None else through[0]

    def rows(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield each record's sequence, bytes and hash."""
        for sequence, body, digest in self._rows():
            if (sequence, digest) == self._promised:
                self.broken_promise = False
            yield sequence, body, digest

    def _rows(self) -> Iterator[tuple[int, bytes, bytes]]:
        old = "select 1 from sqlite_master where name = 'events'"
        if self._db.execute(old).fetchone() is not None:
            query = "select sequence, event_id, body, hash from events order by sequence"
            for sequence, event_id, body, digest in self._db.execute(query):
                named = find_event_id(bytes(body)) == event_id
                self._check(sequence, key_of(event_id), key_of(event_id) if named else -1)
                yield sequence, bytes(body), bytes(digest)
        frames = map(Frame._make, self._db.execute("select * from frames order by last"))
        for sequence, body, digest, key in unpack(frames):
            self._check(sequence, key, key_of(find_event_id(body) or ""))
            yield sequence, body, digest

    def _check(self, sequence: int, key: int, natural: int) -> None:
        sound = 0 <= key - natural < _PROBES_MAX
        if sequence <= self._through:
            indexed = next(self._index, (0, 0))
            sound = sound and indexed[0] == sequence and 0 <= indexed[1] - natural < _PROBES_MAX
        if not sound and self.misnamed is None:
            self.misnamed = sequence


def verify_file(
    db: sqlite3.Connection,
    read_head: Callable[[sqlite3.Connection], Head],
    anchor: Anchor,
) -> ChainReport:
    """Return what is wrong first, in the order in which a person would have to mend it.

    The anchor is read before anything of the file: it is written after an append, so that one
    read later could promise what the reader's moment does not hold yet.
    """
    try:
        promised = anchor.read()
        head = read_head(db)
        sound = db.execute("pragma integrity_check").fetchone()[0]
        if sound != "ok":
            return _bad(0, f"the file must be sound, and is not: {sound}")
        checked = _Checked(db, promised)
        report = check_chain(checked.rows())
    except (sqlite3.Error, TypeError, ValueError, AttributeError) as error:
        return _bad(0, f"the file must be readable, and is not: {error}")
    if not report.sound:
        return report
    if checked.misnamed is not None:
        detail = f"record {checked.misnamed} must be found under its own event id, and is not"
        return _bad(checked.misnamed - 1, detail, report.head)
    if (report.checked_count, report.head) != (head.sequence, head.hash.hex()):
        detail = f"the last record must be {head.sequence}, was {report.checked_count}"
        return _bad(report.checked_count, detail, report.head)
    if promised is not None and checked.broken_promise:
        detail = f"record {promised[0]} must be there as it was acknowledged, and is not"
        return _bad(report.checked_count, detail, report.head)
    return report


def _bad(checked_count: int, detail: str, head: str = "") -> ChainReport:
    return ChainReport(checked_count, checked_count + 1, " ".join(detail.split()), head)
