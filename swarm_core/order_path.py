"""The order path: each step on disk before the next is taken, and resumed from what is there.

The orders of a decision are written to the log once, in one batch with the decision; from then
on only what the log says is sent, and whatever may have been sent before is looked up at the
broker first.
"""

from collections.abc import Sequence
from dataclasses import replace

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.lineage import Lineage
from swarm_core.marking import position_marks
from swarm_core.order_states import OrderRecord, OrderState
from swarm_core.orders import Order
from swarm_core.ports import Broker, EventLog, MarginBroker
from swarm_core.references import References
from swarm_core.risk.codes import DenialCode
from swarm_core.sizing import Targets
from swarm_core.verdicts import judge, plan


class OrderPath:
    """One pass over the order path, at one moment, with one book, log and broker."""

    def __init__(self, book: Book, log: EventLog, broker: Broker, time_ns: int) -> None:
        self.book, self.log, self.broker, self.time_ns = book, log, broker, time_ns
        self.sent_count = 0

    def run(
        self,
        decision: Targets,
        fault: str | None,
        lineage: Lineage | None,
        references: References,
    ) -> None:
        """Take the decision as far as it goes from where the log says that it stands."""
        if fault is not None:
            self._block(decision.decision_id, fault)
            return
        if decision.decision_id not in self.book.planned:
            self._plan(decision, lineage, references)
        self._send(decision.decision_id, references)

    def catch_up(self) -> None:
        self.book.apply_all(self.log.read(self.book.sequence))

    def write(self, events: Sequence[ev.Event]) -> None:
        """Put our own acts on disk, only if nobody else has written since the book was read."""
        # What comes back follows the book without a gap: nothing has to be read again.
        self.book.apply_all(self.log.append(events, expected_sequence=self.book.sequence))

    def take_in(self, events: Sequence[ev.Event]) -> None:
        """Put the broker's words on disk: facts, whoever else has written meanwhile."""
        news = [e for e in events if not self.book.knows(e)]
        if not news:
            return
        records, behind = self.log.append(news), self.book.sequence
        if [r.sequence for r in records] == list(range(behind + 1, behind + 1 + len(news))):
            self.book.apply_all(records)
        else:
            self.catch_up()  # somebody else has written too

    def _block(self, decision_id: str, reason: str) -> None:
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

    def _plan(self, decision: Targets, lineage: Lineage | None, references: References) -> None:
        """Write the decision and all its intended orders in one batch: both stand, or none."""
        self.write(position_marks(self.book, references.quotes, self.time_ns))
        decision_id = decision.decision_id
        taken: list[ev.Event] = []
        if decision_id not in self.book.decisions:
            taken.append(_decision_taken(decision, lineage))
        taken.append(references.taken(decision_id, self.book.sequence))
        self.write([*taken, *plan(decision, self.book, references)])

    def _send(self, decision_id: str, references: References) -> None:
        """Bring every unfinished order of the decision to the broker."""
        records = [self.book.orders[i] for i in self.book.intended.get(decision_id, [])]
        for record in records:
            if record.state in (OrderState.SUBMITTED, OrderState.UNKNOWN):
                self.look_up(record)
        pending = (OrderState.INTENDED, OrderState.APPROVED)
        waiting = [r for r in records if r.state in pending]
        if not waiting:
            return
        taken = references.taken(decision_id, self.book.sequence)
        self.write([taken, *judge(waiting, references.measure(self.book))])
        for record in waiting:
            if record.state is OrderState.APPROVED and self._has_margin(record):
                self._submit(record)

    def _has_margin(self, record: OrderRecord) -> bool:
        """Return whether the broker's own sums carry an approved order, where it does sums.

        What they do not carry is denied. Where the broker does not answer, the order stays here,
        approved and unsent: it is judged and asked about again when it is resumed.
        """
        if not isinstance(self.broker, MarginBroker):
            return True
        order, needed, equity = record.order, 0, 0
        try:
            after = self.broker.margin_after(order)
            if after is None or not after.is_short:
                return True
            needed, equity = after.needed_minor or 0, after.equity_minor or 0
            detail = f"Needed {needed}, equity {equity} minor units."
        except OSError:
            return False
        except ValueError as error:
            detail = f"The broker would not take it: {error}."
        order_id = order.client_order_id
        denied = ev.OrderDenied(
            event_id=ev.make_event_id("Verdict", order_id, record.attempt, "margin"),
            time_ns=self.time_ns,
            causation_id=ev.make_event_id("Verdict", order_id, record.attempt),
            correlation_id=order.decision_id,
            client_order_id=order_id,
            code=DenialCode.MARGIN,
            measured=needed,
            limit=equity,
            detail=f"{DenialCode.MARGIN.explanation} {detail}",
        )
        self.write([denied])
        return False

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
            heard = [self._unknown(order, str(error))]
        self.take_in(heard)

    def cancel(self, record: OrderRecord, reason: str) -> None:
        """Write that the order shall be cancelled, then tell the broker."""
        order_id = record.order.client_order_id
        requested = ev.OrderCancelRequested(
            event_id=ev.make_event_id("OrderCancelRequested", order_id, self.book.sequence),
            time_ns=self.time_ns,
            correlation_id=record.order.decision_id,
            client_order_id=order_id,
            reason=reason,
        )
        self.write([requested])
        try:
            heard = self.broker.cancel(order_id, self.time_ns)
        except OSError:
            return  # the order stays in cancel_pending, and is asked for by the next recovery
        self.take_in(heard)

    def replace(self, record: OrderRecord, order: Order, references: References) -> bool:
        """Put another order in the place of a working one; return whether it was sent.

        The old one is cancelled first, so the two never work together, and the new one is for
        what the old one left. It passes the gate like any other. False where the cancel has not
        been answered yet (call again), where nothing was left, or where the gate denies.
        """
        new_id = order.client_order_id
        if record.state.is_working and record.state is not OrderState.CANCEL_PENDING:
            self.cancel(record, f"to be replaced by {new_id}")
        left = order.quantity_lots - record.filled_lots
        if record.state is OrderState.CANCELLED and left > 0:
            self.write(self._replaced(record, replace(order, quantity_lots=left)))
        new = self.book.orders.get(new_id)
        if new is None:
            return False
        taken = references.taken(order.decision_id, self.book.sequence)
        if new.state is OrderState.INTENDED:
            self.write([taken, *judge([new], references.measure(self.book))])
        if new.state is OrderState.APPROVED and self._has_margin(new):
            self._submit(new)
        return new.submitted_ns is not None

    def _replaced(self, record: OrderRecord, order: Order) -> list[ev.Event]:
        old_id, new_id = record.order.client_order_id, order.client_order_id
        cause = ev.make_event_id("OrderReplaced", old_id, new_id)
        return [
            ev.OrderReplaced(
                event_id=cause,
                time_ns=self.time_ns,
                correlation_id=order.decision_id,
                client_order_id=old_id,
                replaced_by=new_id,
            ),
            ev.OrderIntended(
                event_id=ev.make_event_id("OrderIntended", new_id),
                time_ns=self.time_ns,
                causation_id=cause,
                correlation_id=order.decision_id,
                order=order,
            ),
        ]

    def look_up(self, record: OrderRecord) -> None:
        """Ask the broker what became of an order; where it never got it, it may be sent again."""
        order = record.order
        order_id = order.client_order_id
        try:
            heard = self.broker.find(order_id)
        except OSError as error:
            if record.state not in (OrderState.UNKNOWN, OrderState.CANCEL_PENDING):
                self.take_in([self._unknown(order, str(error))])
            return
        if heard is not None:
            self.take_in(heard)
            if record.state in (OrderState.SUBMITTED, OrderState.UNKNOWN):
                self.write([self._found(record)])
        elif record.is_unheard:
            lost = ev.OrderSubmissionLost(
                event_id=ev.make_event_id("OrderSubmissionLost", order_id, record.attempt),
                time_ns=self.time_ns,
                causation_id=ev.make_event_id("OrderSubmitted", order_id, record.attempt),
                correlation_id=order.decision_id,
                client_order_id=order_id,
                attempt=record.attempt,
            )
            self.write([lost])

    def _found(self, record: OrderRecord) -> ev.Event:
        order_id = record.order.client_order_id
        return ev.OrderFound(
            event_id=ev.make_event_id("OrderFound", order_id, self.book.sequence),
            time_ns=self.time_ns,
            correlation_id=record.order.decision_id,
            client_order_id=order_id,
            attempt=record.attempt,
        )

    def _unknown(self, order: Order, reason: str) -> ev.Event:
        return ev.OrderStateUnknown(
            event_id=ev.make_event_id(
                "OrderStateUnknown", order.client_order_id, self.book.sequence
            ),
            time_ns=self.time_ns,
            correlation_id=order.decision_id,
            client_order_id=order.client_order_id,
            reason=reason,
        )


def _decision_taken(decision: Targets, lineage: Lineage | None) -> ev.DecisionTaken:
    decision_id, count = decision.decision_id, len(decision.instrument_ids)
    return ev.DecisionTaken(
        event_id=ev.make_event_id("DecisionTaken", decision_id),
        time_ns=decision.time_ns,
        correlation_id=decision_id,
        lineage=lineage or Lineage(decision_id=decision_id, session=""),
        instrument_ids=tuple(decision.instrument_ids),
        target_weights=tuple(float(decision.target_weights[i]) for i in range(count)),
    )
