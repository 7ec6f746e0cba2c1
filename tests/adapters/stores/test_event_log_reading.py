"""Nobody acts on a stored log that is not what was written, and every record can be found."""

import inspect
import sqlite3
import sys
from pathlib import Path

import psycopg
import pytest

from adapters.stores.event_log_postgres import PostgresEventLog
from adapters.stores.event_log_sqlite import SqliteEventLog
from adapters.stores.postgres_address import PostgresAddress
from tests.adapters.stores.event_log_contract import make_event
from tests.services import postgres_server

NAMED = "record 5 of the event log must be there as it was written"


def single_appends(path: Path, count: int) -> SqliteEventLog:
    log = SqliteEventLog(path)
    for number in range(count):
        log.append([make_event(number)])
    return log


@pytest.mark.parametrize(
    "change",
    [
        "delete from frames where last = 5",
        """update frames set bodies = cast(replace(cast(bodies as text), '"v":', '"v": ') as blob)
        where last = 5""",
        "update frames set hashes = zeroblob(32) where last = 5",
    ],
)
def test_nobody_reads_past_a_record_that_was_changed_or_is_gone(
    tmp_path: Path, change: str
) -> None:
    log = single_appends(tmp_path / "log.db", 12)
    with sqlite3.connect(tmp_path / "log.db") as db:
        assert db.execute(change).rowcount == 1
    db.close()

    with pytest.raises(ValueError, match=NAMED):
        list(log.read())


@pytest.mark.parametrize(
    "change",
    [
        "delete from apiary.events where sequence = 5",
        "update apiary.events set hash = (select hash from apiary.events where sequence = 4) "
        "where sequence = 5",
    ],
)
def test_nor_of_a_log_in_postgres(change: str) -> None:
    with postgres_server() as server:
        log = PostgresEventLog(PostgresAddress(server.url))
        log.append([make_event(number) for number in range(12)])
        with psycopg.connect(server.url) as db:
            assert db.execute(change.encode()).rowcount == 1

        with pytest.raises(ValueError, match=NAMED):
            list(log.read())


def test_a_log_of_single_appends_is_followed_from_any_record(tmp_path: Path) -> None:
    """Each is a frame of its own; to look one up must not walk back over all of them."""
    log = single_appends(tmp_path / "log.db", 200)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 60)
    try:
        assert [r.sequence for r in log.read(199)] == [200]
        assert log.hash_at(200) is not None
        SqliteEventLog(tmp_path / "log.db").close()
    finally:
        sys.setrecursionlimit(limit)


def test_what_comes_before_a_changed_record_of_one_append_is_read(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    log.append([make_event(number) for number in range(12)])
    with sqlite3.connect(tmp_path / "log.db") as db:
        body = bytes(db.execute("select bodies from frames").fetchone()[0])
        changed = body.replace(b'"time_ns":4', b'"time_ns":9')
        assert changed != body
        db.execute("update frames set bodies = ?", (changed,))
    db.close()

    read = log.read()

    assert [next(read).sequence for _ in range(4)] == [1, 2, 3, 4]
    with pytest.raises(ValueError, match=NAMED):
        next(read)


def test_what_comes_before_a_frame_that_is_none_is_read(tmp_path: Path) -> None:
    log = single_appends(tmp_path / "log.db", 12)
    with sqlite3.connect(tmp_path / "log.db") as db:
        db.execute("update frames set keys = x'' where last = 5")
    db.close()

    read = log.read()

    assert [next(read).sequence for _ in range(4)] == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="frame that ends with record 5"):
        next(read)
