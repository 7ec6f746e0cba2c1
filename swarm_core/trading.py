"""The order path: from a decision to the broker, each step on disk before the next is taken.

One intent becomes at most one live order. The orders of a decision are written to the log once,
in one batch with the decision; from then on only what the log says is sent, and whatever may
have been sent before is looked up at the broker first.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from swarm_core import events as ev
from swarm_core.book import Book, book_from_events
from swarm_core.instruments import Instrument
from swarm_core.lineage import Lineage
from swarm_core.market import Quote
from swarm_core.order_states import OrderRecord, OrderState
from swarm_core.orders import Order
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.context import RiskContext, measure
from swarm_core.risk.gate import Approved, check_order
from swarm_core.risk.limits import RiskLimits
from swarm_core.sizing import SizingSettings, Targets, find_fault, size
from swarm_core.trading_state import TradingState

__all__ = [
    "Book",
    "Broker",
    "ConcurrentAppendError",
    "EventLog",
    "ReleaseReport",
    "TradingState",
    "book_from_events",
    "recover",
    "release",
]


# Another writer (a data check, a second process) may move the log between our read and our write.
_TRIES_MAX = 20


class ConcurrentAppendError(RuntimeError):
    """Somebody else wrote to the log since it was read; nothing was appended."""


class EventLog(Protocol):
    """The append-only record. An append is on disk when it returns.

    An event whose id is in the log already is not written again. With `expected_sequence`, the
    append happens only if that is the last record, else ConcurrentAppendError is raised.
    """

    def append(
        self, events: Sequence[ev.Event], *, expected_sequence: int | None = None
    ) -> Sequence[ev.RecordedEvent]: ...

    def read(self, after_sequence: int = 0) -> Iterable[ev.RecordedEvent]: ...


class Broker(Protocol):
    """Takes orders; what became of them comes back as events.

    OSError means that nobody knows whether the broker has heard.
    """

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]: ...

    def find(self, client_order_id: str) -> Sequence[ev.Event] | None:
        """Return all that the broker knows of an order, or None where it never got it."""
        ...

    def cancel(self, client_order_id: str, time_ns: int) -> Sequence[ev.Event]: ...


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """What became of one decision: its orders, in the order in which they were intended."""

    decision_id: str
    blocked_reason: str
    orders: tuple[Order, ...]
    states: Mapping[str, OrderState]
    denied: Mapping[str, DenialCode]  # by client order id, or instrument id where none was made
    sent_count: int

    @property
    def blocked(self) -> bool:
        return bool(self.blocked_reason)


def release(
    decision: Targets,
    *,
    book: Book,
    quotes: Mapping[str, Quote],
    instruments: Mapping[str, Instrument],
    limits: RiskLimits,
    log: EventLog,
    broker: Broker,
    checks_passed: bool,
    check_reason: str,
    time_ns: int,
    lineage: Lineage | None = None,
    located: Collection[str] = (),
    sizing: SizingSettings | None = None,
) -> ReleaseReport:
    """Send the orders of a decision, once; calling it again resumes what was interrupted.

    `book` is brought up to the log's end first and moved on with every event. A failed blocking
    check, or a decision that is not sound, releases nothing and leaves the reason in the log.
    """
    path = _OrderPath(book, log, broker, quotes, instruments, limits, located, time_ns)
    fault = check_reason or "a blocking check failed" if not checks_passed else None
    fault = fault or find_fault(decision)
    for _ in range(_TRIES_MAX):
        path.catch_up()
        try:
            path.run(decision, fault, lineage, sizing or SizingSettings())
        except ConcurrentAppendError:
            continue  # the log moved on: read it, and resume from what it says now
        return _report(decision.decision_id, fault or "", book, path.sent_count)
    raise ConcurrentAppendError(
        f"the log must rest for one step in {_TRIES_MAX} tries, and did not"
    )


def recover(
    *,
    book: Book,
    log: EventLog,
    broker: Broker,
    time_ns: int,
) -> int:
    """Ask the broker about every order that may be working; return how many events were new.

    To be called at start, after every reconnection and at the end of a session.
    """
    path = _OrderPath(book, log, broker, {}, {}, RiskLimits(), (), time_ns)
    path.catch_up()
    before = book.sequence
    for record in book.working_orders():
        path.look_up(record)
    return book.sequence - before


class _OrderPath:
    """One pass over the order path: what it reads, what it writes, and the steps between."""

    def __init__(
        self,
        book: Book,
        log: EventLog,
        broker: Broker,
        quotes: Mapping[str, Quote],
        instruments: Mapping[str, Instrument],
        limits: RiskLimits,
        located: Collection[str],
        time_ns: int,
    ) -> None:
        self.book, self.log, self.broker = book, log, broker
        self.quotes, self.instruments, self.limits = quotes, instruments, limits
        self.located, self.time_ns = located, time_ns
        self.sent_count = 0

    def run(
        self,
        decision: Targets,
        fault: str | None,
        lineage: Lineage | None,
        settings: SizingSettings,
    ) -> None:
        """Take the decision as far as it goes from where the log says that it stands."""
        if fault is not None:
            self.block(decision.decision_id, fault)
            return
        if decision.decision_id not in self.book.decisions:
            self.intend(decision, lineage, settings)
        self.send(decision.decision_id)

    def catch_up(self) -> None:
        self.book.apply_all(self.log.read(self.book.sequence))

    def write(self, events: Sequence[ev.Event]) -> None:
        """Put our own acts on disk, only if nobody else has written since the book was read."""
        self.log.append(events, expected_sequence=self.book.sequence)
        self.catch_up()

    def take_in(self, events: Sequence[ev.Event]) -> None:
        """Put the broker's words on disk: facts, whoever else has written meanwhile."""
        news = [e for e in events if not self.book.knows(e)]
        if news:
            self.log.append(news)
            self.catch_up()

    def measure(self) -> RiskContext:
        return measure(
            book=self.book,
            quotes=self.quotes,
            instruments=self.instruments,
            limits=self.limits,
            time_ns=self.time_ns,
            located=self.located,
        )

    def block(self, decision_id: str, reason: str) -> None:
        event_id = ev.make_event_id("ReleaseBlocked", decision_id, reason, self.time_ns)
        self.write(
            [
                ev.ReleaseBlocked(
                    event_id=event_id,
                    time_ns=self.time_ns,
                    correlation_id=decision_id,
                    decision_id=decision_id,
                    reason=reason,
                )
            ]
        )

    def intend(self, decision: Targets, lineage: Lineage | None, settings: SizingSettings) -> None:
        """Write the decision and all its intended orders in one batch: both stand, or none."""
        self.write(self._marks())
        orders, denied = size(decision, self.book, self.measure(), settings)
        decision_id = decision.decision_id
        taken_id = ev.make_event_id("DecisionTaken", decision_id)
        taken = ev.DecisionTaken(
            event_id=taken_id,
            time_ns=decision.time_ns,
            correlation_id=decision_id,
            lineage=lineage or Lineage(decision_id=decision_id, session=""),
            instrument_ids=tuple(decision.instrument_ids),
            target_weights=tuple(
                float(decision.target_weights[i]) for i in range(len(decision.instrument_ids))
            ),
        )
        refused = [
            ev.TargetDenied(
                event_id=ev.make_event_id("TargetDenied", decision_id, d.instrument_id),
                time_ns=self.time_ns,
                causation_id=taken_id,
                correlation_id=decision_id,
                decision_id=decision_id,
                instrument_id=d.instrument_id,
                code=d.code,
                detail=d.detail,
            )
            for d in denied
        ]
        intended = [
            ev.OrderIntended(
                event_id=ev.make_event_id("OrderIntended", o.client_order_id),
                time_ns=self.time_ns,
                causation_id=taken_id,
                correlation_id=decision_id,
                order=o,
            )
            for o in orders
        ]
        self.write([taken, *refused, *intended])

    def _marks(self) -> list[ev.Event]:
        """Value what is held at the quotes, so that sizing and limits see today's NAV."""
        marks: list[ev.Event] = []
        for instrument_id, position in sorted(self.book.ledger.positions.items()):
            quote = self.quotes.get(instrument_id)
            if quote is None or not position.lots or quote.reference_ticks == position.mark_ticks:
                continue
            marks.append(
                ev.PositionMarked(
                    event_id=ev.make_event_id("PositionMarked", instrument_id, self.time_ns),
                    time_ns=self.time_ns,
                    instrument_id=instrument_id,
                    price_ticks=quote.reference_ticks,
                    lot_tick_minor=position.lot_tick_minor,
                    currency=position.currency,
                )
            )
        return marks

    def send(self, decision_id: str) -> None:
        """Bring every unfinished order of the decision to the broker."""
        records = [self.book.orders[i] for i in self.book.decisions[decision_id]]
        for record in records:
            if record.state in (OrderState.SUBMITTED, OrderState.UNKNOWN):
                self.look_up(record)
        pending = (OrderState.INTENDED, OrderState.APPROVED)
        waiting = [r for r in records if r.state in pending]
        self._judge(waiting)
        for record in waiting:
            if record.state is OrderState.APPROVED:
                self._submit(record)

    def _judge(self, records: Sequence[OrderRecord]) -> None:
        """Write the gate's verdicts in one batch; each approval counts against the next order."""
        context = self.measure()
        verdicts: list[ev.Event] = []
        for record in records:
            verdict = check_order(record.order, context)
            attempt = record.attempt + 1
            order_id = record.order.client_order_id
            head = {
                "event_id": ev.make_event_id("Verdict", order_id, attempt),
                "causation_id": ev.make_event_id("OrderIntended", order_id),
                "correlation_id": record.order.decision_id,
                "client_order_id": order_id,
            }
            if isinstance(verdict, Approved):
                context.send(record.order)
                verdicts.append(
                    ev.OrderApproved(
                        **head,
                        time_ns=self.time_ns,
                        attempt=attempt,
                        reference_ticks=verdict.reference_ticks,
                        value_micros=verdict.value_micros,
                    )
                )
            else:
                verdicts.append(
                    ev.OrderDenied(
                        **head,
                        time_ns=self.time_ns,
                        code=verdict.code,
                        measured=verdict.measured,
                        limit=verdict.limit,
                        detail=verdict.detail,
                    )
                )
        if verdicts:
            self.write(verdicts)

    def _submit(self, record: OrderRecord) -> None:
        """Write that the order is about to leave, then hand it over."""
        order, attempt = record.order, record.attempt
        order_id = order.client_order_id
        submitted = ev.OrderSubmitted(
            event_id=ev.make_event_id("OrderSubmitted", order_id, attempt),
            time_ns=self.time_ns,
            causation_id=ev.make_event_id("Verdict", order_id, attempt),
            correlation_id=order.decision_id,
            client_order_id=order_id,
            attempt=attempt,
        )
        self.write([submitted])
        self.sent_count += 1
        try:
            heard = self.broker.submit(order, self.time_ns)
        except OSError as error:
            heard = [self._unknown(order, attempt, str(error))]
        self.take_in(heard)

    def look_up(self, record: OrderRecord) -> None:
        """Ask the broker what became of an order; where it never got it, it may be sent again."""
        order = record.order
        order_id = order.client_order_id
        try:
            heard = self.broker.find(order_id)
        except OSError as error:
            if record.state is not OrderState.UNKNOWN:
                self.take_in([self._unknown(order, record.attempt, str(error))])
            return
        if heard is not None:
            self.take_in(heard)
        elif record.state in (OrderState.SUBMITTED, OrderState.UNKNOWN):
            lost = ev.OrderSubmissionLost(
                event_id=ev.make_event_id("OrderSubmissionLost", order_id, record.attempt),
                time_ns=self.time_ns,
                causation_id=ev.make_event_id("OrderSubmitted", order_id, record.attempt),
                correlation_id=order.decision_id,
                client_order_id=order_id,
                attempt=record.attempt,
            )
            self.write([lost])

    def _unknown(self, order: Order, attempt: int, reason: str) -> ev.Event:
        return ev.OrderStateUnknown(
            event_id=ev.make_event_id(
                "OrderStateUnknown", order.client_order_id, attempt, self.time_ns
            ),
            time_ns=self.time_ns,
            correlation_id=order.decision_id,
            client_order_id=order.client_order_id,
            reason=reason,
        )


def _report(decision_id: str, reason: str, book: Book, sent_count: int) -> ReleaseReport:
    ids = book.decisions.get(decision_id, [])
    codes = {i: book.denials[i] for i in ids if i in book.denials}
    return ReleaseReport(
        decision_id=decision_id,
        blocked_reason=reason,
        orders=tuple(book.orders[i].order for i in ids),
        states={i: book.orders[i].state for i in ids},
        denied={**book.denied_targets.get(decision_id, {}), **codes},
        sent_count=sent_count,
    )
