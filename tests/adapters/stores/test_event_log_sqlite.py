"""The log on disk: its contract, and what it finds after damage, races and kills."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from adapters.stores.event_log_appends import EventConflictError, Request
from adapters.stores.event_log_ids import INDEX_AT
from adapters.stores.event_log_sqlite import SqliteEventLog
from swarm_core.events import encode
from swarm_core.ports import ConcurrentAppendError
from tests.adapters.stores.event_log_contract import (
    CheckedLog,
    EventLogContract,
    check_times_of_writing,
    make_event,
)
from tests.adapters.stores.event_log_files import problem, written


class TestSqliteEventLog(EventLogContract):
    @pytest.fixture
    def open_log(self, tmp_path: Path) -> Callable[[], CheckedLog]:
        return lambda: SqliteEventLog(tmp_path / "log.db")


def test_when_records_were_written_is_noted_and_copied(tmp_path: Path) -> None:
    clocks = [count(1), count(1)]
    log, copy = (
        SqliteEventLog(tmp_path / f"{n}.db", time_ns=clock.__next__)
        for n, clock in enumerate(clocks)
    )
    check_times_of_writing(log, copy)


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
            left.unlink(missing_ok=True)
    assert unseen < len(sound) / 37


CHANGES = {
    "bodies": "update frames set bodies = cast(replace(bodies, 'gaps', 'GAPS') as blob) "
    "where last = 5",
    "hashes": "update frames set hashes = zeroblob(32) where last = 5",
    "keys": "update frames set keys = zeroblob(8) where last = 5",
    "fewer keys": "update frames set keys = x'' where last = 5",
    "place": "update frames set last = 999 where last = 5",
    "record": "delete from frames where last = 5",
    "first": "delete from frames where last = 1",
    "last": "delete from frames where last = 12",
    "end": "delete from frames where last > 3",
    "all": "delete from frames",
    "head": "delete from head",
    "head, to an earlier record": "update head set sequence = 11",
    "end and head": "delete from frames where last > 11; update head set sequence = 11, "
    "hash = (select hashes from frames where last = 11)",
    "everything": "delete from frames; delete from head",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_change_by_hand_is_found(tmp_path: Path, change: str) -> None:
    path = tmp_path / "log.db"
    log = SqliteEventLog(path)
    for number in range(12):
        log.append([make_event(number)])
    log.close()
    with sqlite3.connect(path) as db:
        db.executescript(change)
    db.close()

    told = problem(path)

    assert told is not None
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("change", ["delete from ids where sequence = 7",
                                    "update ids set key = 5 where sequence = 7"])  # fmt: skip
def test_a_changed_index_of_ids_is_found(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id that is not found any more would let its event be written twice."""
    monkeypatch.setattr("adapters.stores.event_log_ids.FLUSH_AT", 10)
    path = tmp_path / "log.db"
    written(path)
    with sqlite3.connect(path) as db:
        db.execute(change)
    db.close()

    assert problem(path) is not None


def test_a_history_that_was_written_anew_is_found(tmp_path: Path) -> None:
    """All hashes follow each other, but they are not those that were acknowledged."""
    path, other = tmp_path / "log.db", tmp_path / "other.db"
    written(path)
    log = SqliteEventLog(other)
    log.append([make_event(i, reason="another") for i in range(12)])
    log.close()
    path.write_bytes(other.read_bytes())

    assert "acknowledged" in str(problem(path))


def test_a_changed_byte_of_the_write_ahead_file_is_found(tmp_path: Path) -> None:
    """SQLite itself takes it for the end of what was written."""
    path, wal = tmp_path / "log.db", tmp_path / "log.db-wal"
    log = SqliteEventLog(path)
    for number in range(20):
        log.append([make_event(number)])
    files = {p.name: p.read_bytes() for p in tmp_path.iterdir() if not p.name.endswith("-shm")}
    log.close()
    for place in range(0, len(files["log.db-wal"]), 1_201):
        for left in tmp_path.iterdir():
            left.unlink(missing_ok=True)
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
        damaged = bytearray(files["log.db-wal"])
        damaged[place] ^= 0x40
        wal.write_bytes(damaged)
        if problem(path) is None:
            copy = SqliteEventLog(path)
            assert copy.last_sequence() == 20, f"byte {place} lost an event unseen"
            copy.close()


def test_an_anchor_that_power_loss_left_empty_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    written(path)
    for left in (b"", bytes(86)):
        (tmp_path / "log.db-anchor").write_bytes(left)
        assert problem(path) is None
    (tmp_path / "log.db-anchor").write_bytes(b"7 is a number\n")
    assert "anchor" in str(problem(path))


