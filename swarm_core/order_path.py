"""The order path: each step on disk before the next is taken, and resumed from what is there.

The orders of a decision are written to the log once, in one batch with the decision; from then
on only what the log says is sent, and whatever may have been sent before is looked up at the
broker first.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.lineage import Lineage
from swarm_core.marking import position_marks
from swarm_core.order_changes import settle
from swarm_core.order_states import OrderRecord, OrderState
from swarm_core.orders import Order
from swarm_core.ports import BracketBroker, Broker, EventLog, MarginAfter, MarginBroker
from swarm_core.references import References
from swarm_core.retirement import Archive
from swarm_core.risk.codes import DenialCode
from swarm_core.sizing import Targets
from swarm_core.verdicts import deny_with, judge, plan, units_of

_Ask = Callable[[Order], MarginAfter | None]
# Of these nobody is sure already: not to be heard adds nothing.
_ASKED = (OrderState.UNKNOWN, OrderState.CANCEL_PENDING, OrderState.MODIFY_PENDING)


class OrderPath:
    """One pass over the order path, at one moment, with one book, log and broker."""

    def __init__(self, book: Book, log: EventLog, broker: Broker, time_ns: int) -> None:
        self.book, self.log, self.broker, self.time_ns = book, log, broker, time_ns
        self.sent_count = 0
        # The record that a plan and its verdicts ended with: they stand while it is the last one.
        self._judged_at: int | None = None

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
        decision_id = decision.decision_id
        if Archive(self.book, self.log).has_retired(decision_id):
            return  # it was planned, and every order of it has ended long ago
        if decision_id not in self.book.planned:
            self._plan(decision, lineage, references)
        self._send(decision_id, references)

    def catch_up(self) -> None:
        self.book.apply_all(self.log.read(self.book.sequence))

    def write(self, events: Sequence[ev.Event]) -> None:
        """Put our own acts on disk, only if nobody else has written since the book was read."""
        if not events:
            return
        # What comes back follows the book without a gap: nothing has to be read again.
        self.book.apply_all(self.log.append(events, expected_sequence=self.book.sequence))

    def take_in(self, events: Sequence[ev.Event]) -> None:
        """Put the broker's words on disk: facts, whoever else has written meanwhile."""
        news = Archive(self.book, self.log).news(events)
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
        """Write the decision, its intended orders and their verdicts in one batch: all, or none.

        Orders that are only intended move no measure: the gate sees what the plan was made from.
        """
        self.write(position_marks(self.book, references.quotes, self.time_ns))
        decision_id = decision.decision_id
        taken: list[ev.Event] = []
        if decision_id not in self.book.decisions:
            taken.append(_decision_taken(decision, lineage))
        taken.append(references.taken(decision_id, self.book.sequence))
        context = references.measure(self.book)
        planned = plan(decision, self.book, references, context)
        intended = [OrderRecord(e.order) for e in planned if isinstance(e, ev.OrderIntended)]
        self.write([*taken, *planned, *judge(intended, context)])
        self._judged_at = self.book.sequence

    def _send(self, decision_id: str, references: References) -> None:
        """Bring every unfinished order of the decision to the broker."""
        records = [self.book.orders[i] for i in self.book.intended.get(decision_id, [])]
        for record in records:
            if record.state in (OrderState.SUBMITTED, OrderState.UNKNOWN):
                self.look_up(record)
        # Exits whose order went ahead of them are brought after it by `swarm_core.exits`.
        unsent = [r for r in records if r.is_unsent and not self._went_ahead(r.order)]
        units = [unit for unit in units_of(unsent) if not self._awaits_cancels(unit)]
        if not units:
            return
        self._judge(decision_id, [r for unit in units for r in unit], references)
        for unit in units:
            self.send_unit(unit)

    def _judge(
        self, decision_id: str, waiting: Sequence[OrderRecord], references: References
    ) -> None:
        """Write the gate's verdicts after what it looked at, unless they came with the plan."""
        judged_at, self._judged_at = self._judged_at, None
        if judged_at == self.book.sequence:
            return
        taken = references.taken(decision_id, self.book.sequence)
        self.write([taken, *judge(waiting, references.measure(self.book))])

    def _went_ahead(self, order: Order) -> bool:
        parent = self.book.orders.get(order.parent_client_order_id) if order.is_exit else None
        return parent is not None and not parent.is_unsent

    def send_unit(self, unit: Sequence[OrderRecord]) -> None:
        """Send approved orders that belong together, if nothing keeps them back."""
        if not all(r.state is OrderState.APPROVED for r in unit):
            return
        head = unit[0]
        if head.order.is_exit or (self._has_margin(head) and self._makes_way(head, unit)):
            self._submit(unit)
        elif head.state is OrderState.DENIED:
            self._deny_others(unit, head.order)

    def _makes_way(self, head: OrderRecord, unit: Sequence[OrderRecord]) -> bool:
        """Cancel the exits of earlier decisions in the instrument; return whether none is left.

        They and the new order may not work together: the position would be closed twice. While a
        cancel is not answered, the order stays here. Where an exit filled since the order was
        sized, it is denied: it was made for another position.
        """
        book, instrument_id = self.book, head.order.instrument_id
        older = self._older_exits(head)
        for record in older:
            if record.state.is_working and record.state is not OrderState.CANCEL_PENDING:
                self.cancel(record, f"{head.order.client_order_id} takes its place")
        if any(r.state.is_working for r in older):
            return False
        if book.exit_fills.get(instrument_id, 0) == head.exit_fills_seen:
            return True
        cause = older[0].order if older else head.order
        self.write([deny_with(r, r.attempt, self.time_ns, cause) for r in unit])
        return False

    def _older_exits(self, head: OrderRecord) -> list[OrderRecord]:
        """Return the exits of earlier decisions that work in the instrument of an order."""
        order = head.order
        return [
            r
            for r in self.book.working_orders()
            if r.order.is_exit
            and r.order.instrument_id == order.instrument_id
            and r.order.parent_client_order_id != order.client_order_id
        ]

    def _awaits_cancels(self, unit: Sequence[OrderRecord]) -> bool:
        """Return whether approved orders only wait for cancels that were asked for already.

        Their verdict does not let them out: they are judged again when the way is free.
        """
        if unit[0].order.is_exit or not all(r.state is OrderState.APPROVED for r in unit):
            return False
        older = self._older_exits(unit[0])
        return bool(older) and all(r.state is OrderState.CANCEL_PENDING for r in older)

    def _deny_others(self, unit: Sequence[OrderRecord], cause: Order) -> None:
        left = [r for r in unit if r.state is OrderState.APPROVED]
        if left:
            self.write([deny_with(r, r.attempt, self.time_ns, cause) for r in left])

    def _has_margin(self, record: OrderRecord) -> bool:
        """Return whether the broker's own sums carry an approved order, where it does sums.

        What they do not carry is denied. Where the broker does not answer, the order stays here,
        approved and unsent: it is judged and asked about again when it is resumed.
        """
        order = record.order
        try:
            short = self.margin_shortfall(order)
        except OSError:
            return False
        if short is None:
            return True
        needed, equity, detail = short
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

    def margin_shortfall(self, order: Order) -> tuple[int, int, str] | None:
        """Return margin needed, equity (minor units) and why, where the broker's sums say no.

        Raises OSError where the broker does not answer.
        """
        # Each order asks: to compare with the protocol takes 25 microseconds.
        ask: _Ask | None = getattr(self.broker, MarginBroker.margin_after.__name__, None)
        if ask is None:
            return None
        try:
            after = ask(order)
        except ValueError as error:
            return 0, 0, f"The broker would not take it: {error}."
        if after is None or not after.is_short:
            return None
        needed, equity = after.needed_minor or 0, after.equity_minor or 0
        return needed, equity, f"Needed {needed}, equity {equity} minor units."

    def _submit(self, unit: Sequence[OrderRecord]) -> None:
        """Write that orders are about to leave, then hand them over."""
        self.write([self._submitted(record) for record in unit])
        self.sent_count += len(unit)
        orders = [record.order for record in unit]
        try:
            heard = self._hand_over(orders)
        except OSError as error:
            heard = [self._unknown(order, str(error)) for order in orders]
        self.take_in(heard)

    def _hand_over(self, orders: Sequence[Order]) -> Sequence[ev.Event]:
        if len(orders) == 1:
            return self.broker.submit(orders[0], self.time_ns)
        if isinstance(self.broker, BracketBroker):
            return self.broker.submit_together(orders, self.time_ns)
        return [self._refused(order) for order in orders]

    def _refused(self, order: Order) -> ev.Event:
        order_id = order.client_order_id
        return ev.OrderRejected(
            event_id=ev.make_event_id("OrderRejected", order_id, "no brackets"),
            time_ns=self.time_ns,
            correlation_id=order.decision_id,
            client_order_id=order_id,
            reason="the broker takes no brackets: nothing was sent",
        )

    def _submitted(self, record: OrderRecord) -> ev.OrderSubmitted:
        order, attempt = record.order, record.attempt
        return ev.OrderSubmitted(
            event_id=ev.make_event_id("OrderSubmitted", order.client_order_id, attempt),
            time_ns=self.time_ns,
            causation_id=ev.make_event_id("Verdict", order.client_order_id, attempt),
            correlation_id=order.decision_id,
            client_order_id=order.client_order_id,
            attempt=attempt,
        )

    def cancel(self, record: OrderRecord, reason: str, *, is_asked: bool = False) -> None:
        """Write that the order shall be cancelled, then tell the broker, unless it was asked."""
        order_id = record.order.client_order_id
        requested = ev.OrderCancelRequested(
            event_id=ev.make_event_id("OrderCancelRequested", order_id, self.book.sequence),
            time_ns=self.time_ns,
            correlation_id=record.order.decision_id,
            client_order_id=order_id,
            reason=reason,
        )
        self.write([requested])
        if is_asked:
            return
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
        if new.state is OrderState.INTENDED:
            self._judge(order.decision_id, [new], references)
        self.send_unit([new])
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
            if record.state not in _ASKED:
                self.take_in([self._unknown(order, str(error))])
            return
        if heard is not None:
            self.take_in(heard)
            if record.state in (OrderState.SUBMITTED, OrderState.UNKNOWN):
                self.write([self._found(record)])
            elif record.pending is not None:
                settle(self, record)  # it may have filled in its new terms
            if record.state is OrderState.CANCEL_PENDING and not record.awaits_fills:
                self.cancel(record, "asked again: it works still")
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
