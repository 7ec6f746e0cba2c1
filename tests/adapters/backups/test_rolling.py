"""Any moment between two backups: the log is followed up to it, and no event further."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from adapters.backups.repository import BackupCorruptionError, BackupRepository
from adapters.backups.rolling import roll_to_moment
from adapters.stores.event_log_sqlite import SqliteEventLog
from adapters.stores.hot_embedded import EmbeddedHotStore
from adapters.stores.hot_tables import HotTables
from adapters.stores.model_registry import FileModelRegistry
from pipelines.cli import app
from swarm_core import events as ev
from swarm_core.book import book_from_events
from swarm_core.replay import book_digest
from tests.adapters.stores.test_tiers import DAY, START, make_fills

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def opened(number: int, at: datetime) -> ev.SessionOpened:
    """Return an event of the machine's time."""
    return ev.SessionOpened(
        event_id=ev.make_event_id("SessionOpened", number),
        time_ns=round(at.timestamp()) * 10**9,
        session=f"2026-02-{number:04d}",
        base_currency="USD",
        nav_minor=number,
    )


def append(home: Path, first: int, last: int, at: Callable[[int], datetime]) -> None:
    """Write events, each at a minute of its own by the machine's clock, stamped as `at` says."""
    written = iter([round(at_minute(n).timestamp()) * 10**9 for n in range(first, last + 1)])
    log = SqliteEventLog(home / "warm" / "events.db", time_ns=lambda: next(written))
    with closing(log):
        for number in range(first, last + 1):
            log.append([opened(number, at(number))])
    with closing(EmbeddedHotStore(home / "hot" / "hot.db")) as hot:
        hot.put("colony_states", {str(last): b"state"})
        HotTables(hot).write("fills", make_fills(last, 1))


def commit(home: Path, minute: int) -> None:
    """Add a file to a table of the cold tier, in a version that says when it was made."""
    table = home / "cold" / "fills"
    (table / "_delta_log").mkdir(parents=True, exist_ok=True)
    version = len(list((table / "_delta_log").iterdir()))
    (table / f"part-{minute}.parquet").write_bytes(b"rows")
    made = {"commitInfo": {"timestamp": round(at_minute(minute).timestamp()) * 1_000}}
    lines = [json.dumps(made), json.dumps({"add": {"path": f"part-{minute}.parquet"}})]
    (table / "_delta_log" / f"{version:020d}.json").write_text("\n".join(lines))


def at_minute(number: int) -> datetime:
    return NOON + number * MINUTE


def events_of(home: Path) -> list[ev.RecordedEvent]:
    with closing(SqliteEventLog(home / "warm" / "events.db")) as log:
        assert log.verify().sound
        return list(log.read())


@pytest.fixture
def backups(tmp_path: Path) -> BackupRepository:
    """Backups after events 10, 20 and 30, each event a minute after the one before."""
    home, repository = tmp_path / "home", BackupRepository(tmp_path / "backups")
    for last in (10, 20, 30):
        append(home, last - 9, last, at_minute)
        for minute in (last - 6, last):
            commit(home, minute)
        repository.take(home, at_minute(last) + MINUTE / 2)
    return repository


