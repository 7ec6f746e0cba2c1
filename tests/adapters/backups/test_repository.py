"""Backups: whole, incremental, taken while others write, and never half restored."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.backups.blocks import BLOCK_BYTES, BackupCorruptionError
from adapters.backups.home_parts import files_of
from adapters.backups.repository import BackupRepository

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def write_home(home: Path, rows: int = 100) -> None:
    """A home with a database, large and small files, and what is not to be backed up."""
    for name, content in {
        "cold/bars/part-1.parquet": os.urandom(BLOCK_BYTES + 5),
        "cold/bars/_delta_log/0.json": b"{}",
        "models/m/1/model.txt": b"tree",
        "control/halt.json": b'{"reason": "drill"}',
        "empty/none": b"",
        "cache/wheel.whl": b"again",
        "control/book.lock": b"me",
        "warm/events.db-anchor": b"x",
    }.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    path = home / "warm" / "events.db"
    with sqlite3.connect(path) as db:
        db.execute("pragma journal_mode=wal")
        db.execute("create table if not exists t (n integer primary key, text text)")
        db.executemany("insert into t (text) values (?)", [(str(n) * 50,) for n in range(rows)])


def content_of(home: Path) -> dict[str, bytes]:
    """Return the bytes of every file, of a database its rows."""
    found: dict[str, bytes] = {}
    for path in files_of(home):
        if path.suffix == ".db":
            with sqlite3.connect(home / path) as db:
                found[path.as_posix()] = repr(db.execute("select * from t").fetchall()).encode()
        else:
            found[path.as_posix()] = (home / path).read_bytes()
    return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_home(tmp_path / "a höme #1 (100%)?")
    return tmp_path / "a höme #1 (100%)?"


def test_what_is_restored_is_what_was_there(home: Path, tmp_path: Path) -> None:
    repository = BackupRepository(tmp_path / "backups")
    report = repository.take(home, NOON)
    manifest = repository.read(report.name)
    repository.verify(manifest)
    repository.restore(manifest, tmp_path / "back")
    assert content_of(tmp_path / "back") == content_of(home)
    assert not (tmp_path / "back" / "cache").exists()
    assert not (tmp_path / "back" / "control" / "book.lock").exists()


def test_the_log_is_copied_before_all_that_it_names(home: Path) -> None:
    names = [p.as_posix() for p in files_of(home)]
    assert names[0] == "warm/events.db"
    assert names.index("control/halt.json") < names.index("cold/bars/part-1.parquet")


def test_a_second_backup_writes_only_what_is_new(home: Path, tmp_path: Path) -> None:
    repository = BackupRepository(tmp_path / "backups")
    repository.take(home, NOON)
    (home / "models" / "m" / "1" / "model.txt").write_bytes(b"another tree")
    (home / "cold" / "new").write_bytes(b"n" * 10)
    second = repository.take(home, NOON + timedelta(minutes=1))
    assert second.new_byte_count == len(b"another tree") + 10


def test_each_moment_can_be_gone_back_to(home: Path, tmp_path: Path) -> None:
    repository = BackupRepository(tmp_path / "backups")
    states: list[dict[str, bytes]] = []
    for minute in range(3):
        write_home(home, rows=minute + 1)
        states.append(content_of(home))
        repository.take(home, NOON + timedelta(minutes=minute))
    for minute, state in enumerate(states):
        manifest = repository.find_at(NOON + timedelta(minutes=minute, seconds=30))
        assert manifest is not None
        repository.restore(manifest, tmp_path / f"back{minute}")
        assert content_of(tmp_path / f"back{minute}") == state
    assert repository.find_at(NOON - timedelta(seconds=1)) is None
    newest = repository.find_at(None)
    assert newest is not None
    assert newest.moment == NOON + timedelta(minutes=2)


def test_a_database_that_is_written_to_is_copied_as_of_one_transaction(
    home: Path, tmp_path: Path
) -> None:
    """A writer keeps two rows equal in each transaction; so they are in every backup."""
    path = home / "warm" / "events.db"
    with sqlite3.connect(path) as db:
        db.execute("insert into t values (1000, '0'), (1001, '0')")
    stop = threading.Event()

    def write() -> None:
        database = sqlite3.connect(path, timeout=30)
        number = 0
        while not stop.is_set():
            number += 1
            with database:
                database.execute("update t set text = ? where n = 1000", (str(number),))
                database.execute("update t set text = ? where n = 1001", (str(number),))
        database.close()

    writer = threading.Thread(target=write)
    writer.start()
    repository = BackupRepository(tmp_path / "backups")
    try:
        for n in range(5):
            repository.take(home, NOON + timedelta(seconds=n))
    finally:
        stop.set()
        writer.join()
    for n, name in enumerate(repository.names()):
        repository.restore(repository.read(name), tmp_path / f"b{n}")
        with sqlite3.connect(tmp_path / f"b{n}" / "warm" / "events.db") as db:
            ((one,), (two,)) = db.execute("select text from t where n >= 1000").fetchall()
        assert one == two


def test_a_damaged_block_is_found_and_nothing_is_restored(home: Path, tmp_path: Path) -> None:
    repository = BackupRepository(tmp_path / "backups")
    manifest = repository.read(repository.take(home, NOON).name)
    block = max((tmp_path / "backups" / "blocks").glob("*/*"), key=lambda p: p.stat().st_size)
    data = bytearray(block.read_bytes())
    data[len(data) // 2] ^= 1
    block.write_bytes(bytes(data))
    with pytest.raises(BackupCorruptionError):
        repository.verify(manifest)
    with pytest.raises(BackupCorruptionError):
        repository.restore(manifest, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert not list(tmp_path.glob(".back*"))


def test_a_changed_manifest_is_refused(home: Path, tmp_path: Path) -> None:
    repository = BackupRepository(tmp_path / "backups")
    name = repository.take(home, NOON).name
    path = tmp_path / "backups" / "manifests" / f"{name}.json"
    path.write_text(path.read_text().replace("model.txt", "other.txt"))
    with pytest.raises(BackupCorruptionError, match="was changed"):
        repository.find_at(None)


def test_a_home_that_holds_something_is_not_restored_over(home: Path, tmp_path: Path) -> None:
    repository = BackupRepository(tmp_path / "backups")
    manifest = repository.read(repository.take(home, NOON).name)
    before = content_of(home)
    with pytest.raises(ValueError, match="must be empty or not there"):
        repository.restore(manifest, home)
    assert content_of(home) == before


def test_forgetting_keeps_the_newest_whole(home: Path, tmp_path: Path) -> None:
    repository = BackupRepository(tmp_path / "backups")
    for minute in range(4):
        (home / "models" / "m" / "1" / "model.txt").write_bytes(os.urandom(100))
        repository.take(home, NOON + timedelta(minutes=minute))
    gone, freed = repository.forget(2)
    assert (gone, len(repository.names())) == (2, 2)
    assert freed > 0
    for name in repository.names():
        repository.verify(repository.read(name))
    with pytest.raises(ValueError, match="keep must be at least 1"):
        repository.forget(0)


def test_forgetting_waits_for_a_backup_under_way(home: Path, tmp_path: Path) -> None:
    """Its blocks are in no manifest yet: they are not taken for what nobody uses."""
    root = tmp_path / "backups"
    BackupRepository(root).take(home, NOON)
    (home / "models" / "m" / "1" / "model.txt").write_bytes(os.urandom(100))
    forgotten: list[tuple[int, int]] = []
    other = threading.Thread(target=lambda: forgotten.append(BackupRepository(root).forget(1)))

    def tell(_: str) -> None:  # said when the last file's blocks are there
        other.start()
        other.join(0.3)

    report = BackupRepository(root).take(home, NOON + timedelta(minutes=1), tell=tell)
    other.join(10)
    assert [gone for gone, _ in forgotten] == [1]
    assert BackupRepository(root).names() == [report.name]
    BackupRepository(root).verify(BackupRepository(root).read(report.name))


_TAKE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from adapters.backups.blocks import BlockStore
from adapters.backups.repository import BackupRepository
left = int(sys.argv[3])
put = BlockStore.put
def dying(self, data):
    global left
    left -= 1
    if left == 0:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
    return put(self, data)
BlockStore.put = dying
BackupRepository(Path(sys.argv[1])).take(Path(sys.argv[2]), datetime(2026, 1, 3, tzinfo=UTC))
"""


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_backup_that_is_killed_is_none_and_the_next_is_whole(
    home: Path, tmp_path: Path, at: int
) -> None:
    backups = tmp_path / "backups"
    killed = subprocess.run([sys.executable, "-c", _TAKE, str(backups), str(home), str(at)])
    assert killed.returncode == -signal.SIGKILL
    repository = BackupRepository(backups)
    assert repository.names() == []
    repository.restore(repository.read(repository.take(home, NOON).name), tmp_path / "back")
    assert content_of(tmp_path / "back") == content_of(home)


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sizes=st.lists(st.sampled_from([0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1])))
def test_files_of_every_size_come_back(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    root = tmp_path_factory.mktemp("sizes")
    (root / "home").mkdir()
    for n, size in enumerate(sizes):
        (root / "home" / f"{n}").write_bytes(os.urandom(size))
    repository = BackupRepository(root / "backups")
    repository.restore(repository.read(repository.take(root / "home", NOON).name), root / "back")
    assert content_of(root / "back") == content_of(root / "home")


def test_a_database_that_cannot_be_copied_is_one_line(tmp_path: Path) -> None:
    """Its head is damaged, as on a full disk the copy would be: sqlite3 says so, and we do."""
    home = tmp_path / "home"
    write_home(home)
    damaged = home / "bus" / "offsets.db"
    damaged.parent.mkdir()
    damaged.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5_000)

    with pytest.raises(OSError, match=r"must be copied to .*, was not") as told:
        BackupRepository(tmp_path / "backups").take(home, NOON)

    assert len(str(told.value).splitlines()) == 1
    assert not BackupRepository(tmp_path / "backups").names()


def test_a_full_disk_is_one_line_and_the_next_try_is_whole(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, sync = BackupRepository(tmp_path / "backups"), os.fsync

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space is left on its disk: no backup was taken") as told:
        repository.take(home, NOON)
    assert str(repository.root) in str(told.value)
    assert repository.names() == []
    monkeypatch.setattr(os, "fsync", sync)
    manifest = repository.read(repository.take(home, NOON).name)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space is left on its disk: nothing was restored"):
        repository.restore(manifest, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    monkeypatch.setattr(os, "fsync", sync)
    repository.restore(manifest, tmp_path / "again")
    assert files_of(tmp_path / "again") == files_of(home)


def test_a_block_that_is_gone_is_written_again_by_the_next_backup(
    home: Path, tmp_path: Path
) -> None:
    repository = BackupRepository(tmp_path / "backups")
    first = repository.read(repository.take(home, NOON).name)
    saved = next(f for f in first.files if f.path == "cold/bars/part-1.parquet")
    (tmp_path / "backups" / "blocks" / saved.blocks[0][:2] / saved.blocks[0]).unlink()

    again = repository.read(repository.take(home, NOON + timedelta(minutes=1)).name)

    repository.verify(again)
    repository.verify(first)
