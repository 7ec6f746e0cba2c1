"""Gateways for tests: they list A, B and C at 100, and fill only what a test fills."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

from gateway_simulator.clock import Clock
from gateway_simulator.default_listings import share
from gateway_simulator.faults import Fault, FaultKind
from gateway_simulator.gateway import Gateway
from gateway_simulator.hosting import HostedGateway
from gateway_simulator.orders import Execution, LiveOrder
from gateway_simulator.settings import GatewaySettings

A_ID, B_ID, C_ID = 101, 102, 103


def make_gateway(**fields: object) -> Gateway:
    """Return a gateway that is not started: three shares, quotes set by hand, a still market."""
    values: dict[str, object] = {
        "accounts": ("DU1",),
        "market_every_s": 0.0,
        "messages_per_s_max": 0,
        **fields,
    }
    listings = [share(name, number) for name, number in (("A", A_ID), ("B", B_ID), ("C", C_ID))]
    gateway = Gateway(
        GatewaySettings(**values),  # type: ignore[arg-type]  # a builder of any field
        clock=Clock(),
        listings=listings,
    )
    for listing in listings:
        gateway.market.set_quote(listing.con_id, Decimal("99.99"), Decimal("100.01"))
    return gateway


@contextmanager
def hosted(**fields: object) -> Iterator[HostedGateway]:
    """Host a gateway in a thread for as long as the block lasts."""
    with HostedGateway(lambda: make_gateway(**fields)) as host:
        yield host


def order_of(gateway: Gateway, reference: str) -> LiveOrder:
    """Return the one order that has a reference."""
    (found,) = [o for o in gateway.venue.orders if o.ref == reference]
    return found


def fill(
    host: HostedGateway, reference: str, quantity: int | None = None, price: str = "100"
) -> Execution:
    """Fill an order, by default all that is left of it."""

    def act(gateway: Gateway) -> Execution:
        order = order_of(gateway, reference)
        size = order.remaining if quantity is None else Decimal(quantity)
        return gateway.venue.fill(order, size, Decimal(price))

    return host.call(act)


def do(host: HostedGateway, kind: FaultKind, **fields: object) -> None:
    """Let a fault happen, now or at its event."""
    host.call(lambda g: g.faults.add(Fault(kind=kind, **fields)))  # type: ignore[arg-type]


def wait_until(
    holds: Callable[[], bool], why: str = "it must hold at last", patience_s: int = 10
) -> None:
    """Wait until something holds; AssertionError where it does not within its patience."""
    for _ in range(200 * patience_s):
        if holds():
            return
        time.sleep(0.005)
    raise AssertionError(why)
