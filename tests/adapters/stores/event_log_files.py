"""Logs in files of their own, written to be damaged, and what is found in them."""

import sqlite3
from pathlib import Path

from adapters.stores.event_log_sqlite import SqliteEventLog
from tests.adapters.stores.event_log_contract import make_event


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
