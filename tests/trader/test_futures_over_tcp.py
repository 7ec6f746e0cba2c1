"""Futures through the gateway: their profit becomes cash at the day's end, and the books agree."""

import signal
from datetime import UTC, datetime
from pathlib import Path

from gateway_simulator.default_listings import default_listings
from gateway_simulator.listings import Listing
from swarm_core import events as ev
from tests.trader.gateways import gateway_process, make_ib_home
from tests.trader.homes import book_of, log_of, trader_process, wait_for, write_targets
from tests.trader.test_over_tcp import ABSENT

ES = "FUT.ES"


def test_a_future_is_settled_daily_and_trading_goes_on(tmp_path: Path) -> None:
    """Bought, settled after a move, sold after another: cash agrees to the cent at each step."""
    listing = listed()[1]  # the first may be so near its end that it may only be reduced
    with gateway_process() as gateway:
        config = make_ib_home(
            tmp_path,
            gateway.port,
            instruments=[es(ES)],
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


def listed() -> list[Listing]:
    """Return the listed months of a future, the nearest first."""
    listings = default_listings(datetime.now(UTC).date())
    found = [one for one in listings if (one.symbol, one.sec_type) == ("ES", "FUT")]
    return sorted(found, key=lambda one: one.last_trade_date)


def es(instrument_id: str) -> dict[str, object]:
    return {
        "instrument_id": instrument_id,
        "asset_class": "future",
        "currency": "USD",
        "calendar": "24/7",
        "venue": "CME",
        "price_increment": "0.25",
        "multiplier": 50,
    }


def test_a_future_is_rolled_when_the_broker_says_that_it_ends_soon(tmp_path: Path) -> None:
    """Bought by one trader; the next one is told to roll early, and asks when the contract ends."""
    today = datetime.now(UTC).date()
    found = [one for one in default_listings(today) if (one.symbol, one.sec_type) == ("ES", "FUT")]
    front, following = sorted(found, key=lambda one: one.last_trade_date)[1:3]
    contracts = {
        ES: {"symbol": "ES", "last_trade_date": front.last_trade_date[:6]},
        "FUT.NEXT": {"con_id": following.con_id},
    }
    ends = datetime.strptime(front.last_trade_date, "%Y%m%d").replace(tzinfo=UTC).date()
    early = dict.fromkeys(
        ("warn_sessions", "reduce_sessions", "act_sessions"),
        (ends - datetime.now(UTC).date()).days + 5,
    )
    with gateway_process() as gateway:

        def home(**more: object) -> Path:
            both = [es(ES), es("FUT.NEXT")]
            account = {"cash_tolerance": 0}
            return make_ib_home(
                tmp_path,
                gateway.port,
                instruments=both,
                contracts=contracts,
                account=account,
                **more,
            )

        for one in (front, following):
            gateway.ask("/quote", con_id=one.con_id, bid=799.75, ask=800.25)
        config = home()
        write_targets(tmp_path, [(datetime.now(UTC), {ES: 0.085})])
        with trader_process(config, absent=ABSENT) as process:
            wait_for(config, lambda _: book_of(config).lots(ES) == 2, process)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        config = home(contract_end={**early, "then": "roll", "into": {ES: "FUT.NEXT"}})
        with trader_process(config, absent=ABSENT) as process:
            wait_for(config, lambda _: book_of(config).lots("FUT.NEXT") == 2, process)
            wait_for(config, lambda told: not told["working_orders"], process)
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=60)

        positions = gateway.state()["accounts"]["DU1234567"]["positions"]
    assert f"{ES}: last trading day {ends}" in said, said
    assert f"{ES}: rolled into FUT.NEXT" in said, said
    assert said.splitlines()[-1].startswith("active"), said
    assert book_of(config).lots(ES) == 0
    assert positions == {following.local_symbol: "2"}


def settlements(config: Path) -> list[ev.Event]:
    told = (recorded.event for recorded in log_of(config))
    return [event for event in told if isinstance(event, ev.VariationSettled)]
