"""Whole sessions with faults: every way to die and every garbled message, by seed."""

from functools import partial
from pathlib import Path
from random import Random

import pytest

from adapters.stores.event_log_sqlite import SqliteEventLog
from swarm_core.replay import book_digest, replay
from tests.swarm_core.builders import CASH
from tests.swarm_core.faulty_world import Venue, live
from tests.swarm_core.invariants import WatchingLog


def assert_settled(log: WatchingLog, venue: Venue, seed: int) -> None:
    """Nothing twice, nothing lost: the book and the venue agree to the lot."""
    assert max(venue.receipts.values(), default=0) <= 1, f"seed {seed}: an order came twice"
    told = {
        event.execution_id
        for order_id in venue.receipts
        for event in venue.broker.find(order_id) or ()
        if hasattr(event, "execution_id")
    }
    assert told == set(log.book.ledger.executions), f"seed {seed}: fills were lost"
    working = {r.order.client_order_id for r in log.book.working_orders()}
    assert working == set(venue.broker.working_order_ids()), f"seed {seed}: orders differ"
    report = replay(log.read(), "USD", CASH)
    assert report.first_difference is None, f"seed {seed}: {report.first_difference}"
    assert report.book_digest == book_digest(log.book)
    assert log.log.verify().sound


@pytest.mark.parametrize("broker_dies", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_process_killed_at_any_point_ends_as_if_it_had_lived(
    seed: int, broker_dies: bool
) -> None:
    undisturbed, venue, points = live(seed)
    assert_settled(undisturbed, venue, seed)
    assert len(undisturbed.book.ledger.executions) > 5

    for kill_at in range(1, points + 1):
        log, venue, _ = live(seed, kill_at=[kill_at], broker_dies=broker_dies)

        assert_settled(log, venue, seed)
        assert positions(log) == positions(undisturbed), f"seed {seed} killed at {kill_at}"
        assert log.book.ledger.cash == undisturbed.book.ledger.cash


def positions(log: WatchingLog) -> dict[str, tuple[int, int]]:
    held = log.book.ledger.positions
    return {i: (p.lots, p.cost_minor) for i, p in sorted(held.items())}


def disturbed_session(seed: int) -> None:
    random = Random(seed)
    kills = sorted(random.sample(range(1, 200), random.randint(0, 6)))
    fault_rate = random.choice([0.0, 0.1, 0.3])

    log, venue, _ = live(seed, kill_at=kills, fault_rate=fault_rate)

    assert_settled(log, venue, seed)


@pytest.mark.parametrize("block", range(4))
def test_sessions_with_kills_broken_lines_and_garbled_messages_lose_nothing(block: int) -> None:
    for seed in range(1_000 + 15 * block, 1_000 + 15 * (block + 1)):
        disturbed_session(seed)


def test_a_killed_process_finds_its_log_on_disk_as_it_left_it(tmp_path: Path) -> None:
    undisturbed, _, points = live(3)
    for kill_at in range(2, points, points // 5):
        path = tmp_path / f"{kill_at}.db"

        log, venue, _ = live(3, kill_at=[kill_at], log_factory=partial(SqliteEventLog, path))

        assert_settled(log, venue, 3)
        assert positions(log) == positions(undisturbed)


@pytest.mark.slow
def test_many_disturbed_sessions_lose_nothing() -> None:
    for seed in range(10_000, 12_500):
        disturbed_session(seed)
