"""Any moment between two backups: the log is followed up to it, and no event further."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from adapters.backups.repository import BackupCorruptionError, BackupRepository
from adapters.backups.rolling import roll_forward
from adapters.stores.event_log_sqlite import SqliteEventLog
from adapters.stores.hot_embedded import EmbeddedHotStore
from pipelines.cli import app
from swarm_core import events as ev
from swarm_core.book import book_from_events
from swarm_core.replay import book_digest

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
    with closing(SqliteEventLog(home / "warm" / "events.db")) as log:
        log.append([opened(n, at(n)) for n in range(first, last + 1)])
    with closing(EmbeddedHotStore(home / "hot" / "hot.db")) as hot:
        hot.put("colony_states", {str(last): b"state"})
        hot.put("rows/fills", {str(last): b"rows"})


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
        table = home / "cold" / "fills" / f"part-{last}.parquet"
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_bytes(b"rows")
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
        assert f"{minute - base} events up to" in said
        book = book_from_events(events_of(to), "USD", 1_000_000)
        assert book_digest(book) == book_digest(book_from_events(whole[:minute], "USD", 1_000_000))


def test_what_a_decision_names_comes_along_and_rows_of_later_do_not(
    backups: BackupRepository, tmp_path: Path
) -> None:
    restore(backups, tmp_path / "again", "2026-01-02T12:15:00")

    hot = EmbeddedHotStore(tmp_path / "again" / "hot" / "hot.db")
    assert sorted(hot.read("colony_states")) == ["10", "20"]
    assert sorted(hot.read("rows/fills")) == ["10"]
    names = {p.name for p in (tmp_path / "again" / "cold" / "fills").iterdir()}
    assert names == {"part-10.parquet", "part-20.parquet"}
    assert not list((tmp_path / "again").glob(".rolling-*"))


def test_after_the_newest_backup_and_on_its_moment_nothing_is_added(
    backups: BackupRepository, tmp_path: Path
) -> None:
    said = restore(backups, tmp_path / "late", "2026-01-02T18:00:00")
    assert "were added" not in said
    assert len(events_of(tmp_path / "late")) == 30


def test_a_log_in_the_markets_time_is_not_followed_and_it_is_told(tmp_path: Path) -> None:
    home, backups = tmp_path / "home", BackupRepository(tmp_path / "backups")

    def long_ago(number: int) -> datetime:
        return at_minute(number) - timedelta(days=900)

    for last in (10, 20):
        append(home, last - 9, last, long_ago)
        backups.take(home, at_minute(last))

    said = restore(backups, tmp_path / "again", "2026-01-02T12:15:00")

    assert "events carry the market's time" in said
    assert len(events_of(tmp_path / "again")) == 10


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
        roll_forward(tmp_path / "again", backups, base, later, at_minute(35))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
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
