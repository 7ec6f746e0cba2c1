"""The Delta table store under several writers, kills and torn files."""

import os
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from adapters.stores.delta_commits import DeltaCommits
from adapters.stores.tables_delta import DeltaTableStore
from tests.adapters.stores.test_tables_delta import DAY, KEY, NOON, make_rows

ROOT = Path(__file__).parents[3]
WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
import polars as pl
from adapters.stores.delta_commits import DeltaCommits
from adapters.stores.tables_delta import DeltaTableStore
store = DeltaTableStore(Path(sys.argv[1]))
first, step, count = (int(a) for a in sys.argv[2:5])
for i in range(first, first + step * count, step):
    time = datetime(2024, 1, 2, 12, tzinfo=UTC) + timedelta(days=i)
    known = time + timedelta(minutes=15)
    row = {"instrument_id": "US.A", "event_time": time, "knowledge_time": known, "close": float(i)}
    row |= {"source": "file@1", "source_row": 0}
    store.append("bars", pl.DataFrame([row]), key=("instrument_id", "event_time"))
    print(i, flush=True)
"""


def start_writer(root: Path, *numbers: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), *map(str, numbers)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_writers_of_the_same_rows_add_each_row_once(tmp_path: Path) -> None:
    writers = [start_writer(tmp_path, 0, 1, 12) for _ in range(2)]
    assert [w.wait() for w in writers] == [0, 0]

    assert DeltaTableStore(tmp_path).read("bars")["close"].to_list() == [
        float(i) for i in range(12)
    ]


def test_two_writers_of_other_rows_lose_none(tmp_path: Path) -> None:
    writers = [start_writer(tmp_path, first, 2, 8) for first in (0, 1)]
    assert [w.wait() for w in writers] == [0, 0]

    store = DeltaTableStore(tmp_path)
    assert store.read("bars")["close"].to_list() == [float(i) for i in range(16)]
    assert store.version("bars") == 15


def test_a_killed_writer_leaves_whole_versions_and_all_it_acknowledged(tmp_path: Path) -> None:
    writer = start_writer(tmp_path, 0, 1, 10_000)
    assert writer.stdout is not None
    for _ in range(5):
        writer.stdout.readline()
    time.sleep(0.013)  # somewhere within a write
    writer.kill()
    acknowledged = max([4, *(int(line) for line in writer.stdout.read().split())])
    writer.wait()

    store = DeltaTableStore(tmp_path)
    rows = store.read("bars")["close"].to_list()

    assert rows == [float(i) for i in range(len(rows))]
    assert len(rows) > acknowledged
    again = store.append("bars", make_rows(*map(float, range(len(rows) + 1))), key=KEY)
    assert again.inserted_row_count == 1


def test_data_that_no_version_names_are_not_seen(tmp_path: Path) -> None:
    store = DeltaTableStore(tmp_path)
    store.append("bars", make_rows(1.0), key=KEY)
    month = next((tmp_path / "bars").glob("_month=*"))
    (month / "part-torn.parquet").write_bytes(b"PAR1 half a file")
    pl.DataFrame({"close": [9.0]}).write_parquet(month / "part-orphan.parquet")

    assert store.read("bars")["close"].to_list() == [1.0]


def test_a_read_opens_only_the_months_asked_for(tmp_path: Path) -> None:
    store = DeltaTableStore(tmp_path)
    store.append("bars", make_rows(*map(float, range(90))), key=KEY)
    for month in (tmp_path / "bars").glob("_month=*"):
        if month.name != "_month=2024-02":
            for file in month.iterdir():
                file.unlink()

    start, end = NOON + 31 * DAY, NOON + 50 * DAY

    assert store.read("bars", start=start, end=end).height == 19
    with pytest.raises((OSError, pl.exceptions.PolarsError)):
        store.read("bars")


def test_a_stale_snapshot_cannot_commit_over_a_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer whose view of the table is old must look again before it adds anything."""
    store, other = DeltaTableStore(tmp_path), DeltaTableStore(tmp_path)
    store.append("bars", make_rows(0.0), key=KEY)
    stale = DeltaTable(tmp_path / "bars")
    other.append("bars", make_rows(1.0, first=NOON + DAY), key=KEY)
    views = iter([stale])
    opened = DeltaCommits.open

    def open_stale(self: DeltaCommits, table: str, version: int | None = None) -> DeltaTable:
        return next(views, None) or opened(self, table, version)

    monkeypatch.setattr(DeltaCommits, "open", open_stale)
    receipt = store.append("bars", make_rows(1.0, first=NOON + DAY), key=KEY)

    assert receipt.inserted_row_count == 0
    assert store.read("bars").height == 2
