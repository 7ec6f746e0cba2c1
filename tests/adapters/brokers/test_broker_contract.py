"""What every broker of the order path must do, tried on the simulated one and on the adapter."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from adapters.brokers.ib import IbBroker
from adapters.brokers.ib_session import IbSettings
from adapters.brokers.simulated import SimulatedBroker
from adapters.stores.event_log_memory import MemoryEventLog
from gateway_simulator.hosting import HostedGateway
from swarm_core import events as ev
from swarm_core.orders import Order, OrderKind, TimeInForce
from swarm_core.ports import Broker
from swarm_core.trading import book_from_events
from tests.adapters.brokers.gateway_double import GatewayDouble
from tests.gateway_simulator.gateways import fill, hosted
from tests.swarm_core.builders import CASH, DAY_NS, INSTRUMENTS, NOW_NS, make_bar, make_order

GTC = {"kind": OrderKind.MARKET, "time_in_force": TimeInForce.GOOD_TILL_CANCELLED}


@dataclass
class Rig:
    """A broker, and a way to make its market fill a whole order at 100."""

    broker: Broker
    fill: Callable[[Order], object]
    received: Callable[[], int]


def simulated() -> Iterator[Rig]:
    broker = SimulatedBroker(INSTRUMENTS)
    time_ns = NOW_NS + DAY_NS
    yield Rig(
        broker,
        lambda order: broker.on_bars([make_bar(order.instrument_id, time_ns, 100.0)], time_ns),
        lambda: len(broker._tickets),
    )


def interactive() -> Iterator[Rig]:
    gateway = GatewayDouble()
    broker = make_ib(gateway)

    def fill_all(order: Order) -> None:
        done = gateway.fill(order.client_order_id, order.quantity_lots, 100.0, "e1")
        gateway.charge(done, 1.0)

    yield Rig(broker, fill_all, lambda: len(gateway.received))
    broker.close()


def over_tcp() -> Iterator[Rig]:
    with hosted(matches_by_itself=False) as host:
        broker = tcp_ib(host)
        yield Rig(
            broker,
            lambda order: fill(host, order.client_order_id),
            lambda: host.call(lambda g: g.venue.received_count),
        )
        broker.close()


def tcp_ib(host: HostedGateway, **fields: object) -> IbBroker:
    """Return the adapter with the real client, connected to a simulated gateway over TCP."""
    values: dict[str, object] = {
        "port": host.port,
        "answer_s_max": 2.0,
        "backoff_s_min": 0.01,
        "backoff_s_max": 0.05,
        **fields,
    }
    settings = IbSettings(**values)  # type: ignore[arg-type]  # a builder of any field
    broker = IbBroker(settings, INSTRUMENTS, now_ns=lambda: NOW_NS)
    broker.open()
    return broker


def make_ib(gateway: GatewayDouble, **fields: object) -> IbBroker:
    values: dict[str, object] = {
        "answer_s_max": 0.2,
        "backoff_s_min": 0.01,
        "backoff_s_max": 0.05,
        **fields,
    }
    broker = IbBroker(
        IbSettings(**values),  # type: ignore[arg-type]  # a builder of any field
        INSTRUMENTS,
        now_ns=lambda: NOW_NS,
        make_client=gateway.make_client,  # type: ignore[arg-type]  # stands in for ib_async's client
    )
    broker.open()
    return broker


@pytest.fixture(params=[simulated, interactive, over_tcp], ids=["simulated", "ib", "tcp"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    yield from request.param()


def kinds(events: Sequence[ev.Event] | None) -> set[str]:
    return {type(event).__name__ for event in events or ()}


def test_an_order_that_is_sent_again_is_not_sent_again(rig: Rig) -> None:
    """The same client order id gives the stored outcome, and one order stands at the broker."""
    first = rig.broker.submit(make_order(**GTC), NOW_NS)
    again = rig.broker.submit(make_order(**GTC), NOW_NS + 5)

    assert tuple(first) == tuple(again)
    assert kinds(first) == {"OrderAccepted"}
    assert rig.received() == 1


def test_an_order_that_never_came_is_not_found(rig: Rig) -> None:
    """None means that it may be sent."""
    assert rig.broker.find(make_order().client_order_id) is None


def test_what_happened_is_found_and_books_once(rig: Rig) -> None:
    """Everything is told by `find`, twice over: the book has one fill and one commission."""
    order = make_order(**GTC)
    rig.broker.submit(order, NOW_NS)
    rig.fill(order)

    told = [*(rig.broker.find(order.client_order_id) or ())]
    told += rig.broker.find(order.client_order_id) or ()
    log = MemoryEventLog()
    log.append(told)
    book = book_from_events(log.read(), "USD", CASH)

    assert len(book.ledger.executions) == len(book.ledger.commissions) == 1
    assert book.lots(order.instrument_id) == order.quantity_lots
    assert book.ledger.find_imbalance() is None


def test_a_cancelled_order_is_found_cancelled(rig: Rig) -> None:
    """Cancelling ends what is open; a second cancel changes nothing."""
    order = make_order(**GTC)
    rig.broker.submit(order, NOW_NS)

    rig.broker.cancel(order.client_order_id, NOW_NS)
    rig.broker.cancel(order.client_order_id, NOW_NS)

    assert "OrderCancelled" in kinds(rig.broker.find(order.client_order_id))


def test_an_instrument_without_a_contract_is_rejected(rig: Rig) -> None:
    """It is an answer, not a doubt."""
    assert kinds(rig.broker.submit(make_order("US.ZZZ"), NOW_NS)) == {"OrderRejected"}
