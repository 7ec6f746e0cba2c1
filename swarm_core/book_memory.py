"""What the book lets go of, and takes back, at the word of the log."""

from swarm_core import events as ev
from swarm_core.book_state import BookState
from swarm_core.fill_events import ExecutionRecalled
from swarm_core.order_states import OrderRecord


def retire(book: BookState, event: ev.DecisionsRetired) -> None:
    """Let go of decisions, their orders and fills; what they did to the books stays."""
    book.has_retired = True
    if book.keeps_all:
        return
    for decision_id in event.decision_ids:
        for order_id in book.intended.pop(decision_id, ()):
            record = book.orders.pop(order_id)
            book.retired_order_count += 1
            book.retired_fill_count += book.ledger.retire(record.executions)
            book.denials.pop(order_id, None)
            parent_id = "" if record.order.is_exit else record.order.parent_client_order_id
            book.realised.forget(order_id, parent_id)
            book.let_go(order_id)
        for kept in (book.decisions, book.blocked, book.denied_targets):
            kept.pop(decision_id, None)
        book.planned.discard(decision_id)
        book.worked.discard(decision_id)
    foreign = set(event.foreign_order_ids)
    gone = [f.execution_id for f in book.unknown_fills if f.client_order_id in foreign]
    book.retired_fill_count += book.ledger.retire(gone)
    book.unknown_fills = [f for f in book.unknown_fills if f.client_order_id not in foreign]


def recall(book: BookState, event: ev.OrderRecalled) -> None:
    """Take an order back, as its events left it."""
    order, order_id = event.order, event.client_order_id
    if order_id in book.orders:
        return  # it never left, or somebody else has brought it back
    book.orders[order_id] = OrderRecord.recalled(event)
    book.retired_order_count -= 1
    book.intended.setdefault(order.decision_id, []).append(order_id)
    if event.arrival_ticks is not None:
        book.realised.approve(order_id, event.arrival_ticks)
    book.file(order_id, book.orders[order_id])


def recall_execution(book: BookState, event: ExecutionRecalled) -> None:
    """Take an execution back, as corrections left it."""
    fill = ev.OrderFilled(
        event_id=event.causation_id,
        time_ns=event.filled_ns,
        client_order_id=event.client_order_id,
        execution_id=event.execution_id,
        instrument_id=event.instrument_id,
        side=event.side,
        lots=event.lots,
        price_ticks=event.price_ticks,
        lot_tick_minor=event.lot_tick_minor,
        currency=event.currency,
        commission_minor=event.commission_minor,
        is_margined=event.is_margined,
    )
    if book.ledger.recall(fill, event.commission_minor, event.revision):
        book.retired_fill_count -= 1
