"""The log on disk: its contract, and what it finds after damage, races and kills."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.stores.event_log_sqlite import SqliteEventLog
from swarm_core.ports import ConcurrentAppendError
from tests.adapters.stores.event_log_contract import CheckedLog, EventLogContract, make_event


class TestSqliteEventLog(EventLogContract):
    @pytest.fixture
    def open_log(self, tmp_path: Path) -> Callable[[], CheckedLog]:
        return lambda: SqliteEventLog(tmp_path / "log.db")


def written(path: Path, count: int = 12) -> list[object]:
    """Write a log into one file, with nothing left in its WAL, and return its events."""
    log = SqliteEventLog(path)
    log.append([make_event(i) for i in range(count)])
    events = [r.event for r in log.read()]
    log.close()
    with sqlite3.connect(path) as db:
        db.execute("pragma wal_checkpoint(truncate)")
    db.close()
    return events


def problem(path: Path) -> str | None:
    """Return how a damaged log shows that it is damaged, or None where it says it is sound."""
    try:
        log = SqliteEventLog(path)
    except OSError as error:
        return str(error)
    report = log.verify()
    log.close()
    return None if report.sound else report.detail


def test_a_changed_byte_anywhere_is_found_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    events = written(path)
    sound = path.read_bytes()
    unseen = 0
    for place in range(100, len(sound), 37):
        damaged = bytearray(sound)
        damaged[place] ^= 0x5A
        path.write_bytes(damaged)
        if problem(path) is None:
            log = SqliteEventLog(path)
            assert [r.event for r in log.read()] == events, f"byte {place} changed an event unseen"
            log.close()
            unseen += 1
        for left in tmp_path.glob("log.db-*"):
            left.unlink()
    assert unseen < len(sound) / 37


@pytest.mark.parametrize("column", ["body", "hash", "event_id", "sequence"])
def test_a_changed_record_is_found(tmp_path: Path, column: str) -> None:
    path = tmp_path / "log.db"
    written(path)
    changes = {
        "body": "update events set body = cast(replace(body, 'gaps', 'GAPS') as blob)",
        "hash": "update events set hash = zeroblob(32)",
        "event_id": "update events set event_id = 'other'",
        "sequence": "update events set sequence = 999",
    }
    with sqlite3.connect(path) as db:
        db.execute(f"{changes[column]} where sequence = 5")
    db.close()

    assert problem(path) is not None


@pytest.mark.parametrize("where", ["sequence = 12", "sequence > 3", "sequence = 1", "true"])
def test_a_missing_record_is_found(tmp_path: Path, where: str) -> None:
    path = tmp_path / "log.db"
    written(path)
    with sqlite3.connect(path) as db:
        db.execute(f"delete from events where {where}")
    db.close()

    assert problem(path) is not None


def test_a_file_cut_short_is_found(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    written(path, count=200)
    whole = path.read_bytes()
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        assert problem(path) is not None


def test_a_torn_last_write_loses_only_what_was_not_committed(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = SqliteEventLog(path)
    log.append([make_event(1)])
    before = (tmp_path / "log.db-wal").stat().st_size
    log.append([make_event(2)])
    base, wal = path.read_bytes(), (tmp_path / "log.db-wal").read_bytes()
    log.close()
    for cut in range(before, len(wal), 97):
        copy = tmp_path / f"torn-{cut}.db"
        copy.write_bytes(base)
        (tmp_path / f"torn-{cut}.db-wal").write_bytes(wal[:cut])
        torn = SqliteEventLog(copy)
        assert torn.verify().sound
        assert [r.event for r in torn.read()] == [make_event(1)]
        torn.append([make_event(2)])
        assert torn.last_sequence() == 2
        torn.close()


def test_of_many_writers_that_expect_the_same_end_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    SqliteEventLog(path).append([make_event(0)])
    outcomes: list[str] = []

    def race(number: int) -> None:
        log = SqliteEventLog(path)
        try:
            log.append([make_event(number)], expected_sequence=1)
            outcomes.append("won")
        except ConcurrentAppendError:
            outcomes.append("lost")

    threads = [threading.Thread(target=race, args=(i,)) for i in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["lost"] * 5 + ["won"]
    assert SqliteEventLog(path).verify().sound


WRITER = """
import sys
from pathlib import Path
from adapters.stores.event_log_sqlite import SqliteEventLog
from tests.adapters.stores.event_log_contract import make_event
log = SqliteEventLog(Path(sys.argv[1]))
for i in range(100_000):
    log.append([make_event(i)])
    print(i, flush=True)
"""


def test_nothing_acknowledged_is_lost_to_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(40)]
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().split()]
        process.wait()

        log = SqliteEventLog(path)
        assert log.verify().sound
        assert log.last_sequence() >= max(acknowledged) + 1
        log.close()


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "log.db"
    folder.mkdir()

    with pytest.raises(OSError, match="must be a readable log"):
        SqliteEventLog(folder)


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    log.append([make_event(1)])
    log._db.execute("pragma max_page_count = 10")

    with pytest.raises(OSError, match="must be writable"):
        log.append([make_event(i, reason="x" * 4_000) for i in range(2, 60)])

    assert [r.event for r in log.read()] == [make_event(1)]
    log._db.execute("pragma max_page_count = 1000000")
    log.append([make_event(2)])
    assert log.verify().sound
