"""`apiary trade` over TCP, cut off at its first order and killed at its second."""

import signal
from datetime import UTC, datetime
from pathlib import Path

import yaml

from gateway_simulator.faults import FaultKind
from gateway_simulator.gateway import Gateway
from gateway_simulator.hosting import HostedGateway
from swarm_core.instruments import to_minor
from tests.gateway_simulator.gateways import do, hosted, wait_until
from tests.trader.homes import book_of, make_home, trader_process, write_targets

# Everything that the trader over a broker must do without.
ABSENT = ("dagster", "redis", "psycopg", "feast")


def make_ib_home(folder: Path, port: int) -> Path:
    """Write a configuration that trades A and B around the clock through a gateway."""
    instruments = [
        {"instrument_id": name, "asset_class": "equity", "currency": "USD", "calendar": "24/7"}
        for name in ("US.A", "US.B")
    ]
    config = make_home(
        folder,
        feed={"kind": "ib", "port": port},
        # An order whose margin cannot be asked for is denied; here it shall be sent later.
        broker={
            "kind": "ib_paper",
            "port": port,
            "answer_s_max": 5.0,
            "asks_for_margin": False,
        },
        instruments=instruments,
        watch={"heartbeat_s": 0.02, "reconcile_every_s": 0.2},
    )
    content = {**yaml.safe_load(config.read_text()), "calendar": "24/7"}
    config.write_text(yaml.safe_dump(content))
    write_targets(folder, [(datetime.now(UTC), {"US.A": 0.04, "US.B": 0.03})])
    return config


def received(host: HostedGateway) -> list[str]:
    return host.call(lambda g: [order.ref for order in g.venue.orders])


def test_it_trades_and_is_killed_and_the_book_is_the_account(tmp_path: Path) -> None:
    """The first order breaks the connection, the second kills the process; it ends as it should."""
    with hosted(market_every_s=0.02) as host:
        config = make_ib_home(tmp_path, host.port)
        do(host, FaultKind.DROP_BEFORE_ACK, at="place_order")
        with trader_process(config, ABSENT) as process:
            wait_until(lambda: len(received(host)) == 2, "the second must come", 60)
            process.send_signal(signal.SIGKILL)
            process.wait()
        with trader_process(config, ABSENT) as process:
            wait_until(lambda: len(book_of(config).ledger.commissions) == 2, "two fills", 60)
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=60)

        assert "active: 2 orders, 2 fills, 0 working" in said
        assert len(received(host)) == len(set(received(host))) == 2

        def truth(gateway: Gateway) -> tuple[dict[str, int], int]:
            (account,) = gateway.venue.accounts.values()
            held = {f"US.{h.listing.symbol}": int(h.quantity) for h in account.holdings.values()}
            return held, to_minor(str(account.cash["USD"]))

        lots, cash = host.call(truth)
        book = book_of(config)
        assert {i: p.lots for i, p in book.ledger.positions.items()} == lots
        assert book.ledger.cash["USD"] == cash
