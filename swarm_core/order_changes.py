"""A working order in other terms, under its own id: judged, on disk, and only then sent.

Until the broker has answered, the order counts in whichever terms are the larger, so there is
never more in flight than was approved; what the broker refuses leaves the order as it was.
"""

from collections.abc import Sequence
from typing import Protocol

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.order_states import OrderRecord, OrderState
from swarm_core.orders import Order
from swarm_core.ports import Broker, ModifyingBroker
from swarm_core.references import References
from swarm_core.verdicts import judge_change, margin_denied_change
from swarm_core.working_terms import WorkingTerms

STEADY = (OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED)


class OrderPass(Protocol):
    """What a change asks of the path that its order is on."""

    book: Book
    broker: Broker
    time_ns: int

    def write(self, events: Sequence[ev.Event]) -> None: ...
    def take_in(self, events: Sequence[ev.Event]) -> None: ...
    def cancel(self, record: OrderRecord, reason: str) -> None: ...
    def margin_shortfall(self, order: Order) -> tuple[int, int, str] | None: ...


def fits(old: Order, new: Order) -> bool:
    """Return whether an order can become another by its quantity and prices alone."""
    same = ("instrument_id", "side", "kind", "time_in_force", "strategy", "exit_kind")
    return not old.is_exit and all(getattr(old, name) == getattr(new, name) for name in same)


def modify(path: OrderPass, record: OrderRecord, order: Order, references: References) -> bool:
    """Give a working order the terms of another; return whether the broker was asked.

    The changed order passes the gate as if it were sent anew, what has filled of it counted in
    it; where no more is asked for than has filled, the rest is cancelled. Raises ValueError where
    the order does not rest at the broker, or cannot become the other.
    """
    broker = path.broker
    if not isinstance(broker, ModifyingBroker):
        raise TypeError(f"the broker must take changes of an order, {type(broker).__name__} cannot")
    if record.state not in STEADY or not fits(record.order, order):
        raise ValueError(
            f"an order must rest at the broker and keep its kind to be changed, "
            f"was {record.state.value}, {record.order.kind.value} to {order.kind.value}"
        )
    terms = WorkingTerms.of(order)
    if terms == WorkingTerms.of(record.order):
        return False
    if terms.quantity_lots <= record.filled_lots:
        path.cancel(record, f"{record.filled_lots} lots of {terms.quantity_lots} have filled")
        return True
    verdict = judge_change(record, terms, references, path.book)
    if isinstance(verdict, ev.OrderModifyRequested):
        short = _margin(path, record, terms)
        verdict = verdict if short is None else short
    taken = references.taken(record.order.decision_id, path.book.sequence)
    path.write([taken, verdict])
    if not isinstance(verdict, ev.OrderModifyRequested):
        return False
    try:
        heard = broker.modify(record.order, terms, verdict.number, path.time_ns)
    except OSError:
        return True  # nobody knows whether it arrived: the broker's own terms are asked for later
    path.take_in(heard)
    return True


def _margin(
    path: OrderPass, record: OrderRecord, terms: WorkingTerms
) -> ev.OrderModifyDenied | None:
    """Return the denial of lots more than the broker's own sums carry, where it does sums."""
    more = terms.quantity_lots - record.order.quantity_lots
    if more <= 0:
        return None
    try:
        told = path.margin_shortfall(terms.applied_to(record.order, quantity_lots=more))
    except OSError as error:
        told = 0, 0, f"The broker did not answer: {error}."
    return None if told is None else margin_denied_change(record, terms, told, path.time_ns)


def settle(path: OrderPass, record: OrderRecord) -> None:
    """Learn from the broker in which terms an order works whose change was not answered."""
    pending, broker = record.pending, path.broker
    if pending is None or not isinstance(broker, ModifyingBroker):
        return
    order_id = record.order.client_order_id
    try:
        found = broker.find_terms(record.order)
    except OSError:
        return  # it is asked again
    if found is None:  # it works no more: what has filled says in which terms it did
        sizes = {pending.quantity_lots: pending, record.order.quantity_lots: None}
        if record.filled_lots not in sizes:
            return
        found = sizes[record.filled_lots]
        if record.told_end is not None:  # with lots left, which it has in the larger terms alone
            found = pending if pending.quantity_lots > record.order.quantity_lots else None
    if found == pending:
        path.take_in([modified(order_id, pending, record.change_number, path.time_ns)])
        return
    reason = "the broker works the order in its old terms"
    path.take_in([refused(order_id, record.change_number, reason, path.time_ns)])


def modified(order_id: str, terms: WorkingTerms, number: int, time_ns: int) -> ev.OrderModified:
    """Return the event of a change that was taken."""
    return ev.OrderModified(
        event_id=ev.make_event_id("OrderModified", order_id, number),
        time_ns=time_ns,
        client_order_id=order_id,
        number=number,
        quantity_lots=terms.quantity_lots,
        limit_price_ticks=terms.limit_price_ticks,
        stop_price_ticks=terms.stop_price_ticks,
    )


def refused(order_id: str, number: int, reason: str, time_ns: int) -> ev.OrderModifyRejected:
    """Return the event of a change that was not taken."""
    return ev.OrderModifyRejected(
        event_id=ev.make_event_id("OrderModifyRejected", order_id, number),
        time_ns=time_ns,
        client_order_id=order_id,
        number=number,
        reason=reason,
    )
