"""A desk that sends brackets over the order path to a simulated broker."""

from adapters.brokers.simulated import SimulatedBroker
from adapters.stores.event_log_memory import MemoryEventLog
from swarm_core import events as ev
from swarm_core.book import Book, book_from_events
from swarm_core.exits import guard_exits
from swarm_core.instruments import to_minor
from swarm_core.order_path import OrderPath
from swarm_core.order_states import OrderState
from swarm_core.references import References
from swarm_core.replay import replay
from swarm_core.sizing_settings import ExitSettings, SizingSettings
from swarm_core.trading import release
from tests.swarm_core.builders import (
    CASH,
    INSTRUMENTS,
    NOW_NS,
    A,
    make_bar,
    make_decision,
    make_limits,
    make_quote,
)

EXITS = ExitSettings(take_profit_fraction=0.1, stop_loss_fraction=0.05)
SIZING = SizingSettings(exits=EXITS)
MINUTE_NS = 60 * 10**9


class Rig:
    """A book, a log and a venue that fills from bars; every act is a new process's."""

    def __init__(self, **limits: object) -> None:
        self.log, self.venue = MemoryEventLog(), SimulatedBroker(INSTRUMENTS)
        self.book = Book("USD", to_minor(CASH))
        self.limits, self.now_ns = make_limits(**limits), NOW_NS

    def tell(self, event: ev.Event) -> None:
        self.log.append([event])
        self.book.apply_all(self.log.read(self.book.sequence))

    def decide(self, name: str = "d1", *, passed: bool = True, **weights: float):
        return release(
            make_decision(name, self.now_ns, **weights),
            book=self.book,
            quotes={A: make_quote(time_ns=self.now_ns)},
            instruments=INSTRUMENTS,
            limits=self.limits,
            log=self.log,
            broker=self.venue,
            checks_passed=passed,
            check_reason="" if passed else "gaps",
            time_ns=self.now_ns,
            sizing=SIZING,
        )

    def bar(self, price: float, volume: float | None = 1e7) -> None:
        self.now_ns += MINUTE_NS
        self.log.append(self.venue.on_bars([make_bar(A, self.now_ns, price, volume)], self.now_ns))
        self.book.apply_all(self.log.read(self.book.sequence))

    def guard(self) -> None:
        references = References(
            time_ns=self.now_ns,
            quotes={A: make_quote(time_ns=self.now_ns)},
            instruments=INSTRUMENTS,
            limits=self.limits,
            sizing=SIZING,
            located=frozenset(),
        )
        guard_exits(OrderPath(self.book, self.log, self.venue, self.now_ns), references)

    def states(self) -> dict[str, OrderState]:
        """Return how the newest orders stand, by what they are."""
        return {
            r.order.exit_kind.value if r.order.exit_kind else "entry": r.state
            for r in self.book.orders.values()
        }

    def check(self) -> None:
        """The log gives the same book and verdicts again."""
        report = replay(self.log.read(), "USD", CASH)
        assert report.first_difference is None, report.first_difference
        again = book_from_events(self.log.read(), "USD", CASH)
        assert again.lots(A) == self.book.lots(A)
        assert self.book.ledger.find_imbalance() is None
