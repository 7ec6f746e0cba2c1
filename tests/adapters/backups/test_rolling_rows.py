"""Rows above the cold tier at any moment: a question across tiers answers as the log does."""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from adapters.backups.repository import BackupRepository
from adapters.backups.rolling import Rolled, roll_to_moment
from adapters.secrets.key_file import KeyFile
from adapters.stores.envelope import Sealer
from adapters.stores.event_log_sqlite import SqliteEventLog
from adapters.stores.opening import open_cold, open_hot, open_warm
from adapters.stores.tiered_tables import TieredTables
from adapters.stores.tiers import TierPolicies, TierPolicy
from features.projections import OrderProjection, instruments_of
from features.schemas import INSTRUMENTS
from features.schemas_derived import DECISIONS, NAV
from swarm_core import events as ev
from tests.simulation.world import play
from tests.swarm_core.builders import INSTRUMENTS as KNOWN

STEP = timedelta(minutes=1)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PARTS = 9
DAY = timedelta(days=1)
# When rows go down, so that what is written within an hour may lie in any tier at its end.
POLICIES = {
    "hot": TierPolicy(hot_age=9_000 * DAY, warm_age=9_000 * DAY),
    "warm": TierPolicy(hot_age=0 * DAY, warm_age=9_000 * DAY),
    "cold": TierPolicy(hot_age=0 * DAY, warm_age=0 * DAY),
}


@dataclass
class Desk:
    """A home that writes rows of what its log tells, as a run does, a while after the events."""

    home: Path
    sealer: Sealer | None

    def __post_init__(self) -> None:
        self.now = NOON
        self.log = SqliteEventLog(
            self.home / "warm" / "events.db", time_ns=lambda: round(self.now.timestamp()) * 10**9
        )
        self.rows = open_rows(self.home, self.sealer)

    def work(self, events: list[ev.Event]) -> None:
        self.log.append(events)
        for table, frame in told_rows(self.rows, list(self.log.read())).items():
            self.rows.write(table, frame)

    def demote(self, to: str) -> None:
        self.rows._policy = TierPolicies(POLICIES[to])
        self.rows.demote(datetime(2026, 1, 1, tzinfo=UTC))


def open_rows(home: Path, sealer: Sealer | None) -> TieredTables:
    cold = open_cold(home, None, sealer=sealer)
    return TieredTables(open_hot(home, None), open_warm(home, None, None, 1), cold, TierPolicies())


