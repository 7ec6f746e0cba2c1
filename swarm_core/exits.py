"""The exits of positions, kept in line with what is held: sent, renewed or taken back.

The venue binds an order and its exits together. What is left to do here is what no venue does: an
exit that got lost on its way, a position that its order filled only in part, and an exit without
a position.
"""

from collections.abc import Sequence

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.brackets import renewed
from swarm_core.order_path import OrderPath
from swarm_core.order_states import OrderRecord, OrderState
from swarm_core.orders import ExitKind
from swarm_core.references import References
from swarm_core.risk.gate import Approved, check_order
from swarm_core.trading_state import TradingState
from swarm_core.verdicts import deny_with, judge

_KINDS = (ExitKind.TAKE_PROFIT, ExitKind.STOP_LOSS)


def guard_exits(path: OrderPath, references: References) -> None:
    """Bring the exits of every position in line; while trading is halted, only take some back."""
    for instrument_id in sorted(path.book.exits.keys() | _working_exits(path.book)):
        pair = exits_of(path.book, instrument_id)
        if len(pair) == len(_KINDS):
            _guard(path, references, pair)


def exits_of(book: Book, instrument_id: str) -> list[OrderRecord]:
    """Return the take-profit and stop of what is held of an instrument: the newest.

    Where a later order was denied, and its exits with it, the earlier ones go on working.
    """
    ids = book.exits.get(instrument_id, {})
    newest = [book.orders[ids[kind]] for kind in _KINDS if kind in ids]
    if any(record.state is not OrderState.DENIED for record in newest):
        return newest
    decision_id = _working_exits(book).get(instrument_id, "")
    earlier = {
        record.order.exit_kind: record  # of those that were renewed, the newer
        for record in map(book.orders.__getitem__, book.intended.get(decision_id, ()))
        if record.order.is_exit and record.order.instrument_id == instrument_id
    }
    return [earlier[kind] for kind in _KINDS if kind in earlier] or newest


def _working_exits(book: Book) -> dict[str, str]:
    """Return the decision whose exits work, by instrument."""
    return {
        record.order.instrument_id: record.order.decision_id
        for record in book.working_orders()
        if record.order.is_exit
    }


def unprotected(book: Book) -> list[str]:
    """Return the instruments that are held, should have exits, and have none at work."""
    return [
        instrument_id
        for instrument_id in sorted(book.exits)
        if book.lots(instrument_id)
        and not any(r.state.is_working for r in exits_of(book, instrument_id))
    ]


def _guard(path: OrderPath, references: References, pair: list[OrderRecord]) -> None:
    parent = path.book.orders.get(pair[0].order.parent_client_order_id)
    unsent = [record for record in pair if record.is_unsent]
    halted = path.book.trading_state is TradingState.HALTED
    held = path.book.lots(pair[0].order.instrument_id)
    working = [r.open_lots for r in pair if r.state.is_working]
    if parent is not None and not parent.state.is_final:
        after = -pair[0].order.side.sign * (held + parent.order.side.sign * parent.open_lots)
        if parent.state.is_working and working and min(working) > max(0, after):
            _take_back(path, pair, unsent)  # a late message: less is held than the order knew
        elif unsent and not (halted or parent.is_unsent or parent.is_unheard or parent.is_ending):
            _send(path, references, unsent)  # they got lost on their way: the order waits for them
        return
    lots = -pair[0].order.side.sign * held
    if lots <= 0 or (working and min(working) > lots):
        _take_back(path, pair, unsent)
    elif halted or _others_work(path.book, pair):
        return  # others may close the position as well
    elif unsent and any(r.state.is_working and r.filled_lots for r in pair):
        # What the one fills meanwhile is not taken from one that comes later: both begin anew.
        _take_back(path, pair, unsent)
    elif unsent:
        _send(path, references, _fitted(path, unsent, lots))
    elif _lack(pair):
        _send(path, references, _renewed(path, pair, lots))


def _take_back(path: OrderPath, pair: list[OrderRecord], unsent: list[OrderRecord]) -> None:
    """Less is held than they would close: no exit may be left."""
    if unsent:
        cause = pair[0].order
        path.write([deny_with(r, r.attempt, path.time_ns, cause) for r in unsent])
    for record in pair:
        if record.state.is_working and record.state is not OrderState.CANCEL_PENDING:
            path.cancel(record, "less is held than it would close")


def _others_work(book: Book, pair: list[OrderRecord]) -> bool:
    """Return whether an order other than these exits works in their instrument."""
    return any(
        r.order.instrument_id == pair[0].order.instrument_id and r not in pair
        for r in book.working_orders()
    )


def _lack(pair: list[OrderRecord]) -> bool:
    """Return whether what is held has lost its exits, and shall have others.

    What this desk has cancelled itself, for a halt or a split, is renewed each time. What the
    broker refused or cancelled is renewed once, then it is for a person to look at; what a person
    cancelled is not.
    """
    if not all(r.state.is_final for r in pair) or any(r.is_cancelled_by_person for r in pair):
        return False
    is_first = pair[0].order.slice_index < len(_KINDS) + 1
    is_cancelled = all(r.state is OrderState.CANCELLED for r in pair)
    # The venue may end the second when the first is cancelled, before its own cancel is asked for.
    return is_first or (is_cancelled and any(r.cancel_count for r in pair))


def _fitted(path: OrderPath, unsent: list[OrderRecord], lots: int) -> list[OrderRecord]:
    """Give exits that have not left the lots of the position."""
    changed = [r for r in unsent if r.order.quantity_lots != lots]
    if changed:
        path.write([_adjusted(r, lots, path.time_ns) for r in changed])
    return unsent


def _adjusted(record: OrderRecord, lots: int, time_ns: int) -> ev.OrderAdjusted:
    order = record.order
    action_id = f"position of {lots} lots"
    return ev.OrderAdjusted(
        event_id=ev.make_event_id("OrderAdjusted", order.client_order_id, action_id),
        time_ns=time_ns,
        correlation_id=order.decision_id,
        client_order_id=order.client_order_id,
        action_id=action_id,
        quantity_lots=lots,
        limit_price_ticks=order.limit_price_ticks,
        stop_price_ticks=order.stop_price_ticks,
    )


def _renewed(path: OrderPath, pair: list[OrderRecord], lots: int) -> list[OrderRecord]:
    orders = [renewed(record.order, lots) for record in pair]
    path.write(
        [
            ev.OrderIntended(
                event_id=ev.make_event_id("OrderIntended", order.client_order_id),
                time_ns=path.time_ns,
                causation_id=ev.make_event_id("OrderIntended", record.order.client_order_id),
                correlation_id=order.decision_id,
                order=order,
            )
            for record, order in zip(pair, orders, strict=True)
        ]
    )
    return [path.book.orders[order.client_order_id] for order in orders]


def _send(path: OrderPath, references: References, records: Sequence[OrderRecord]) -> None:
    """Judge exits and send them; what would be denied now is tried again at the next look."""
    context = references.measure(path.book)
    if not all(isinstance(check_order(r.order, context), Approved) for r in records):
        return
    decision_id = records[0].order.decision_id
    taken = references.taken(decision_id, path.book.sequence)
    path.write([taken, *judge(records, references.measure(path.book))])
    path.send_unit(records)
