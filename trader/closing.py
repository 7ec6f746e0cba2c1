"""The orders that close what is held for a halt that flattens, and which of them still do."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from swarm_core.book import Book
from swarm_core.order_states import OrderState
from swarm_core.orders import Order
from trader.kill_switch import Halt

_PREFIX = "flatten-"


@dataclass(frozen=True, slots=True)
class FlatTargets:
    """The decision to hold nothing of some instruments."""

    decision_id: str
    time_ns: int
    instrument_ids: tuple[str, ...]

    @classmethod
    def of(cls, book: Book, time_ns: int) -> "FlatTargets":
        held = tuple(i for i, p in sorted(book.ledger.positions.items()) if p.lots)
        return cls(f"{_PREFIX}{time_ns}-{book.sequence}", time_ns, held)

    @property
    def target_weights(self) -> tuple[float, ...]:
        return (0.0,) * len(self.instrument_ids)


def lost_closings(book: Book) -> Counter[str]:
    """Return how many closing orders turned out never to have arrived, by instrument.

    They are not sent again: what is held then is closed by another one.
    """
    decisions = (ids for name, ids in book.intended.items() if name.startswith(_PREFIX))
    records = (book.orders[i] for ids in decisions for i in ids)
    return Counter(
        r.order.instrument_id for r in records if r.is_unsent and r.submitted_ns is not None
    )


def cancelled_by(halt: Halt | None, book: Book) -> Callable[[Order], bool]:
    """Return which orders a halt cancels: all, or all but those that work to flatten for it.

    A closing order that was sent before, by this process or by one that was killed, stays as long
    as it closes no more than is held; one whose cancel is asked for does not.
    """
    kept = set[str]()
    left = {i: p.lots for i, p in book.ledger.positions.items()}
    for record in book.working_orders() if halt is not None and halt.flatten else ():
        order, held = record.order, left.get(record.order.instrument_id, 0)
        after = held + order.side.sign * record.open_lots
        closes = held * after >= 0 and abs(after) < abs(held)
        is_ending = record.state is OrderState.CANCEL_PENDING
        if order.decision_id.startswith(_PREFIX) and closes and not is_ending:
            kept.add(order.client_order_id)
            left[order.instrument_id] = after
    return lambda order: order.client_order_id not in kept
