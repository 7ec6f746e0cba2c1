"""From a backup to a later moment: the log of a later backup is followed up to it."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from adapters.backups.repository import BackupCorruptionError, BackupRepository, Manifest
from adapters.backups.rolling_rows import HOTS, LOGS, RowsRolled, roll_rows
from adapters.backups.rolling_tables import roll_models, roll_tables
from adapters.secrets.references import SecretError
from adapters.stores.envelope import Sealer, SealError
from adapters.stores.event_log_sqlite import SqliteEventLog
from adapters.stores.segments import TierCorruptionError
from swarm_core.events import RecordedEvent

LOG, HOT = "warm/events.db", "hot/hot.db"
_BATCH = 1_000
# Of a record that nobody noted the writing of: its own time is that of the machine to within
# this, or it is the market's of a replay.
_SLACK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Rolled:
    """How far a restored log was followed; `reason` says why no further, where it was not.

    `moment` is that of the home now: when the last record was written, or what was asked for.
    `rows` tells of those above the cold tier, or why they are as of the backup.
    """

    event_count: int
    last_sequence: int
    reason: str = ""
    moment: datetime | None = None
    rows: RowsRolled | str = field(default_factory=RowsRolled)


@dataclass(frozen=True, slots=True)
class _Cut:
    """The last record that belongs to the home, or why there is none; and the moment of it."""

    last: int
    moment: datetime | None
    reason: str = ""


def roll_to_moment(
    home: Path,
    repository: BackupRepository,
    base: Manifest,
    later: Manifest,
    moment: datetime,
    sealer: Sealer | None = None,
) -> Rolled:
    """Bring a home that was restored from `base` to a moment before `later` was taken.

    The events that were written up to the moment are added, each with the hash that it had; with
    them come the colony's states, what tables of the cold tier and models had gained by then, for
    decisions name them, and the rows of what the events tell, which the sealer opens where they
    are sealed.
    Nothing is added where nobody noted when events were written and they carry another clock than
    the machine's. Raises BackupCorruptionError where the later log does not go on from this one.
    """
    return _roll(home, repository, base, later, moment, sealer)


def roll_to_record(
    home: Path,
    repository: BackupRepository,
    base: Manifest,
    later: Manifest,
    sequence: int,
    sealer: Sealer | None = None,
) -> Rolled:
    """Bring a home that was restored from `base` to the record `sequence` of the later log.

    Tables and models come as of its writing; all of `later` where nobody knows when that was.
    """
    return _roll(home, repository, base, later, sequence, sealer)


def _roll(
    home: Path,
    repository: BackupRepository,
    base: Manifest,
    later: Manifest,
    until: datetime | int,
    sealer: Sealer | None,
) -> Rolled:
    kept = {file.path for file in later.files}
    log = next((name for name in LOGS if name in kept), None)
    if log is None:
        return Rolled(0, 0, "the next backup holds no event log")
    with tempfile.TemporaryDirectory(prefix=".rolling-", dir=home) as folder:
        repository.extract(later, log, Path(folder) / "events.db")
        with closing(SqliteEventLog(Path(folder) / "events.db")) as ahead:
            rolled = _follow(home / LOG, ahead, base, later, until)
        if rolled.moment is not None:
            for number, name in enumerate(n for n in HOTS if n in kept):
                repository.extract(later, name, Path(folder) / f"hot{number}.db")
                _add_states(home / HOT, Path(folder) / f"hot{number}.db")
            roll_tables(home, repository, later, rolled.moment)
            roll_models(home, repository, later, rolled.moment)
            after = rolled.last_sequence - rolled.event_count
            rolled = replace(rolled, rows=_rows(home, repository, later, after, sealer))
    return rolled


def _rows(
    home: Path, repository: BackupRepository, later: Manifest, after: int, sealer: Sealer | None
) -> RowsRolled | str:
    with closing(SqliteEventLog(home / LOG)) as log:
        try:
            return roll_rows(home, repository, later, log, after, sealer)
        except (SealError, SecretError, TierCorruptionError) as error:  # the log is whole without
            return str(error)


def _follow(
    path: Path, ahead: SqliteEventLog, base: Manifest, later: Manifest, until: datetime | int
) -> Rolled:
    with closing(SqliteEventLog(path)) as log:
        last = log.last_sequence()
        if log.hash_at(last) != ahead.hash_at(last):
            raise BackupCorruptionError(
                f"the log of {later.name} must go on from record {last} of {base.name}, does not: "
                f"--at {base.taken_at} brings that backup alone"
            )
        around = base.moment - _SLACK, later.moment + _SLACK
        if isinstance(until, int):
            cut = _Cut(until, _moment_of(ahead, until, around) or later.moment)
        else:
            cut = _cut_at(ahead, last, until, around)
        if cut.reason:
            return Rolled(0, last, cut.reason)
        following = islice(ahead.read(last), cut.last - last)
        while batch := list(islice(following, _BATCH)):
            _add(log, ahead, batch)
        return Rolled(cut.last - last, cut.last, moment=cut.moment)


def _cut_at(
    ahead: SqliteEventLog, after: int, moment: datetime, around: tuple[datetime, datetime]
) -> _Cut:
    """Return the last record that was written up to the moment, none of a later one before it."""
    until = _ns(moment)
    lines = ahead.written(after)
    end = min((w.first - 1 for w in lines if w.time_ns > until), default=ahead.last_sequence())
    sure = max((w.last for w in lines if w.last <= end), default=after)
    # Behind what is sure nobody noted when records were written: their own times must tell.
    for record in islice(ahead.read(sure), end - sure):
        if not _ns(around[0]) <= record.event.time_ns <= _ns(around[1]):
            return _Cut(after, None, "its events carry the market's time, not the machine's")
        if record.event.time_ns > until:
            return _Cut(record.sequence - 1, moment)
    return _Cut(end, moment)


def _moment_of(
    ahead: SqliteEventLog, sequence: int, around: tuple[datetime, datetime]
) -> datetime | None:
    """Return when a record was written, None where nobody knows."""
    for line in ahead.written(sequence - 1, sequence):
        return _at(line.time_ns)
    record = next(iter(ahead.read(sequence - 1)), None)
    if record is None or not _ns(around[0]) <= record.event.time_ns <= _ns(around[1]):
        return None
    return _at(record.event.time_ns)


def _add(log: SqliteEventLog, ahead: SqliteEventLog, batch: list[RecordedEvent]) -> None:
    first, last = batch[0].sequence, batch[-1].sequence
    lines = ahead.written(first - 1, last)
    events = [r.event for r in batch]
    written = log.append(events, expected_sequence=first - 1, written=lines)
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


def log_ends(repository: BackupRepository, scratch: Path) -> Iterator[tuple[Manifest, int]]:
    """Yield each backup, the newest first, and the last record of its log."""
    for name in reversed(repository.names()):
        manifest = repository.read(name)
        noted = manifest.notes.get("log_last")
        yield manifest, noted if isinstance(noted, int) else _log_end(repository, manifest, scratch)


def _log_end(repository: BackupRepository, manifest: Manifest, scratch: Path) -> int:
    """Return the last record of the log of a backup from before that was noted."""
    log = next((n for n in LOGS if any(f.path == n for f in manifest.files)), None)
    if log is None:
        return 0
    with tempfile.TemporaryDirectory(prefix=".log-", dir=scratch) as folder:
        repository.extract(manifest, log, Path(folder) / "events.db")
        with closing(SqliteEventLog(Path(folder) / "events.db")) as found:
            return found.last_sequence()


def _ns(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6) * 1_000


def _at(time_ns: int) -> datetime:
    """Return the moment, in the microsecond that has begun."""
    return datetime.fromtimestamp(time_ns // 10**9, UTC) + timedelta(
        microseconds=time_ns % 10**9 // 1_000
    )
