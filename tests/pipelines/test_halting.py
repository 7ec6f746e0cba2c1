"""Halting from the command and from Dagster: the same switch, and one trader for one book."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from assets.desk import Desk
from assets.readiness import NextSession
from pipelines import resources, sensors, trading_parts
from pipelines.chosen_market import MARKET_FILE, ChosenMarket, with_market
from pipelines.cli import app
from pipelines.desk import keep_windows
from pipelines.halting import halt_job
from pipelines.resources import Workshop
from pipelines.settings import (
    DEFAULT_CONFIG,
    Span,
    Windows,
    choose_config,
    read_risk_limits,
    read_settings,
    settings_for_files,
)
from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.limit_record import write_limits
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import NOW_NS, make_order
from trader.lock import BookLockedError
from trader.opening import lock_of, switch_of, taken_book

WINDOWS = Windows(
    history=Span(start=date(2014, 1, 1), end=date(2020, 7, 31)),
    training=Span(start=date(2015, 1, 2), end=date(2019, 12, 18)),
    decisions=Span(start=date(2020, 1, 2), end=date(2020, 7, 31)),
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data").mkdir()
    config = settings_for_files(tmp_path / "data", None, tmp_path / "home", base=None)
    monkeypatch.setenv("APIARY_CONFIG", str(config))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    choose_config(config)
    monkeypatch.setattr(resources, "_workshops", {})
    return tmp_path / "home"


def say(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, words)
    return result.exit_code, " ".join(result.output.split())


def states() -> list[tuple[TradingState, str]]:
    recorded = resources.workshop().event_log().read()
    events = [r.event for r in recorded if isinstance(r.event, ev.TradingStateChanged)]
    return [(event.state, event.actor) for event in events]


def place_order() -> None:
    order = make_order()
    order_id, fields = order.client_order_id, {"time_ns": NOW_NS}
    resources.workshop().event_log().append(
        [
            ev.OrderIntended(event_id="i", order=order, **fields),
            ev.OrderApproved(
                event_id="v",
                client_order_id=order_id,
                attempt=1,
                reference_ticks=1,
                value_micros=1,
                **fields,
            ),
            ev.OrderSubmitted(event_id="s", client_order_id=order_id, attempt=1, **fields),
            ev.OrderAccepted(
                event_id="a", client_order_id=order_id, broker_order_id="S1", **fields
            ),
        ]
    )


def test_the_command_halts_and_a_person_resumes(home: Path) -> None:
    """Without a trader the command cancels by itself; the log names who did what."""
    place_order()

    code, told = say("halt", "--reason", "drill", "--by", "anna")
    halted = switch_of(home).is_pulled
    again, resumed = say("resume", "--by", "ben", "--reason", "all clear")

    assert (code, again) == (0, 0), told + resumed
    assert "1 orders were cancelled" in told
    assert halted
    assert not switch_of(home).is_pulled
    assert states() == [(TradingState.HALTED, "anna"), (TradingState.ACTIVE, "ben")]


def test_a_halt_that_reaches_no_broker_is_in_the_log_all_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trader of another home holds the connection and reads the log; the reason was empty."""

    on_record: list[object] = []

    def away(*_: object) -> object:
        on_record.extend(states())  # before the broker is waited for
        raise TimeoutError

    monkeypatch.setattr(trading_parts, "reached_desk", away)

    code, told = say("halt", "--reason", "drill", "--by", "anna")

    assert code == 0, told
    assert on_record == [(TradingState.HALTED, "anna")]
    assert "by hand: the broker does not answer" in told
    assert states() == [(TradingState.HALTED, "anna")]


def test_a_running_trader_acts_on_the_file(home: Path) -> None:
    """The command leaves the orders to the process that holds the book."""
    with lock_of(home, "the trader"):
        code, told = say("halt", "--reason", "drill")

    assert code == 0
    assert "by the trader" in told
    assert switch_of(home).is_pulled


