"""Futures through the gateway: their profit becomes cash at the day's end, and the books agree."""

import signal
from datetime import UTC, datetime
from pathlib import Path

from gateway_simulator.default_listings import default_listings
from swarm_core import events as ev
from tests.trader.gateways import gateway_process, make_ib_home
from tests.trader.homes import book_of, log_of, trader_process, wait_for, write_targets
from tests.trader.test_over_tcp import ABSENT

ES = "FUT.ES"


def test_a_future_is_settled_daily_and_trading_goes_on(tmp_path: Path) -> None:
    """Bought, settled after a move, sold after another: cash agrees to the cent at each step."""
    listing = next(
        one
        for one in default_listings(datetime.now(UTC).date())
        if (one.symbol, one.sec_type) == ("ES", "FUT")
    )
    with gateway_process() as gateway:
        config = make_ib_home(
            tmp_path,
            gateway.port,
            instruments=[
                {
                    "instrument_id": ES,
                    "asset_class": "future",
                    "currency": "USD",
                    "calendar": "24/7",
                    "venue": "CME",
                    "price_increment": "0.25",
                    "multiplier": 50,
                }
            ],
            contracts={ES: {"symbol": "ES", "last_trade_date": listing.last_trade_date}},
            account={"cash_tolerance": 0},
        )

        def quote(price: float) -> None:
            gateway.ask("/quote", con_id=listing.con_id, bid=price - 0.25, ask=price + 0.25)

        quote(800)
        write_targets(tmp_path, [(datetime.now(UTC), {ES: 0.085})])
        with trader_process(config, absent=ABSENT) as process:
            wait_for(config, lambda _: book_of(config).lots(ES) == 2, process)
            quote(805)
            gateway.ask("/end-day")
            wait_for(config, lambda _: bool(settlements(config)), process)
            quote(803)
            write_targets(tmp_path, [(datetime.now(UTC), {ES: 0.0})])
            wait_for(config, lambda _: book_of(config).lots(ES) == 0, process)
            wait_for(config, lambda told: not told["working_orders"], process)
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=60)

        shown = gateway.state()["accounts"]["DU1234567"]["cash"]["USD"]
    assert "settlement_booked FUT.ES" in said, said
    assert said.splitlines()[-1].startswith("active"), said
    assert f"{book_of(config).ledger.cash['USD'] / 1e8:.2f}" == f"{float(shown):.2f}"


def settlements(config: Path) -> list[ev.Event]:
    told = (recorded.event for recorded in log_of(config))
    return [event for event in told if isinstance(event, ev.VariationSettled)]
