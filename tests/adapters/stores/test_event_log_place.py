"""A log whose files are gone, or lie elsewhere, acknowledges nothing."""

from pathlib import Path

import pytest

from adapters.stores.event_log_sqlite import SqliteEventLog
from tests.adapters.stores.event_log_contract import make_event


@pytest.mark.parametrize("suffix", ["", "-wal"])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_log_that_was_deleted_acknowledges_nothing(
    tmp_path: Path, suffix: str, *, replaced: bool
) -> None:
    """The open file goes on taking what is written, and nobody finds it again: it was traded on."""
    path = tmp_path / "events.db"
    log = SqliteEventLog(path)
    log.append([make_event(1)])
    taken = path.with_name(path.name + suffix)
    content = taken.read_bytes()
    taken.unlink()
    if replaced:
        taken.write_bytes(content)

    for _ in range(2):  # and an append that is tried again has not been taken either
        with pytest.raises(OSError, match="must stay where it was opened"):
            log.append([make_event(2)])
    log.close()


def test_a_log_stays_where_it_was_opened_when_its_process_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log = SqliteEventLog(Path("log.db"))
    monkeypatch.chdir("/")
    assert len(log.append([make_event(1)])) == 1
    log.close()
