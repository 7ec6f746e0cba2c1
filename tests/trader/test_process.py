"""`apiary trade` as a process: it needs no service, obeys every switch, and outlives kill -9."""

import random
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from swarm_core import events as ev
from swarm_core.order_states import OrderState
from swarm_core.replay import book_digest, replay
from tests.trader.homes import (
    book_of,
    heartbeat,
    log_of,
    make_home,
    run_to_end,
    trader_process,
    wait_for,
)

# 6 % of a million at 40.15, and 1 % at 60.15, less what was paid.
LOTS = {"US.ANT": 0, "US.BEE": 1494, "US.CAT": 166}


def test_it_trades_a_replay_where_every_service_is_absent(tmp_path: Path) -> None:
    """Dagster, Redis, PostgreSQL, Feast and ib_async cannot be imported; no DAGSTER_HOME is set."""
    config = make_home(tmp_path)

    said = run_to_end(config)

    book = book_of(config)
    lots = {name: position.lots for name, position in book.ledger.positions.items()}
    assert lots == pytest.approx(LOTS, abs=1)
    assert {r.state for r in book.orders.values()} == {OrderState.FILLED}
    assert list(book.closed_sessions) == ["2024-01-02"]  # the bars end before the second close
    assert book.ledger.find_imbalance() is None
    assert heartbeat(config)["ended"] is True
    assert "active: 7 orders" in said


def test_a_log_of_a_session_replays_to_the_same_bits(tmp_path: Path) -> None:
    """Every order and verdict is worked out again from the log, and a rerun writes the same."""
    first, second = make_home(tmp_path / "a"), make_home(tmp_path / "b")
    run_to_end(first)
    run_to_end(second)

    report = replay(log_of(first), "USD", 1_000_000)

    assert (report.first_difference, report.verdict_count) == (None, 7)
    assert [r.hash for r in log_of(first)] == [r.hash for r in log_of(second)]


def test_killed_again_and_again_it_ends_where_it_would_have(tmp_path: Path) -> None:
    """kill -9 at places of a seeded choice: no order twice, no fill lost, the same book."""
    whole = make_home(tmp_path / "whole")
    run_to_end(whole)
    config = make_home(tmp_path / "killed", speed=30_000)
    seed = 5
    for sequence in sorted(random.Random(seed).sample(range(2, 45), 3)):
        with trader_process(config) as process:
            wait_for(config, lambda told, at=sequence: told["log_sequence"] >= at, process)
            process.send_signal(signal.SIGKILL)
            process.wait()

    make_home(tmp_path / "killed")
    run_to_end(config)

    book = book_of(config)
    assert book_digest(book) == book_digest(book_of(whole)), f"seed {seed}"
    submitted = [r.event for r in log_of(config) if isinstance(r.event, ev.OrderSubmitted)]
    assert len({(e.client_order_id, e.attempt) for e in submitted}) == len(submitted)


def test_told_to_leave_it_cancels_what_works_and_ends_well(tmp_path: Path) -> None:
    """TERM: the orders are cancelled, the account is read once more, the exit code is 0."""
    config = make_home(tmp_path, speed=1)
    with trader_process(config) as process:
        wait_for(config, lambda told: told["log_sequence"] > 0, process)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 0, said
    assert heartbeat(config)["ended"] is True
    assert not book_of(config).working_orders()


def test_only_one_process_trades_a_book(tmp_path: Path) -> None:
    """A second trader is refused with one line, and the status names the first."""
    config = make_home(tmp_path, speed=1)
    with trader_process(config) as process:
        wait_for(config, lambda told: told["log_sequence"] > 0, process)
        second = CliRunner().invoke(app, ["trade", "--config", str(config)])
        status = CliRunner().invoke(app, ["status", "--config", str(config)])

    assert second.exit_code == 1
    assert "must be traded by one process" in " ".join(second.output.split())
    assert status.exit_code == 0, status.output
    assert f"the trader lives: process {process.pid}" in " ".join(status.output.split())
