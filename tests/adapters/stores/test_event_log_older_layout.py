"""Logs of the older layout, a row for each record: read, added to, and held to their chain."""

import sqlite3
from itertools import count
from pathlib import Path

import pytest

from adapters.stores.event_log_appends import EventConflictError
from adapters.stores.event_log_memory import MemoryEventLog
from adapters.stores.event_log_sqlite import SqliteEventLog
from swarm_core.event_chain import GENESIS, chain_hash
from swarm_core.events import encode
from tests.adapters.stores.event_log_contract import make_event
from tests.adapters.stores.event_log_files import problem

OLD_LAYOUT = """
create table events (
    sequence integer primary key, event_id text not null unique, body blob not null,
    hash blob not null
);
create table head (
    only integer primary key check (only = 1), sequence integer not null, hash blob not null
);
"""


def written_by_an_older_version(path: Path, count: int = 12) -> None:
    """Write a log in the layout of earlier releases: a row for each record."""
    db, previous = sqlite3.connect(path), GENESIS
    db.execute("pragma journal_mode=wal")
    db.executescript(OLD_LAYOUT)
    for number in range(count):
        event = make_event(number)
        digest = chain_hash(previous, number + 1, encode(event))
        row = (number + 1, event.event_id, encode(event), digest)
        db.execute("insert into events values (?, ?, ?, ?)", row)
        previous = digest
    db.execute("insert into head values (1, ?, ?)", (count, previous))
    db.commit()
    db.close()


def test_a_log_of_the_older_layout_is_read_added_to_and_verified(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    written_by_an_older_version(path)
    same = MemoryEventLog()
    same.append([make_event(i) for i in range(20)])

    for _ in range(2):
        log = SqliteEventLog(path)
        log.append([make_event(i) for i in range(5, 20)])
        with pytest.raises(EventConflictError):
            log.append([make_event(3, reason="another")])
        assert list(log.read()) == list(same.read())
        assert [r.sequence for r in log.read(after_sequence=11)] == list(range(12, 21))
        assert log.verify() == same.verify()
        log.close()


ROW_CHANGES = {
    "body": "update events set body = cast(replace(body, 'gaps', 'GAPS') as blob)",
    "hash": "update events set hash = zeroblob(32)",
    "event_id": "update events set event_id = 'other'",
    "sequence": "update events set sequence = 999",
}


@pytest.mark.parametrize("change", ROW_CHANGES.values(), ids=list(ROW_CHANGES))
def test_a_changed_record_of_the_older_layout_is_found(tmp_path: Path, change: str) -> None:
    path = tmp_path / "log.db"
    written_by_an_older_version(path)
    with sqlite3.connect(path) as db:
        db.execute(f"{change} where sequence = 5")
    db.close()

    assert problem(path) is not None


@pytest.mark.parametrize("left", [0, 7])
def test_rows_that_vanish_under_a_reader_are_missed(tmp_path: Path, left: int) -> None:
    """All or the last of them deleted while the log is open: one line, no half of a story."""
    path = tmp_path / "log.db"
    written_by_an_older_version(path)
    log = SqliteEventLog(path)
    log.append([make_event(i) for i in range(12, 15)])
    with sqlite3.connect(path) as db:
        db.execute("delete from events where sequence > ?", (left,))
    db.close()
    with pytest.raises(ValueError, match=f"record {left + 1} of the event log must be there"):
        list(log.read())
    log.close()


def test_times_of_an_older_file_are_read_and_added_to(tmp_path: Path) -> None:
    """Their key had an index of its own, a page more to write; a new file has none."""
    new = SqliteEventLog(tmp_path / "new.db", time_ns=count(1).__next__)
    db = sqlite3.connect(tmp_path / "old.db")
    db.execute(
        "create table written "
        "(first bigint primary key, last bigint not null, time_ns bigint not null)"
    )
    db.close()
    old = SqliteEventLog(tmp_path / "old.db", time_ns=count(1).__next__)

    for number in range(3):
        for log in (new, old):
            log.append([make_event(2 * number), make_event(2 * number + 1)])

    assert old.written() == new.written() == [(1, 2, 1), (3, 4, 2), (5, 6, 3)]
    assert old.verify() == new.verify()
    asked = "select count(*) from sqlite_master where type = 'index' and tbl_name = 'written'"
    found = [
        sqlite3.connect(tmp_path / name).execute(asked).fetchone() for name in ("new.db", "old.db")
    ]
    assert found == [(0,), (1,)]