def restore(backups: BackupRepository, to: Path, moment: str) -> str:
    words = ["restore", str(backups.root), "--to", str(to), "--at", moment]
    told = CliRunner().invoke(app, words, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return " ".join(told.output.split())


def test_every_minute_between_backups_comes_back_as_it_was(
    backups: BackupRepository, tmp_path: Path
) -> None:
    whole = events_of(tmp_path / "home")
    for minute in (11, 14, 19, 20, 23):
        to = tmp_path / f"at{minute}"
        moment = at_minute(minute) + MINUTE / 4

        said = restore(backups, to, moment.strftime("%Y-%m-%dT%H:%M:%S"))

        assert events_of(to) == whole[:minute]
        base = 10 if minute < 21 else 20
        assert f"{minute - base} events written up to" in said
        book = book_from_events(events_of(to), "USD", 1_000_000)
        assert book_digest(book) == book_digest(book_from_events(whole[:minute], "USD", 1_000_000))


def test_what_a_decision_names_comes_along_and_rows_of_later_do_not(
    backups: BackupRepository, tmp_path: Path
) -> None:
    restore(backups, tmp_path / "again", "2026-01-02T12:15:00")

    hot = EmbeddedHotStore(tmp_path / "again" / "hot" / "hot.db")
    assert sorted(hot.read("colony_states")) == ["10", "20"]
    assert [s.first for s in HotTables(hot).segments("fills")] == [START + 10 * DAY]
    names = {p.name for p in (tmp_path / "again" / "cold" / "fills").glob("*.parquet")}
    assert names == {f"part-{minute}.parquet" for minute in (4, 10, 14)}
    commits = sorted((tmp_path / "again" / "cold" / "fills" / "_delta_log").iterdir())
    assert [int(c.stem) for c in commits] == [0, 1, 2]
    assert not list((tmp_path / "again").glob(".rolling-*"))


def test_after_the_newest_backup_and_on_its_moment_nothing_is_added(
    backups: BackupRepository, tmp_path: Path
) -> None:
    said = restore(backups, tmp_path / "late", "2026-01-02T18:00:00")
    assert "were added" not in said
    assert "no later backup is there" in said
    assert len(events_of(tmp_path / "late")) == 30
    newest = backups.read(backups.names()[-1])
    assert "as of" not in restore(backups, tmp_path / "exact", newest.taken_at)


def long_ago(number: int) -> datetime:
    """Return a moment of sessions years past, two days for each minute of the machine."""
    return NOON - timedelta(days=900) + number * timedelta(days=2)


@pytest.fixture
def replayed(tmp_path: Path) -> BackupRepository:
    """Backups after events 10 and 20 of sessions of years past."""
    home, backups = tmp_path / "home", BackupRepository(tmp_path / "backups")
    for last in (10, 20):
        append(home, last - 9, last, long_ago)
        backups.take(home, at_minute(last) + MINUTE / 2)
    return backups


def test_a_log_in_the_markets_time_is_as_of_when_it_was_written(
    replayed: BackupRepository, tmp_path: Path
) -> None:
    whole = events_of(tmp_path / "home")
    for minute in (11, 14, 19):
        to = tmp_path / f"at{minute}"
        restore(replayed, to, (at_minute(minute) + MINUTE / 4).isoformat())

        assert events_of(to) == whole[:minute]
        with closing(SqliteEventLog(to / "warm" / "events.db")) as log:
            assert [w.time_ns for w in log.written()][-1] == at_minute(minute).timestamp() * 1e9


def test_a_log_in_the_markets_time_of_which_nobody_noted_the_writing_is_not_followed(
    replayed: BackupRepository, tmp_path: Path
) -> None:
    older = BackupRepository(tmp_path / "older")
    for name in replayed.names():
        manifest = replayed.read(name)
        home = tmp_path / name
        replayed.restore(manifest, home)
        with closing(sqlite3.connect(home / "warm" / "events.db")) as db, db:
            db.execute("delete from written")
            db.execute("update head set times = x''")
        older.take(home, manifest.moment)

    said = restore(older, tmp_path / "again", "2026-01-02T12:15:00")

    assert "events carry the market's time" in said
    assert len(events_of(tmp_path / "again")) == 10
    assert "5 events up to record 15" in restore_record(older, tmp_path / "record", 15)


def restore_record(backups: BackupRepository, to: Path, sequence: int, code: int = 0) -> str:
    words = ["restore", str(backups.root), "--to", str(to), "--at-sequence", str(sequence)]
    told = CliRunner().invoke(app, words, catch_exceptions=False)
    assert told.exit_code == code, told.output
    return " ".join(told.output.split())


def test_any_record_comes_back_as_the_last_one(backups: BackupRepository, tmp_path: Path) -> None:
    whole = events_of(tmp_path / "home")
    for last in (10, 11, 17, 20, 29, 30):
        to = tmp_path / f"at{last}"
        restore_record(backups, to, last)
        assert events_of(to) == whole[:last]
    names = {p.name for p in (tmp_path / "at17" / "cold" / "fills").glob("*.parquet")}
    assert names == {f"part-{minute}.parquet" for minute in (4, 10, 14)}


def test_a_record_or_moment_that_cannot_be_had_is_one_line(
    backups: BackupRepository, tmp_path: Path
) -> None:
    to = tmp_path / "none"
    assert "from before record 9, holds none" in restore_record(backups, to, 9, code=1)
    assert "must hold record 31 of the log, ends with 30" in restore_record(backups, to, 31, code=1)
    for words, said in (
        (["--at", "yesterday"], "--at must be a moment as 2026-01-02T12:00:30.5, was yesterday"),
        (["--at", "2026-01-02T12:00", "--at-sequence", "12"], "one of --at and --at-sequence"),
        (["--at", "2026-01-02"], "must hold a backup finished by 2026-01-02T00:00:00+00:00"),
    ):
        told = CliRunner().invoke(app, ["restore", str(backups.root), "--to", str(to), *words])
        assert (told.exit_code, said in " ".join(told.output.split())) == (1, True), told.output
    assert not to.exists()


def test_a_moment_while_a_backup_was_taken_is_one_before_it(tmp_path: Path) -> None:
    """What was written while the second was copied is in none before the third."""
    home, backups = tmp_path / "home", BackupRepository(tmp_path / "backups")
    for last, minutes in ((10, (10.5, 10.5)), (20, (17.5, 20.5)), (30, (30.5, 30.5))):
        append(home, last - 9, last, long_ago)
        begun, done = (NOON + MINUTE * m for m in minutes)
        backups.take(home, begun, clock=lambda done=done: done)
    whole = events_of(tmp_path / "home")

    for minute in (16, 19, 20, 22):
        to = tmp_path / f"at{minute}"
        said = restore(backups, to, (at_minute(minute) + MINUTE / 4).isoformat())
        assert events_of(to) == whole[:minute], said


def test_a_model_is_of_the_stage_that_it_had_at_the_moment(tmp_path: Path) -> None:
    home, backups = tmp_path / "home", BackupRepository(tmp_path / "backups")
    minute = [0]
    registry = FileModelRegistry(home / "models", clock=lambda: at_minute(minute[0]))
    first = registry.register("forecast", b"one", {"rows": 1})
    append(home, 1, 10, at_minute)
    backups.take(home, at_minute(10))
    append(home, 11, 20, at_minute)
    for minute[0] in (12, 18):
        registry.set_stage("forecast", first, ("champion", "archived")[minute[0] > 12], "a test")
    backups.take(home, at_minute(20))

    for asked, stage in ((11, "challenger"), (14, "champion"), (19, "archived")):
        restore(backups, tmp_path / stage, at_minute(asked).isoformat())
        again = FileModelRegistry(tmp_path / stage / "models")
        assert again.find_stage("forecast", stage) == first


def test_a_log_that_does_not_go_on_from_the_restored_one_is_refused(
    backups: BackupRepository, tmp_path: Path
) -> None:
    append(tmp_path / "other", 101, 112, at_minute)
    backups.take(tmp_path / "other", at_minute(40))
    base = backups.find_at(at_minute(30) + MINUTE)
    later = backups.find_at(None)
    assert base is not None
    assert later is not None
    append(tmp_path / "again", 1, 10, at_minute)

    with pytest.raises(BackupCorruptionError, match="must go on from record 10"):
        roll_to_moment(tmp_path / "again", backups, base, later, at_minute(35))


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(second=st.integers(0, 40 * 60))
def test_no_event_after_the_moment_and_none_before_it_missing(
    backups: BackupRepository, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, second: int
) -> None:
    moment = NOON + timedelta(seconds=second)
    if backups.find_at(moment) is None:
        return
    to = tmp_path_factory.mktemp("rolled") / "home"
    restore(backups, to, moment.strftime("%Y-%m-%dT%H:%M:%S"))

    whole = events_of(tmp_path / "home")
    expected = [r for r in whole if r.event.time_ns <= round(moment.timestamp()) * 10**9]
    assert events_of(to) == expected
