"""The kill switch drilled on a real process, by each of the ways that pull it."""

import signal
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from pipelines import resources
from pipelines.cli import app
from pipelines.halting import halt_job
from pipelines.settings import choose_config
from swarm_core import events as ev
from swarm_core.order_states import OrderState
from tests.trader.homes import (
    OPEN,
    book_of,
    heartbeat,
    log_of,
    make_slow_home,
    trader_process,
    wait_for,
    write_targets,
)
from trader.kill_switch import KillSwitch
from trader.opening import lock_of

Way = Callable[[Path, "subprocess.Popen[str]"], object]


def by_command(config: Path, _: object) -> None:
    words = ["halt", "--reason", "drill", "--by", "anna", "--config", str(config)]
    assert CliRunner().invoke(app, words).exit_code == 0


def by_file(config: Path, _: object) -> None:
    (config.parent / "home" / "control" / "halt.json").touch()


def by_signal(_: Path, process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGUSR1)


def by_http(config: Path, _: object) -> None:
    token = (config.parent / "home" / "control" / "token").read_text()
    answer = httpx.post(
        f"http://127.0.0.1:{heartbeat(config)['control_port']}/halt",
        json={"reason": "drill", "actor": "ben"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 202


def by_job(_: Path, __: object) -> None:
    words = {"reason": "drill", "actor": "the job", "flatten": False}
    config = {"ops": {"pull_kill_switch": {"config": words}}}
    assert halt_job.execute_in_process(run_config=config).success


WAYS: dict[str, Way] = {
    "anna": by_command,
    "file": by_file,
    "signal": by_signal,
    "ben": by_http,
    "the job": by_job,
}


def test_every_way_halts_a_running_trader_and_only_a_person_lifts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five drills of one process: orders work, it is halted, they are cancelled, it is resumed."""
    config = make_slow_home(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("APIARY_CONFIG", str(config))
    choose_config(config)
    monkeypatch.setattr(resources, "_workshops", {})
    rows: list[tuple[object, dict[str, float]]] = []
    write_targets(tmp_path, [(OPEN + timedelta(hours=5), {"US.CAT": 0.0})])
    with trader_process(config) as process:
        for number, way in enumerate(WAYS.values(), 1):
            rows.append((OPEN + timedelta(milliseconds=number), {"US.CAT": 0.01 * number}))
            write_targets(tmp_path, rows)  # type: ignore[arg-type]  # moments and weights
            wait_for(config, lambda told: told["working_orders"] == 1, process)

            way(config, process)

            halted = wait_for(config, lambda told: told["state"] == "halted", process)
            assert halted["working_orders"] == 0
            resume = ["resume", "--by", "carl", "--reason", "drilled", "--config", str(config)]
            assert CliRunner().invoke(app, resume).exit_code == 0
            wait_for(config, lambda told: told["state"] == "active", process)

    changes = [r.event for r in log_of(config) if isinstance(r.event, ev.TradingStateChanged)]
    assert [c.actor for c in changes] == [name for way in WAYS for name in (way, "carl")]
    assert {r.state for r in book_of(config).orders.values()} == {OrderState.CANCELLED}


def test_a_halt_whose_file_cannot_be_written_reaches_the_trader_or_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full, or the folder another user's: the command said that it had halted."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    config = make_slow_home(tmp_path)
    monkeypatch.setattr(KillSwitch, "_write", full)
    words = ["halt", "--reason", "drill", "--by", "anna", "--config", str(config)]
    write_targets(tmp_path, [(OPEN, {"US.CAT": 0.01})])
    with trader_process(config) as process:
        wait_for(config, lambda told: told["working_orders"] == 1, process)
        told = CliRunner().invoke(app, words)
        assert (told.exit_code, "told over HTTP" in told.output) == (0, True)
        assert "is pulled" not in told.output
        halted = wait_for(config, lambda told: told["state"] == "halted", process)
        assert halted["working_orders"] == 0

    with lock_of(config.parent / "home", "somebody who does not answer"):
        told = CliRunner().invoke(app, words)
    assert (told.exit_code, "stopped by its signals" in told.output) == (1, True)


def test_a_signal_flattens_what_is_held(tmp_path: Path) -> None:
    """USR2: what works is cancelled, what is held is sold through the gate, then all is halted."""
    config = make_slow_home(tmp_path)
    write_targets(tmp_path, [(OPEN, {"US.ANT": 0.05, "US.CAT": 0.05})])
    with trader_process(config) as process:
        wait_for(config, lambda _: bool(book_of(config).lots("US.ANT")), process)
        process.send_signal(signal.SIGUSR2)
        wait_for(config, lambda told: told["state"] == "halted", process)
        wait_for(config, lambda _: not book_of(config).lots("US.ANT"), process)

    book = book_of(config)
    held = {name: position.lots for name, position in book.ledger.positions.items()}
    assert held == {"US.ANT": 0}
    assert sorted(r.state.value for r in book.orders.values()) == ["cancelled", "filled", "filled"]
