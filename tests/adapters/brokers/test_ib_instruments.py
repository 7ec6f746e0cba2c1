"""Orders in every kind of contract over TCP; brackets, what-if, and contracts kept on disk."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from ib_async import Contract, Stock

from adapters.brokers.ib import IbBroker
from adapters.brokers.ib_contract_cache import ContractCache
from adapters.brokers.ib_contract_units import ContractUnits
from adapters.brokers.ib_contracts import ContractTerms
from adapters.brokers.ib_session import IbSettings
from gateway_simulator.clock import Clock
from gateway_simulator.gateway import Gateway
from gateway_simulator.hosting import HostedGateway
from gateway_simulator.settings import GatewaySettings
from swarm_core.brackets import exits_for
from swarm_core.instruments import Instrument
from swarm_core.orders import Order, OrderKind, TimeInForce
from swarm_core.sizing_settings import ExitSettings
from tests.adapters.brokers.test_broker_contract import kinds, tcp_ib
from tests.gateway_simulator.gateways import A_ID, fill, hosted, order_of, wait_until
from tests.swarm_core.builders import NOW_NS, A, make_instrument, make_order

GTC = {"kind": OrderKind.MARKET, "time_in_force": TimeInForce.GOOD_TILL_CANCELLED}
# Instrument, what else names its contract, the lots of an order, and how the broker names it.
CASES: dict[str, tuple[Instrument, ContractTerms | None, int, str]] = {
    "share": (make_instrument("US.AAPL"), None, 10, "AAPL"),
    "fund": (make_instrument("US.SPY", asset_class="etf"), None, 10, "SPY"),
    "future": (
        make_instrument(
            "FUT.ES",
            asset_class="future",
            price_increment=Decimal("0.25"),
            multiplier=Decimal(50),
            venue="CME",
        ),
        ContractTerms(symbol="ES", exchange="CME", last_trade_date="202609"),
        1,
        "ESU6",
    ),
    "option": (
        make_instrument("OPT.AAPL", asset_class="option", multiplier=Decimal(100)),
        ContractTerms(symbol="AAPL", last_trade_date="20260918", strike=190.0, right="C"),
        3,
        "AAPL  260918C00190000",
    ),
    "currency": (
        make_instrument(
            "FX.EURUSD",
            asset_class="fx",
            price_increment=Decimal("0.00005"),
            size_increment=Decimal(1000),
        ),
        None,
        20,
        "EUR.USD",
    ),
    "coin": (
        make_instrument(
            "CRYPTO.BTCUSD",
            asset_class="crypto",
            price_increment=Decimal("0.25"),
            size_increment=Decimal("0.0001"),
        ),
        None,
        25,
        "BTC.USD",
    ),
    "contract for difference": (
        make_instrument("CFD.IBM", asset_class="cfd"),
        None,
        10,
        "IBMn",
    ),
}
JULY_S = 1_783_000_000  # the second of July 2026


@pytest.fixture(scope="module")
def market() -> Iterator[HostedGateway]:
    """A gateway with all that it lists, its clock in July 2026."""
    begun_ns = time.time_ns()
    clock = Clock(lambda: JULY_S * 10**9 + time.time_ns() - begun_ns)
    asked = GatewaySettings(market_every_s=0.05, messages_per_s_max=0, accounts=("DU1",))
    with HostedGateway(lambda: Gateway(asked, clock=clock)) as host:
        yield host


@contextmanager
def broker_for(
    host: HostedGateway, case: str, cache: ContractCache | None = None
) -> Iterator[IbBroker]:
    instrument, terms, _, _ = CASES[case]
    broker = IbBroker(
        IbSettings(port=host.port, answer_s_max=5.0),
        {instrument.instrument_id: instrument},
        now_ns=lambda: NOW_NS,
        terms={} if terms is None else {instrument.instrument_id: terms},
        cache=cache,
    )
    broker.open()
    try:
        yield broker
    finally:
        broker.close()


@pytest.mark.parametrize("case", CASES)
def test_an_order_is_filled_in_every_kind_of_contract(market: HostedGateway, case: str) -> None:
    """Qualified, sent, filled and held, in lots and ticks of our own grid."""
    instrument, _, lots, local = CASES[case]
    order = make_order(instrument.instrument_id, lots=lots, **GTC)
    with broker_for(market, case) as broker:
        assert kinds(broker.submit(order, NOW_NS)) == {"OrderAccepted"}
        wait_until(lambda: "OrderFilled" in kinds(broker.find(order.client_order_id)))
        account = broker.account()
        placed = market.call(lambda g: order_of(g, order.client_order_id))

    (fill,) = [f for f in account.fills if f.client_order_id == order.client_order_id]
    assert placed.listing.local_symbol == local
    assert (fill.lots, fill.instrument_id) == (lots, instrument.instrument_id)
    assert float(instrument.ticks_to_price(fill.price_ticks)) == float(placed.average_price)
    assert account.position_lots[instrument.instrument_id] == lots
    assert account.cash_minor is not None
    assert "EUR" not in account.cash_minor  # what was bought of it is a position


def test_what_if_is_told_and_sends_nothing(market: HostedGateway) -> None:
    """Margin, equity and commission; a lot too much is not covered."""
    with broker_for(market, "share") as broker:
        before = market.call(lambda g: g.venue.received_count)
        small = broker.what_if(make_order("US.AAPL", lots=100, **GTC))
        large = broker.what_if(make_order("US.AAPL", lots=1_000_000, **GTC))
        with pytest.raises(ValueError, match="110"):
            _ask_off_the_grid(broker)
        assert market.call(lambda g: g.venue.received_count) == before
    assert small.is_covered
    assert not large.is_covered
    assert (small.commission, small.currency) == (Decimal("1.0"), "USD")
    assert small.initial_after is not None
    assert small.initial_before is not None
    assert small.initial_after > small.initial_before


def _ask_off_the_grid(broker: IbBroker) -> None:
    """Ask for an order at a price between two steps of the exchange."""
    fine = make_instrument("US.AAPL", price_increment=Decimal("0.001"))
    broker.contracts.instruments["US.AAPL"] = fine
    order = make_order(
        "US.AAPL", limit=100_001, kind=OrderKind.LIMIT, time_in_force=TimeInForce.DAY
    )
    broker.what_if(order)


EXITS = ExitSettings(take_profit_fraction=0.05, stop_loss_fraction=0.05)


def make_bracket(lots: int = 10) -> list[Order]:
    entry = make_order(A, lots=lots, **GTC)
    return [entry, *exits_for(entry, lots, 10_000, EXITS)]


def fall(gateway: Gateway) -> None:
    gateway.market.set_quote(A_ID, Decimal("94.90"), Decimal("94.92"))
    gateway.venue.on_market()


def test_a_bracket_works_as_one(tmp_path: Path) -> None:
    """Sent once, however often it is asked for; the stop sells, and the target is cancelled."""
    with hosted() as host:
        broker = tcp_ib(host)
        bracket = make_bracket()
        try:
            first = broker.submit_together(bracket, NOW_NS)
            again = broker.submit_together(bracket, NOW_NS)
            accepted = [e for e in first if type(e).__name__ == "OrderAccepted"]
            assert len(accepted) == 3
            assert {e.event_id for e in accepted} <= {e.event_id for e in again}
            host.call(fall)
            entry, target, stop = (o.client_order_id for o in bracket)
            wait_until(lambda: "OrderFilled" in kinds(broker.find(stop)))
            assert "OrderCancelled" in kinds(broker.find(target))
            assert "OrderFilled" in kinds(broker.find(entry))
            assert broker.account().position_lots.get(A, 0) == 0
            assert host.call(lambda g: g.venue.received_count) == 3
        finally:
            broker.close()


def test_exits_alone_cancel_each_other(tmp_path: Path) -> None:
    """Their order has ended: what is held is closed by one of two that stand by themselves."""
    with hosted() as host:
        broker = tcp_ib(host)
        entry, target, stop = make_bracket()
        try:
            broker.submit(entry, NOW_NS)
            wait_until(lambda: "OrderFilled" in kinds(broker.find(entry.client_order_id)))
            broker.submit_together([target, stop], NOW_NS)
            host.call(fall)
            wait_until(lambda: "OrderFilled" in kinds(broker.find(stop.client_order_id)))
            assert "OrderCancelled" in kinds(broker.find(target.client_order_id))
            assert broker.account().position_lots.get(A, 0) == 0
        finally:
            broker.close()


def test_exits_that_got_lost_join_their_order_while_it_works(tmp_path: Path) -> None:
    """A process died after the first of three: a new one sends the exits, and all are let go."""
    with hosted(matches_by_itself=False) as host:
        broker = tcp_ib(host)
        entry, target, stop = make_bracket()
        try:
            broker.submit(entry, NOW_NS)
            broker.close()
            broker = tcp_ib(host)
            broker.submit_together([target, stop], NOW_NS)
            held = host.call(lambda g: [(o.parent_id != 0, o.held) for o in g.venue.orders[1:]])
            assert held == [(True, "child"), (True, "child")]
            fill(host, entry.client_order_id)
            fill(host, target.client_order_id)
            wait_until(lambda: "OrderCancelled" in kinds(broker.find(stop.client_order_id)))
            assert broker.account().position_lots.get(A, 0) == 0
        finally:
            broker.close()


def test_a_stop_order_waits_at_the_broker(tmp_path: Path) -> None:
    """A stop-limit travels with both of its prices."""
    with hosted() as host:
        broker = tcp_ib(host)
        order = make_order(
            A,
            limit=10_100,
            kind=OrderKind.STOP_LIMIT,
            stop_price_ticks=10_050,
            time_in_force=TimeInForce.GOOD_TILL_CANCELLED,
        )
        try:
            assert kinds(broker.submit(order, NOW_NS)) == {"OrderAccepted"}
            placed = host.call(lambda g: order_of(g, order.client_order_id))
            assert (placed.kind, placed.limit, placed.stop) == ("STP LMT", 101, Decimal("100.5"))
            assert placed.status.value == "PreSubmitted"
        finally:
            broker.close()


def test_contracts_are_asked_for_once_a_week(market: HostedGateway, tmp_path: Path) -> None:
    """Kept on disk with their day: another process does not ask again, until it is a week old."""
    path, today = tmp_path / "contracts.json", date(2026, 7, 2)

    def asked_by(order_day: date) -> int:
        counted: list[str] = []
        market.gateway.report = counted.append
        cache = ContractCache(path, lambda: order_day)
        with broker_for(market, "share", cache) as broker:
            broker.what_if(make_order("US.AAPL", **GTC))
        market.gateway.report = lambda _: None
        return sum("req_contract_details" in line for line in counted)

    assert [asked_by(day) for day in (today, today, date(2026, 7, 9), date(2026, 7, 10))] == [
        1,
        0,
        0,
        1,
    ]
    (entry,) = json.loads(path.read_text()).values()
    assert (entry["conId"], entry["asked_on"]) == (265598, "2026-07-10")


def test_a_broken_or_ended_entry_is_asked_for_again(tmp_path: Path) -> None:
    """A file that cannot be read is set aside; a future that has ended is no longer known."""
    path = tmp_path / "contracts.json"
    path.write_text("{not json")
    cache = ContractCache(path, lambda: date(2026, 7, 2))
    assert cache.find(Stock("A", "SMART", "USD")) is None
    assert path.with_suffix(".broken").is_file()
    asked = Contract(secType="FUT", symbol="ES", exchange="CME")
    found = Contract(secType="FUT", conId=7, lastTradeDateOrContractMonth="20260703")
    cache.keep(asked, found, ContractUnits("50", "0.25"))
    assert cache.find(asked) is not None
    later = ContractCache(path, lambda: date(2026, 7, 4))
    assert later.find(asked) is None


def test_a_fill_that_is_no_whole_lot_is_never_rounded(market: HostedGateway) -> None:
    """The instrument counts in thousands and the broker tells a part of one: nothing is booked."""
    instrument, _, lots, _ = CASES["currency"]
    order = make_order(
        instrument.instrument_id, lots=lots, limit=10_000, decision_id="odd",
        kind=OrderKind.LIMIT, time_in_force=TimeInForce.GOOD_TILL_CANCELLED,
    )  # fmt: skip
    with broker_for(market, "currency") as broker:
        broker.submit(order, NOW_NS)

        def fill_a_part(gateway: Gateway) -> None:
            placed = order_of(gateway, order.client_order_id)
            gateway.venue.fill(placed, Decimal(1_500), Decimal("0.5"))

        market.call(fill_a_part)
        with pytest.raises(ValueError, match="must be whole lots of 1000, was"):
            broker.account()