def told_rows(rows: TieredTables, records: list[ev.RecordedEvent]) -> dict[str, pl.DataFrame]:
    """Return what a run writes of these records."""
    read = OrderProjection(instruments_of(rows.read("instruments"))).apply_all(records)
    decided, closed = list[dict[str, object]](), list[dict[str, object]]()
    for event in (r.event for r in records):
        at = datetime.fromtimestamp(event.time_ns // 10**9, UTC)
        times = {"session": at.date(), "event_time": at, "knowledge_time": at}
        if isinstance(event, ev.DecisionTaken):
            made = {"decision_id": event.lineage.decision_id, **times}
            decided.append({**made, "instrument_id": "X", "target_weight": 0.5})
        elif isinstance(event, ev.SessionClosed):
            session = datetime.fromisoformat(event.session).date()
            closed.append({**times, "session": session, "nav_minor": event.nav_minor, "nav": 1.0})
    return {
        "orders": read.orders(),
        "fills": read.fills(),
        "decisions": DECISIONS.conform(pl.DataFrame(decided) if decided else DECISIONS.empty()),
        "nav": NAV.conform(pl.DataFrame(closed) if closed else NAV.empty()),
    }


@pytest.fixture(scope="module")
def parts() -> list[list[ev.Event]]:
    """The events of some sessions, cut where time goes on: a run writes its rows at its end."""
    events = [r.event for r in play(3).watch.read()]
    size, cuts = -(-len(events) // PARTS), [0]
    for number in range(1, len(events)):
        later = events[number].time_ns > max(e.time_ns for e in events[:number])
        if later and number - cuts[-1] >= size:
            cuts.append(number)
    return [events[a:b] for a, b in pairwise([*cuts, len(events)])]


def instruments() -> pl.DataFrame:
    rows = [
        {
            "instrument_id": i.instrument_id,
            "ticker": i.instrument_id,
            "asset_class": i.asset_class,
            "currency": i.currency,
            "calendar": i.calendar,
            "price_increment": str(i.price_increment),
            "size_increment": str(i.size_increment),
            "multiplier": str(i.multiplier),
        }
        for i in KNOWN.values()
    ]
    return INSTRUMENTS.conform(pl.DataFrame(rows))


def answers(rows: TieredTables) -> dict[str, pl.DataFrame]:
    return {
        t: rows.query(t).sort(pl.all()) if rows.exists(t) else pl.DataFrame()
        for t in ("orders", "fills", "decisions", "nav")
    }


def lived(
    desk: Desk, repository: BackupRepository, parts: list[list[ev.Event]]
) -> list[tuple[datetime, dict[str, pl.DataFrame]]]:
    """Work through the parts, a backup after the second and the last; return what was seen when."""
    seen = list[tuple[datetime, dict[str, pl.DataFrame]]]()
    desk.rows._cold.add("instruments", instruments())
    for number, events in enumerate(parts):
        desk.now += STEP
        desk.work(events)
        seen.append((desk.now, answers(desk.rows)))
        desk.now += STEP
        if number in (3, 5):
            desk.demote("warm" if number == 3 else "cold")
        if number in (1, len(parts) - 1):
            repository.take(desk.home, desk.now, clock=lambda: desk.now)
    return seen


def roll(repository: BackupRepository, to: Path, moment: datetime, sealer: Sealer | None) -> Rolled:
    base, later = (repository.read(name) for name in repository.names()[:2])
    done: list[Rolled] = []
    repository.restore(
        base,
        to,
        finish=lambda home: done.append(
            roll_to_moment(home, repository, base, later, moment, sealer)
        ),
    )
    return done[0]


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
def test_every_moment_has_the_rows_of_its_log(
    tmp_path: Path, parts: list[list[ev.Event]], *, sealed: bool
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    keys.ensure_owner("desk")
    sealer = Sealer("desk", keys) if sealed else None
    desk = Desk(tmp_path / "home", sealer)
    repository = BackupRepository(tmp_path / "backups")
    seen = lived(desk, repository, parts)

    for number, (moment, answered) in enumerate(seen[2:]):
        home = tmp_path / f"at{number}"
        done = roll(repository, home, moment, sealer)

        assert not isinstance(done.rows, str)
        assert not done.rows.without_rows
        rows = open_rows(home, sealer)
        for table, frame in answers(rows).items():
            assert frame.equals(answered[table]), (number, table)
        assert rows.counted().filter(pl.col("rows") != pl.col("distinct")).is_empty()


def test_a_restore_without_the_key_keeps_the_log_and_says_so(
    tmp_path: Path, parts: list[list[ev.Event]]
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    keys.ensure_owner("desk")
    desk = Desk(tmp_path / "home", Sealer("desk", keys))
    repository = BackupRepository(tmp_path / "backups")
    seen = lived(desk, repository, parts)

    done = roll(repository, tmp_path / "again", seen[-1][0], None)

    assert "must be opened with its owner's key" in str(done.rows)
    with closing(SqliteEventLog(tmp_path / "again" / "warm" / "events.db")) as log:
        assert log.last_sequence() == sum(map(len, parts))


def test_sessions_that_no_backup_has_rows_of_are_named(
    tmp_path: Path, parts: list[list[ev.Event]]
) -> None:
    desk = Desk(tmp_path / "home", None)
    repository = BackupRepository(tmp_path / "backups")
    desk.rows._cold.add("instruments", instruments())
    desk.work(parts[0])
    repository.take(desk.home, desk.now, clock=lambda: desk.now)
    desk.now += STEP
    for events in parts[1:]:
        desk.log.append(events)  # and the run ends before its rows are written
    repository.take(desk.home, desk.now + STEP, clock=lambda: desk.now + STEP)

    done = roll(repository, tmp_path / "again", desk.now, None)

    assert not isinstance(done.rows, str)
    assert done.rows.without_rows == ("2024-01-01", "2024-01-02", "2024-01-03")
    rows, records = open_rows(tmp_path / "again", None), list(desk.log.read())
    read = OrderProjection(instruments_of(instruments())).apply_all(records)
    assert rows.query("fills").height == read.fills().height
    assert dict(rows.query("orders").select("order_id", "status").iter_rows()) == dict(
        read.orders().select("order_id", "status").iter_rows()
    )


def test_a_backup_in_the_middle_of_a_run_gets_its_rows_from_one_after_it(
    tmp_path: Path, parts: list[list[ev.Event]]
) -> None:
    desk = Desk(tmp_path / "home", None)
    repository = BackupRepository(tmp_path / "backups")
    desk.rows._cold.add("instruments", instruments())
    repository.take(desk.home, desk.now, clock=lambda: desk.now)
    desk.now += STEP
    for events in parts[:-1]:
        desk.log.append(events)
    moment, last = desk.now, list(desk.log.read())
    desk.now += STEP
    repository.take(desk.home, desk.now, clock=lambda: desk.now)  # before the run writes its rows
    desk.now += STEP
    desk.work(parts[-1])
    repository.take(desk.home, desk.now, clock=lambda: desk.now)

    done = roll(repository, tmp_path / "again", moment, None)

    assert not isinstance(done.rows, str)
    assert not done.rows.without_rows
    rows = open_rows(tmp_path / "again", None)
    taken = {r.event.lineage.decision_id for r in last if isinstance(r.event, ev.DecisionTaken)}
    assert set(rows.query("decisions")["decision_id"]) == taken
