"""The head of the embedded log keeps the times of the newest appends until they are many."""

import sqlite3
from itertools import count
from pathlib import Path

import pytest

from adapters.stores.event_log_sqlite import SqliteEventLog
from tests.adapters.stores.event_log_contract import make_event
from tests.adapters.stores.event_log_files import problem

APPENDS = 250  # more than twice what the head keeps
OLD_HEAD = """
create table head (
    only integer primary key check (only = 1), sequence integer not null, hash blob not null
);
"""


def opened(path: Path, first: int = 1) -> SqliteEventLog:
    return SqliteEventLog(path, time_ns=count(first).__next__)


def table_count(path: Path) -> int:
    db = sqlite3.connect(path)
    found = db.execute("select count(*) from written").fetchone()[0]
    db.close()
    return int(found)


def test_times_are_the_same_wherever_they_stand(tmp_path: Path) -> None:
    """Another reader finds each append once, before and after its time was moved to the table."""
    path = tmp_path / "log.db"
    log, other = opened(path), opened(path)
    seen = set[int]()
    for number in range(1, APPENDS + 1):
        log.append([make_event(number)])
        assert other.written(number - 3) == [
            (i, i, i) for i in range(max(1, number - 2), number + 1)
        ]
        seen.add(table_count(path))

    assert sorted(seen) == [0, 101, 202]
    assert other.written() == [(i, i, i) for i in range(1, APPENDS + 1)]
    assert other.written(90, 210) == [(i, i, i) for i in range(91, 211)]
    assert log.verify().sound
    log.close()
    other.close()


def test_a_head_without_times_goes_on_as_it_was(tmp_path: Path) -> None:
    """A file of an earlier release may have a writer of that release at this moment."""
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    db = sqlite3.connect(old)
    db.executescript(OLD_HEAD)
    db.close()
    logs = opened(old), opened(new)
    for number in range(APPENDS):
        for log in logs:
            log.append([make_event(2 * number), make_event(2 * number + 1)])

    assert logs[0].written() == logs[1].written()
    assert list(logs[0].read()) == list(logs[1].read())
    assert logs[0].verify() == logs[1].verify()
    assert (table_count(old), table_count(new)) == (APPENDS, 202)
    found = sqlite3.connect(old).execute("select * from head").fetchall()
    assert [len(row) for row in found] == [3]


def test_times_that_are_cut_are_told_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = opened(path)
    log.append([make_event(1)])
    log.close()
    with sqlite3.connect(path) as db:
        db.execute("update head set times = x'0102'")
    db.close()

    told = problem(path)

    assert told is not None
    assert "whole times" in told
    with pytest.raises(OSError, match="must hold whole times, held 2 bytes"):
        opened(path)
