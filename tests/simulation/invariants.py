"""The invariants of the order path, checked after every event and at every order that leaves."""

from collections.abc import Sequence

from adapters.stores.event_log_memory import MemoryEventLog
from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.instruments import to_minor
from swarm_core.order_states import OrderState
from swarm_core.orders import Order
from swarm_core.trading_state import TradingState
from swarm_core.working_terms import WorkingTerms
from tests.simulation.venue import Venue
from tests.swarm_core.builders import CASH

BAD = "-bad"  # how the ids of decisions end whose checks have failed, or that are not sound
_TIGHTER = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)
_QUOTE_AHEAD_NS_MAX = 10**9  # clocks differ; the trader takes no quote that is further ahead


class Watch:
    """A log that folds what is written to it, and what leaves for the venue, and checks both."""

    def __init__(self) -> None:
        self.log = MemoryEventLog()
        self.book = Book("USD", to_minor(CASH))
        self.venue: Venue | None = None
        self.approved: dict[str, int] = {}  # attempt of the newest approval, by order
        self.submitted: dict[str, int] = {}
        self.changes: dict[str, tuple[int, WorkingTerms]] = {}  # the newest that was approved
        self.event_count = 0
        self._filled: dict[str, int] = {}
        self.booked: set[str] = set()
        self.busted: set[str] = set()
        self.is_pulled = False  # whether a trader that lives has halted, on record or not

    # --- as a log -------------------------------------------------------------------------
    def append(
        self, events: Sequence[ev.Event], *, expected_sequence: int | None = None
    ) -> Sequence[ev.RecordedEvent]:
        recorded = self.log.append(events, expected_sequence=expected_sequence)
        for record in self.log.read(self.book.sequence):
            self._check_event(record.event)
            self.book.apply(record)
            self._check_book(record.event)
            self.event_count += 1
        return recorded

    def read(self, after_sequence: int = 0):
        return self.log.read(after_sequence)

    # --- at the wire ----------------------------------------------------------------------
    def order_leaves(self, order: Order) -> None:
        """What must be on disk before an order reaches the venue (invariants 1, 2, 8 and 9)."""
        order_id = order.client_order_id
        assert self.venue is not None
        assert self.venue.receipts[order_id] == 0, f"{order_id} is sent twice"
        closes = order.decision_id.startswith("flatten-")
        assert closes or not self.is_pulled, f"{order_id} leaves behind a halt that nobody lifted"
        assert order_id in self.approved, f"{order_id} leaves without a verdict on disk"
        assert self.submitted.get(order_id) == self.approved[order_id], (
            f"{order_id} leaves without its submission on disk"
        )
        record = self.book.orders[order_id]
        assert record.order == order, f"{order_id} leaves other than it was intended"
        # A decision held back for a line that was down may leave later; a bad one never may.
        assert not order.decision_id.endswith(BAD), f"{order_id} is of a decision that is bad"
        self._check_state(order, order.quantity_lots)

    def change_leaves(self, order: Order, terms: WorkingTerms, number: int) -> None:
        """A change was approved on disk in just these terms, and nothing has superseded it."""
        order_id = order.client_order_id
        record = self.book.orders[order_id]
        assert self.changes.get(order_id) == (number, terms), f"{order_id}: a change unapproved"
        assert record.pending == terms, f"{order_id}: a change leaves that is not pending"
        assert record.most_lots >= terms.quantity_lots, f"{order_id}: more may fill than counts"
        self._check_state(order, terms.quantity_lots - record.filled_lots)

    def _check_state(self, order: Order, lots: int) -> None:
        order_id, state = order.client_order_id, self.book.trading_state
        assert state is not TradingState.HALTED, f"{order_id} leaves while trading is halted"
        if state is TradingState.REDUCING and not order.is_exit:
            held = self.book.lots(order.instrument_id)
            after = held + order.side.sign * lots
            assert abs(after) < abs(held), f"{order_id} does not reduce"

    # --- after every event ----------------------------------------------------------------
    def _check_event(self, event: ev.Event) -> None:
        if isinstance(event, ev.OrderApproved):
            self.approved[event.client_order_id] = event.attempt
        elif isinstance(event, ev.OrderSubmitted):
            assert self.approved.get(event.client_order_id) == event.attempt, (
                f"{event.client_order_id} is submitted without a verdict on disk"
            )
            self.submitted[event.client_order_id] = event.attempt
        elif isinstance(event, ev.OrderModifyRequested):
            self.changes[event.client_order_id] = (event.number, WorkingTerms.of(event))
        elif isinstance(event, ev.OrderModified):
            asked = self.changes.get(event.client_order_id)
            assert asked is not None, f"{event.client_order_id} is changed unasked"
            assert event.number < asked[0] or WorkingTerms.of(event) == asked[1]
        elif isinstance(event, ev.ReleaseBlocked):
            assert event.reason, "a release is blocked without a reason"
        elif isinstance(event, ev.ReferencesTaken):
            newest = max((q.time_ns for q in event.quotes), default=0)
            assert newest <= event.time_ns + _QUOTE_AHEAD_NS_MAX, "a quote of the future is used"
        elif isinstance(event, ev.TradingStateChanged) and not event.by_person:
            told = event.reason.removeprefix("the trader must not fail: ")
            assert told == event.reason or told.startswith("OSError"), event.reason  # a full disk
            before, after = (_TIGHTER.index(s) for s in (self.book.trading_state, event.state))
            assert after >= before, f"{event.actor} lifts a halt"

    def _check_book(self, event: ev.Event) -> None:
        ledger = self.book.ledger
        assert ledger.find_imbalance() is None, ledger.find_imbalance()
        assert not ledger.conflicts, f"executions are told in two ways: {ledger.conflicts}"
        lines, nav = ledger.nav_lines(), ledger.find_nav_minor()
        assert lines is not None
        held = sum(p.value_minor for p in ledger.positions.values())
        owed = ledger.owed.get("USD", 0)
        parts = ledger.cash["USD"] + owed + held
        assert nav == parts == sum(lines.values()), "NAV is not its parts"
        if isinstance(event, ev.OrderFilled):
            self._check_fill(event)
        elif isinstance(event, ev.ExecutionCorrected):
            self._check_taken_back(event)
        if isinstance(event, ev.OrderEvent) and event.client_order_id in self.book.orders:
            record = self.book.orders[event.client_order_id]
            lots = self._filled.get(event.client_order_id, 0)
            assert record.filled_lots == lots, f"{event.client_order_id} is filled otherwise"
            assert lots <= record.order.quantity_lots, f"{event.client_order_id} is overfilled"
            if record.state is OrderState.DENIED:
                assert not lots, f"{event.client_order_id} was denied and is filled"

    def _check_fill(self, fill: ev.OrderFilled) -> None:
        """A fill is the venue's own, and is booked once, however often it is told (5)."""
        assert self.venue is not None
        truth = self.venue.fills.get(fill.execution_id)
        truth = truth or self.venue.taken_back.get(fill.execution_id)
        assert truth is not None, f"{fill.execution_id} was never executed"
        assert (truth.lots, truth.price_ticks, truth.side) == (
            fill.lots,
            fill.price_ticks,
            fill.side,
        ), f"{fill.execution_id} is booked otherwise than it was executed"
        if fill.execution_id not in self.booked:
            self.booked.add(fill.execution_id)
            order_id = fill.client_order_id
            self._filled[order_id] = self._filled.get(order_id, 0) + fill.lots

    def _check_taken_back(self, event: ev.ExecutionCorrected) -> None:
        assert self.venue is not None
        truth = self.venue.taken_back.get(event.execution_id)
        assert truth is not None, f"{event.execution_id} was never taken back"
        assert event.execution_id in self.booked, f"{event.execution_id} was never booked"
        assert event.execution_id not in self.busted, f"{event.execution_id} is taken back twice"
        self.busted.add(event.execution_id)
        self._filled[truth.client_order_id] -= truth.lots