def test_ids_are_known_across_writers_and_flushes_of_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two open logs write in turn, and each tells again what the other has written."""
    monkeypatch.setattr("adapters.stores.event_log_ids.FLUSH_AT", 16)
    logs = [SqliteEventLog(tmp_path / "log.db") for _ in range(2)]
    for start in range(0, 120, 7):
        logs[start % 2].append([make_event(i) for i in range(max(0, start - 30), start + 7)])
    logs.append(SqliteEventLog(tmp_path / "log.db"))

    for log in logs:
        again = log.append([make_event(i) for i in range(126)])
        assert [r.sequence for r in again] == list(range(1, 127))
    assert logs[0].verify().sound


def test_ids_that_share_a_number_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.stores.event_log_sqlite.key_of", lambda _: 7)
    monkeypatch.setattr("adapters.stores.event_log_sqlite.keys_of", lambda ids: [7] * len(ids))
    monkeypatch.setattr("adapters.stores.event_log_check.key_of", lambda _: 7)
    monkeypatch.setattr("adapters.stores.event_log_ids.FLUSH_AT", 3)
    log = SqliteEventLog(tmp_path / "log.db")
    log.append([make_event(1), make_event(2)])
    log.append([make_event(3), make_event(2)])
    log.append([make_event(i) for i in range(1, 6)])

    assert [r.event for r in log.read()] == [make_event(i) for i in range(1, 6)]
    with pytest.raises(EventConflictError):
        log.append([make_event(4, reason="another")])
    assert log.verify().sound


def test_appends_of_several_threads_share_commits(tmp_path: Path) -> None:
    """While one commit syncs the disk, the others gather, and the next commit takes them all."""
    log = SqliteEventLog(tmp_path / "log.db")
    commits: list[int] = []
    log._db.set_trace_callback(lambda text: commits.append(1) if text == "commit" else None)
    slow = threading.Barrier(8)

    def write(thread: int) -> None:
        slow.wait()
        for number in range(25):
            log.append([make_event(thread * 100 + number)])

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert log.last_sequence() == 200
    assert len(commits) < 200
    assert log.verify().sound


def test_one_bad_append_of_a_group_fails_alone(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    log.append([make_event(0)])
    group = [
        Request([make_event(1)], [encode(make_event(1))], 1),
        Request([make_event(2)], [encode(make_event(2))], 1),
        Request([make_event(0, "x")], [encode(make_event(0, "x"))], None),
        Request([make_event(1), make_event(3)], [encode(make_event(i)) for i in (1, 3)], None),
    ]

    log._write(group)

    assert [r.sequence for r in group[0].result()] == [2]
    with pytest.raises(ConcurrentAppendError):
        group[1].result()
    with pytest.raises(EventConflictError):
        group[2].result()
    assert [r.sequence for r in group[3].result()] == [2, 3]
    assert [r.event for r in log.read()] == [make_event(i) for i in (0, 1, 3)]


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


def test_what_another_process_indexed_is_known_to_a_filter_that_was_made_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large batches ask a filter of the index first: it may never miss what is there."""
    monkeypatch.setattr("adapters.stores.event_log_ids.FLUSH_AT", INDEX_AT)
    one, other = SqliteEventLog(tmp_path / "events.db"), SqliteEventLog(tmp_path / "events.db")
    first = [make_event(n) for n in range(INDEX_AT + 40)]
    one.append(first)  # indexed, and the filter is made at the next
    one.append([make_event(10**6 + n) for n in range(40)])
    theirs = [make_event(2 * 10**6 + n) for n in range(INDEX_AT + 40)]
    other.append(theirs)

    again = one.append([*first[:40], *theirs[-40:], make_event(10**7)])

    assert [r.sequence for r in again][:40] == list(range(1, 41))
    assert one.last_sequence() == len(first) + 40 + len(theirs) + 1
    assert one.verify().sound


def test_ids_are_indexed_while_nobody_waits(tmp_path: Path) -> None:
    """Also those that another writer has added, and none of them twice."""
    log, other = SqliteEventLog(tmp_path / "events.db"), SqliteEventLog(tmp_path / "events.db")
    mine = [make_event(n) for n in range(INDEX_AT)]
    log.append(mine[:-1])
    log.tend()
    assert indexed(tmp_path / "events.db") == 0
    log.append(mine[-1:])
    theirs = [make_event(10**6 + n) for n in range(10)]
    other.append(theirs)

    log.tend()

    assert indexed(tmp_path / "events.db") == INDEX_AT + 10
    again = log.append([*mine[-40:], *theirs, make_event(10**7)])
    assert [r.sequence for r in again] == [*range(INDEX_AT - 39, INDEX_AT + 12)]
    assert log.verify().sound
    assert other.append(mine[:1])[0].sequence == 1


def test_no_append_after_tending_reads_the_whole_index(tmp_path: Path) -> None:
    """It took four milliseconds, in which the orders of a decision waited."""
    log = SqliteEventLog(tmp_path / "events.db")
    log.append([make_event(n) for n in range(INDEX_AT)])
    log.tend()
    asked: list[str] = []
    log._db.set_trace_callback(asked.append)

    log.append([make_event(10**6 + n) for n in range(100)])

    assert any("into frames" in statement for statement in asked)
    assert not [statement for statement in asked if statement == "select key from ids"]


def indexed(path: Path) -> int:
    db = sqlite3.connect(path)
    count: int = db.execute("select count(*) from ids").fetchone()[0]
    db.close()
    return count
