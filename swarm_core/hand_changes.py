"""What another hand (a person in the broker's own program) has made of a working order of ours."""

from collections.abc import Iterator

from swarm_core import events as ev
from swarm_core.broker_account import BrokerOrder
from swarm_core.findings import Finding, FindingKind
from swarm_core.order_states import OrderRecord
from swarm_core.orders import Order, OrderKind
from swarm_core.working_terms import WorkingTerms

# What a stop order may be shown as once its stop price has traded.
_TRIGGERED = {OrderKind.STOP: OrderKind.MARKET, OrderKind.STOP_LIMIT: OrderKind.LIMIT}


def find_changes(
    record: OrderRecord, order: BrokerOrder, time_ns: int, *, adopt_foreign: bool
) -> Iterator[tuple[Finding, ev.OrderModified | None]]:
    """Yield what differs between an order in the book and at the broker, and what to book for it.

    What a person has made larger, or has taken the price limit from, was not approved so.
    """
    order_id = record.order.client_order_id
    if order.held and order.ending is None and not record.state.is_final:
        yield Finding(FindingKind.ORDER_HELD, order_id, order.held), None
    if strange := _find_strange_kind(record, order):
        detail = f"must work as {record.order.kind.value}, does as {strange}: cancel it"
        yield Finding(FindingKind.ORDER_STRANGE, order_id, detail), None
    if (event := changed_by_hand(record, order, time_ns)) is None:
        return
    kind = FindingKind.ORDER_CHANGED
    if not adopt_foreign and _is_unbound(record, event):
        kind = FindingKind.ORDER_UNBOUND
    elif not adopt_foreign and event.quantity_lots > record.order.quantity_lots:
        kind = FindingKind.ORDER_GROWN
    yield Finding(kind, order_id, _in_words(record, event)), event


def _works_alike(record: OrderRecord, order: BrokerOrder) -> bool:
    """Return whether an order works in the book and at the broker, with nothing else under way."""
    works = record.state.is_working and record.told_end is None and order.ending is None
    return works and record.pending is None


def changed_by_hand(
    record: OrderRecord, order: BrokerOrder, time_ns: int
) -> ev.OrderModified | None:
    """Return the terms that another hand (a person in TWS) has given a working order of ours.

    None where they are ours, or may be: while a change of ours is not answered. Of an exit the
    quantity says nothing, since the broker takes away what the other one fills, and its kind
    stays: it is what its position is protected by.
    """
    shown, ours = order.terms, record.order
    if shown is None or not _works_alike(record, order):
        return None
    kind = order.kind if isinstance(order.kind, OrderKind) and not ours.is_exit else ours.kind
    quantity = ours.quantity_lots if ours.is_exit else shown.quantity_lots
    limit = _price(kind.has_limit, shown.limit_price_ticks, ours.limit_price_ticks)
    stop = _price(kind.has_stop, shown.stop_price_ticks, ours.stop_price_ticks)
    if (kind.has_limit and limit is None) or (kind.has_stop and stop is None):
        return None  # a price that is not told: the account says it the next time
    time_in_force = order.time_in_force or ours.time_in_force
    was = *WorkingTerms.of(ours), ours.kind, ours.time_in_force
    now = quantity, limit, stop, kind, time_in_force
    if now == was or quantity < max(1, record.filled_lots):
        return None
    order_id = ours.client_order_id
    return ev.OrderModified(
        event_id=ev.make_event_id("OrderModified", order_id, "by another hand", time_ns),
        time_ns=time_ns,
        correlation_id=ours.decision_id,
        client_order_id=order_id,
        number=record.change_number,
        quantity_lots=quantity,
        limit_price_ticks=limit,
        stop_price_ticks=stop,
        kind=kind,
        time_in_force=time_in_force,
    )


def _price(has_one: bool, shown: int | None, ours: int | None) -> int | None:
    return (ours if shown is None else shown) if has_one else None


def _is_unbound(record: OrderRecord, changed: ev.OrderModified) -> bool:
    """Return whether a change by another hand takes away the price that an order was bound by."""
    kind = changed.kind or record.order.kind
    return record.order.kind.has_limit and not kind.has_limit


def _find_strange_kind(record: OrderRecord, order: BrokerOrder) -> str | None:
    """Return the broker's word for what another hand has made of an order, where we have none.

    Of an exit any other kind than its own is strange.
    """
    if not order.kind or not _works_alike(record, order):
        return None
    if isinstance(order.kind, OrderKind):
        own = record.order.kind
        is_own = not record.order.is_exit or order.kind in (own, _TRIGGERED.get(own))
        return None if is_own else order.kind.value
    return order.kind


def _in_words(record: OrderRecord, changed: ev.OrderModified) -> str:
    """Return how an order works, beside how it must."""
    return f"must work as {_words(record.order)}, does as {_words(changed)}"


def _words(stated: Order | ev.OrderModified) -> str:
    terms = WorkingTerms.of(stated)
    prices = zip(("limit", "stop"), terms[1:], strict=True)
    told = (f"{name} {ticks} ticks" for name, ticks in prices if ticks is not None)
    kinds = (stated.kind, stated.time_in_force)
    return ", ".join((f"{terms.quantity_lots} lots", *(k.value for k in kinds if k), *told))
