"""From a backup to a later moment: the log of the next backup is followed up to it."""

import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from adapters.backups.repository import BackupCorruptionError, BackupRepository, Manifest
from adapters.backups.server_copies import COPIES
from adapters.stores.event_log_sqlite import SqliteEventLog
from swarm_core.events import RecordedEvent

LOG, HOT = "warm/events.db", "hot/hot.db"
# Where the copies of what lies on servers are, see `server_copies`.
_LOGS, _HOTS = (f"{COPIES}/events.db", LOG), (f"{COPIES}/hot.db", HOT)
# What a decision was made from is added to and never changed: tables of the cold tier, models.
_ADDED_TO = ("cold/", "models/")
_BATCH = 1_000
# An event's own time is that of the machine to within this, or it is the market's of a replay.
_SLACK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Rolled:
    """How far a restored log was followed; `reason` says why no further, where it was not."""

    event_count: int
    last_sequence: int
    reason: str = ""


def roll_forward(
    home: Path, repository: BackupRepository, base: Manifest, later: Manifest, moment: datetime
) -> Rolled:
    """Bring a home that was restored from `base` to a moment before `later` was taken.

    The events of the later log up to the moment are added, each with the hash that it had; with
    them come the colony's states and what tables and models have gained, for decisions name them.
    Rows that are read off the log are made anew by whoever needs them. Nothing is added where
    events carry another clock than the machine's. Raises BackupCorruptionError where the later
    log does not go on from this one.
    """
    kept = {file.path for file in later.files}
    log = next((name for name in _LOGS if name in kept), None)
    if log is None:
        return Rolled(0, 0, "the next backup holds no event log")
    with tempfile.TemporaryDirectory(prefix=".rolling-", dir=home) as folder:
        repository.extract(later, log, Path(folder) / "events.db")
        with closing(SqliteEventLog(Path(folder) / "events.db")) as ahead:
            rolled = _follow(home / LOG, ahead, base, later, moment)
        if rolled.event_count:
            for number, name in enumerate(n for n in _HOTS if n in kept):
                repository.extract(later, name, Path(folder) / f"hot{number}.db")
                _add_states(home / HOT, Path(folder) / f"hot{number}.db")
            for file in later.files:
                place = file.path.removeprefix(f"{COPIES}/")
                if place.startswith(_ADDED_TO) and not (home / place).exists():
                    repository.extract(later, file.path, home / place)
    return rolled


def _follow(
    path: Path, ahead: SqliteEventLog, base: Manifest, later: Manifest, moment: datetime
) -> Rolled:
    with closing(SqliteEventLog(path)) as log:
        last = log.last_sequence()
        if log.hash_at(last) != ahead.hash_at(last):
            raise BackupCorruptionError(
                f"the log of {later.name} must go on from record {last} of {base.name}, does not"
            )
        times = [r.event.time_ns for r in ahead.read(last)]
        low, high = _ns(base.moment - _SLACK), _ns(later.moment + _SLACK)
        if any(not low <= time_ns <= high for time_ns in times):
            return Rolled(0, last, "its events carry the market's time, not the machine's")
        until = _ns(moment)
        count = next((n for n, time_ns in enumerate(times) if time_ns > until), len(times))
        following = islice(ahead.read(last), count)
        while batch := list(islice(following, _BATCH)):
            _add(log, batch)
        return Rolled(count, last + count)


def _add(log: SqliteEventLog, batch: list[RecordedEvent]) -> None:
    first = batch[0].sequence
    written = log.append([r.event for r in batch], expected_sequence=first - 1)
    for ours, theirs in zip(written, batch, strict=True):
        if ours.hash != theirs.hash:
            raise BackupCorruptionError(
                f"record {theirs.sequence} must have the hash {theirs.hash}, has {ours.hash}"
            )


def _add_states(path: Path, ahead: Path) -> None:
    """Add the colony's states that are not there yet; the log says which of them count."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(ahead)) as source:
        rows = source.execute(
            "select space, key, value from cells where space = 'colony_states'"
        ).fetchall()
    if not path.exists():
        from adapters.stores.hot_embedded import EmbeddedHotStore

        EmbeddedHotStore(path).close()
    with closing(sqlite3.connect(path)) as target, target:
        target.executemany("insert or ignore into cells values (?, ?, ?)", rows)


def _ns(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6) * 1_000
