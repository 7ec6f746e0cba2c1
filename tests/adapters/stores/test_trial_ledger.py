"""The trial ledger: what is written stays, in order, from any number of processes."""

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.stores.trial_ledger import SqliteTrialLedger

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> SqliteTrialLedger:
    """A ledger with three records."""
    made = SqliteTrialLedger(tmp_path / "trials.db", clock=lambda: NOON)
    for n in range(3):
        made.append({"kind": "launched", "trial_id": str(n)})
    return made


def _tampered(ledger: SqliteTrialLedger, statement: str) -> None:
    with sqlite3.connect(ledger.path) as database:
        for trigger in ("trials_stand", "trials_stay"):
            database.execute(f"drop trigger {trigger}")
        database.execute(statement)


def test_records_come_back_in_order_and_dated(ledger: SqliteTrialLedger) -> None:
    """Each record has its own fields and the time it was written."""
    assert [r["trial_id"] for r in ledger.records()] == ["0", "1", "2"]
    assert {r["recorded_at"] for r in ledger.records()} == {NOON.isoformat()}


@pytest.mark.parametrize("statement", ["delete from trials", "update trials set body = x'00'"])
def test_an_ordinary_statement_changes_nothing(ledger: SqliteTrialLedger, statement: str) -> None:
    """The database itself refuses to forget or to change a trial."""
    with (
        sqlite3.connect(ledger.path) as database,
        pytest.raises(sqlite3.IntegrityError, match="a trial on record must"),
    ):
        database.execute(statement)
    assert len(ledger.records()) == 3


@pytest.mark.parametrize(
    "statement",
    [
        "delete from trials where sequence = 2",
        "delete from trials where sequence = 3",
        "update trials set body = x'7b7d' where sequence = 1",
    ],
)
def test_what_was_cut_out_is_noticed(ledger: SqliteTrialLedger, statement: str) -> None:
    """A count taken from a ledger that was tampered with is refused."""
    _tampered(ledger, statement)
    assert not ledger.verify().sound
    with pytest.raises(OSError, match="must be sound"):
        ledger.records()


def test_two_processes_write_at_once(ledger: SqliteTrialLedger) -> None:
    """Neither loses a record of the other, and the chain stands."""
    code = (
        "import sys; from pathlib import Path\n"
        "from adapters.stores.trial_ledger import SqliteTrialLedger\n"
        "made = SqliteTrialLedger(Path(sys.argv[1]))\n"
        "for n in range(20): made.append({'kind': 'launched', 'trial_id': sys.argv[2] + str(n)})\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(ledger.path), name]) for name in "ab"
    ]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    assert len({r["trial_id"] for r in ledger.records()}) == 43
    assert ledger.verify().sound


def test_a_place_that_cannot_be_written_is_an_operating_system_error(tmp_path: Path) -> None:
    """A file that is no database is told with its path."""
    path = tmp_path / "trials.db"
    path.write_text("no database " * 100)
    with pytest.raises(OSError, match=r"trials\.db must be writable"):
        SqliteTrialLedger(path)
