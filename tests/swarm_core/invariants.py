"""The invariants of the order path, checked after every event that reaches the log."""

from collections.abc import Sequence

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.instruments import to_minor
from swarm_core.order_states import OrderState
from tests.adapters.stores.event_log_contract import CheckedLog
from tests.swarm_core.builders import CASH


class WatchingLog:
    """A log that folds everything written to it and refuses to go on with a broken book."""

    def __init__(self, log: CheckedLog) -> None:
        self.log = log
        self.book = Book("USD", to_minor(CASH))
        self.approved: set[str] = set()

    def append(self, events: Sequence[ev.Event], *, expected_sequence: int | None = None):
        recorded = self.log.append(events, expected_sequence=expected_sequence)
        for record in self.log.read(self.book.sequence):
            self.check_event(record.event)
            self.book.apply(record)
            self.check_book()
        return recorded

    def read(self, after_sequence: int = 0):
        return self.log.read(after_sequence)

    def check_event(self, event: ev.Event) -> None:
        if isinstance(event, ev.OrderApproved):
            self.approved.add(event.client_order_id)
        if isinstance(event, ev.OrderSubmitted | ev.OrderFilled | ev.OrderAccepted):
            assert event.client_order_id in self.approved, f"{event} without a verdict on disk"

    def check_book(self) -> None:
        assert self.book.ledger.find_imbalance() is None
        assert not self.book.ledger.conflicts
        assert not self.book.unknown_fills
        filled: dict[str, int] = {}
        for fill in self.book.ledger.executions.values():
            filled[fill.client_order_id] = filled.get(fill.client_order_id, 0) + fill.lots
        for order_id, record in self.book.orders.items():
            lots = filled.get(order_id, 0)
            assert record.filled_lots == lots <= record.order.quantity_lots
            if record.state is OrderState.DENIED:
                assert not lots
