"""Backup and restore of a home: recovery time and recovery point, beside a bare copy of the files.

    python -m benchmarks.backup

A made-up home of about 0.5 GB: a real event log of 50,000 events, and immutable files as the tiers
write them. Times are medians of three rounds, taken in turn, in one run.
"""

import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adapters.backups.repository import BackupRepository
from adapters.stores.event_log_sqlite import SqliteEventLog
from swarm_core import events as ev

RESULT = Path(__file__).parent / "results" / "backup.json"
EVENTS, FILES, FILE_BYTES, ROUNDS = 50_000, 400, 1_200_000, 3
START = datetime(2026, 1, 2, tzinfo=UTC)


def append(log: SqliteEventLog, first: int, count: int) -> None:
    """Append so many events, in batches of a hundred."""
    for start in range(first, first + count, 100):
        log.append(
            [
                ev.PositionMarked(
                    event_id=ev.make_event_id("PositionMarked", n),
                    time_ns=n,
                    instrument_id=f"US.{n % 500}",
                    price_ticks=n,
                    lot_tick_minor=1,
                    currency="USD",
                )
                for n in range(start, start + 100)
            ]
        )


def build(home: Path) -> SqliteEventLog:
    """Write the home and return its open log."""
    log = SqliteEventLog(home / "warm" / "events.db")
    append(log, 0, EVENTS)
    for number in range(FILES):
        path = home / "cold" / "bars" / f"month={number % 60}" / f"{number}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(FILE_BYTES))
    return log


def timed(act: Callable[[], object]) -> float:
    """Return the seconds that it takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def main() -> None:
    """Measure and write the result."""
    with tempfile.TemporaryDirectory(prefix="apiary-backup-bench-") as folder:
        root = Path(folder)
        home = root / "home"
        log = build(home)
        taken: dict[str, list[float]] = {}
        for turn in range(ROUNDS):
            repository = BackupRepository(root / f"backups{turn}")
            back, copy = root / "back", root / "copy"

            def note(name: str, act: Callable[[], object]) -> None:
                taken.setdefault(name, []).append(timed(act))

            note("bare_copy_s", lambda copy=copy: shutil.copytree(home, copy))
            note("first_backup_s", lambda r=repository, t=turn: r.take(home, START))
            append(log, EVENTS + turn * 1_000, 1_000)
            later = START + timedelta(minutes=1)
            note("next_backup_s", lambda r=repository, later=later: r.take(home, later))
            manifest = repository.read(repository.names()[-1])
            note("restore_s", lambda r=repository, m=manifest, back=back: r.restore(m, back))
            restored = SqliteEventLog(back / "warm" / "events.db")
            assert restored.hash_at(restored.last_sequence()) == log.hash_at(log.last_sequence())
            restored.close()
            for path in (back, copy, root / f"backups{turn}"):
                shutil.rmtree(path)
        size = sum(p.stat().st_size for p in home.rglob("*") if p.is_file())
    medians = {name: round(statistics.median(values), 3) for name, values in taken.items()}
    result = {
        "command": "python -m benchmarks.backup",
        "python": platform.python_version(),
        "load_before": os.getloadavg(),
        "home_bytes": size,
        **medians,
        "restore_of_bare_copy": round(medians["restore_s"] / medians["bare_copy_s"], 2),
        "recovery_point_s_with_every_60": round(60 + medians["next_backup_s"], 1),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
