"""`apiary trade` through `apiary simulate-gateway`: two processes, and the wire between them."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines import resources
from pipelines.cli import app
from pipelines.settings import choose_config
from swarm_core import events as ev
from swarm_core.order_states import OrderState
from tests.trader.gateways import GatewayProcess, gateway_process, make_ib_home
from tests.trader.homes import book_of, heartbeat, log_of, trader_process, wait_for, write_targets
from tests.trader.test_drills import WAYS

# The trader needs ib_async here, and still none of these.
ABSENT = ("dagster", "redis", "psycopg", "feast")


@pytest.fixture
def gateway() -> Iterator[GatewayProcess]:
    with gateway_process() as running:
        yield running


def now(seconds: float = 0.0) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def working(gateway: GatewayProcess) -> list[str]:
    """Return the references of the orders that work at the gateway."""
    ended = {"Filled", "Cancelled", "Inactive", "ApiCancelled"}
    return [o["ref"] for o in gateway.state()["orders"] if o["status"] not in ended]


def test_it_trades_and_books_what_happens_while_the_line_is_cut(
    tmp_path: Path, gateway: GatewayProcess
) -> None:
    """Orders are filled; then all connections break and an order is filled meanwhile."""
    config = make_ib_home(tmp_path, gateway.port, order_kind="market_on_close")
    write_targets(tmp_path, [(now(), {"US.AAPL": 0.05, "US.MSFT": 0.03})])
    with trader_process(config, absent=ABSENT) as process:
        wait_for(config, lambda told: told["working_orders"] == 2, process)
        gateway.ask("/auction", name="close")
        wait_for(config, lambda _: len(book_of(config).ledger.executions) == 2, process)
        write_targets(tmp_path, [(now(), {"US.AAPL": 0.02, "US.MSFT": 0.03})])
        wait_for(config, lambda told: told["working_orders"] == 1, process)

        gateway.ask("/fault", kind="fill_while_away")

        wait_for(config, lambda _: len(book_of(config).ledger.executions) == 3, process)
        told = wait_for(config, lambda t: t["connected"] and not t["held_back"], process)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)

    book = book_of(config)
    held = {n.removeprefix("US."): p.lots for n, p in book.ledger.positions.items() if p.lots}
    shown = gateway.state()["accounts"]["DU1234567"]["positions"]
    assert held == {name: float(lots) for name, lots in shown.items()}
    assert {r.state for r in book.orders.values()} == {OrderState.FILLED}
    assert (told["state"], process.returncode) == ("active", 0), said
    references = [o["ref"] for o in gateway.state()["orders"] if o["ref"]]
    assert len(set(references)) == len(references), "one intent, one order"


def test_it_is_halted_by_every_way_while_orders_work_at_the_gateway(
    tmp_path: Path, gateway: GatewayProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way cancels at the gateway; an order by hand tightens trading to what reduces."""
    config = make_ib_home(tmp_path, gateway.port, order_kind="market_on_close")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("APIARY_CONFIG", str(config))
    choose_config(config)
    monkeypatch.setattr(resources, "_workshops", {})
    resume = ["resume", "--by", "carl", "--reason", "drilled", "--config", str(config)]
    with trader_process(config, absent=ABSENT) as process:
        for number, way in enumerate(WAYS.values(), 1):
            write_targets(tmp_path, [(now(), {"US.MSFT": 0.01 * number})])
            wait_for(config, lambda told: told["working_orders"] == 1, process)
            assert len(working(gateway)) == 1

            way(config, process)

            wait_for(
                config,
                lambda told: told["state"] == "halted" and not told["working_orders"],
                process,
            )
            assert working(gateway) == []
            assert CliRunner().invoke(app, resume).exit_code == 0
            wait_for(config, lambda told: told["state"] == "active", process)
        gateway.ask("/manual", symbol="AAPL", action="BUY", quantity=1, limit=1)
        wait_for(config, lambda told: told["state"] == "reducing", process)

    assert {r.state for r in book_of(config).orders.values()} == {OrderState.CANCELLED}
    changes = [r.event for r in log_of(config) if isinstance(r.event, ev.TradingStateChanged)]
    assert "is not in the log" in changes[-1].reason


def test_a_gateway_that_dies_halts_the_trader(tmp_path: Path) -> None:
    """kill -9 of the gateway with an order at work: nothing is released, then all is halted."""
    with gateway_process() as gateway:
        config = make_ib_home(tmp_path, gateway.port, order_kind="market_on_close")
        write_targets(tmp_path, [(now(), {"US.AAPL": 0.05})])
        with trader_process(config, absent=ABSENT) as process:
            wait_for(config, lambda told: told["working_orders"] == 1, process)

            gateway.process.kill()

            away = wait_for(config, lambda told: not told["connected"], process)
            halted = wait_for(config, lambda told: told["state"] == "halted", process)
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=90)

    assert away["held_back"] == "the broker must be connected"
    assert "the feed must" in halted["halt"]
    assert process.returncode == 0, said
    assert heartbeat(config)["ended"] is True
    (record,) = book_of(config).orders.values()
    assert record.state is OrderState.CANCEL_PENDING, "asked for, and nobody has answered"
