"""A desk for tests of the order path: a log, a broker that reads it, and quotes to trade on."""

from collections.abc import Sequence

from adapters.brokers.simulated import SimulatedBroker
from adapters.stores.event_log_memory import MemoryEventLog
from swarm_core import events as ev
from swarm_core.orders import Order
from swarm_core.risk.limits import RiskLimits
from swarm_core.trading import ReleaseReport, book_from_events, release
from tests.swarm_core.builders import (
    CASH,
    DAY_NS,
    INSTRUMENTS,
    NOW_NS,
    A,
    B,
    Targeted,
    make_bar,
    make_limits,
    make_quote,
)


class LoggedFirstBroker(SimulatedBroker):
    """A broker that looks into the log at every submission: the verdict must be there."""

    def __init__(self, log: MemoryEventLog) -> None:
        super().__init__(INSTRUMENTS)
        self.log = log
        self.received: list[Order] = []
        self.fails: OSError | None = None
        self.is_away = False

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]:
        on_disk = [r.event for r in self.log.read()]
        mine = [e for e in on_disk if getattr(e, "client_order_id", "") == order.client_order_id]
        assert any(isinstance(e, ev.OrderApproved) for e in mine)
        assert isinstance(mine[-1], ev.OrderSubmitted)
        self.received.append(order)
        if self.fails is not None:
            raise self.fails
        return super().submit(order, time_ns)

    def find(self, client_order_id: str) -> Sequence[ev.Event] | None:
        if self.is_away:
            raise ConnectionError("no route to the broker")
        return super().find(client_order_id)


class Desk:
    """One book with its log and broker, and the release of decisions on it."""

    def __init__(self) -> None:
        self.log = MemoryEventLog()
        self.broker = LoggedFirstBroker(self.log)
        self.quotes = {A: make_quote(A), B: make_quote(B)}
        self.limits: RiskLimits = make_limits()
        self.passed = True

    def book(self):
        return book_from_events(self.log.read(), "USD", CASH)

    def release(self, decision: Targeted, time_ns: int = NOW_NS) -> ReleaseReport:
        return release(
            decision,
            book=self.book(),
            quotes=self.quotes,
            instruments=INSTRUMENTS,
            limits=self.limits,
            log=self.log,
            broker=self.broker,
            checks_passed=self.passed,
            check_reason="" if self.passed else "gaps in bars of 2024-01-02",
            time_ns=time_ns,
        )

    def events(self, kind: type[ev.Event]) -> list[ev.Event]:
        return [r.event for r in self.log.read() if isinstance(r.event, kind)]

    def fill(self, time_ns: int = NOW_NS + DAY_NS) -> None:
        bars = [make_bar(i, time_ns, q.reference_ticks / 100) for i, q in self.quotes.items()]
        self.log.append(self.broker.on_bars(bars, time_ns))