def test_the_job_halts(home: Path) -> None:
    """The Dagster job pulls the same switch."""
    config = {"reason": "drill", "actor": "anna", "flatten": False}

    outcome = halt_job.execute_in_process(
        run_config={"ops": {"pull_kill_switch": {"config": config}}}
    )

    assert outcome.success
    assert switch_of(home).is_pulled
    assert states() == [(TradingState.HALTED, "anna")]


def test_the_decision_job_waits_for_no_trader_and_obeys_the_file(home: Path) -> None:
    """It takes the lock, or is refused; a halt that only the file knew of reaches the log."""
    log = resources.workshop().event_log()
    with (
        lock_of(home, "the trader"),
        pytest.raises(BookLockedError),
        taken_book(home, log, "the decision job", "USD", lambda: NOW_NS),
    ):
        pass
    switch_of(home).path.parent.mkdir(parents=True, exist_ok=True)
    switch_of(home).path.touch()

    with taken_book(home, log, "the decision job", "USD", lambda: NOW_NS):
        assert states() == [(TradingState.HALTED, "file")]


def test_no_decision_is_started_while_a_trader_holds_the_book(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run failed, its key was used up, and the session was never decided."""
    ready = NextSession("2020-02-03", "session 2020-02-03 is complete")
    monkeypatch.setattr(sensors, "next_session", lambda *_: ready)
    asked = {"desk": None, "tables": None, "log": None}

    def ask() -> object:
        with dg.build_sensor_context() as context:
            return sensors.swarm_decision_sensor(context, **asked)

    with lock_of(home, "the trader"):
        told = ask()
    after = ask()

    assert isinstance(told, dg.SkipReason)
    assert "traded by the trader, process" in str(told.skip_message)
    assert isinstance(after, dg.SensorResult)
    assert [r.run_key for r in after.run_requests or ()] == ["decision-2020-02-03"]


def test_a_trader_of_another_home_holds_the_log_they_share(home: Path) -> None:
    """Here each home has its own lock file; the log says that it is traded from."""

    class Shared:
        @contextmanager
        def hold(self) -> Iterator[None]:
            raise BlockingIOError("a book must be traded by one process at a time")
            yield

        def read(self) -> Iterator[ev.RecordedEvent]:
            raise AssertionError("nothing is read of a book that another trades")

    log: Any = Shared()
    with (
        pytest.raises(BookLockedError, match="one process at a time"),
        taken_book(home, log, "the decision job", "USD", lambda: NOW_NS),
    ):
        pass


def test_the_decision_job_trades_by_the_limits_on_record(home: Path) -> None:
    """A file that is looser than what was signed off changes nothing for the job either."""
    log = resources.workshop().event_log()
    signed = read_risk_limits(resources.workshop().settings)
    write_limits(
        replace(signed, messages_max=3),
        book=Book("USD", 1),
        log=log,
        time_ns=NOW_NS,
        sign_off=None,
    )
    keep_windows(home, WINDOWS)
    market = ChosenMarket(calendar="XNYS", base_currency="USD", asset_classes=("equity",))
    (home / MARKET_FILE).write_text(market.model_dump_json())

    desk = Workshop(with_market(read_settings(), market)).get("desk")

    assert isinstance(desk, Desk)
    assert desk.limits.messages_max == 3


def test_a_halt_of_a_desk_at_a_broker_is_lifted_without_a_word_of_its_client(
    tmp_path: Path,
) -> None:
    """The client that was made for it and never connected ended in a traceback at the exit."""
    gateway = DEFAULT_CONFIG.with_name("gateway.yaml")
    config = tmp_path / "gateway.yaml"
    config.write_text(gateway.read_text().replace("var/gateway", str(tmp_path / "home")))
    for name in ("risk_limits.yaml", "targets.yaml"):
        (tmp_path / name).write_text(gateway.with_name(name).read_text())
    words = ["resume", "--by", "anna", "--reason", "looked", "--config", str(config)]

    ended = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
