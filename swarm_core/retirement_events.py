"""Events of what a book keeps in memory: decisions that leave it, and orders that come back."""

from dataclasses import dataclass

from swarm_core.event_record import Event, OrderEvent
from swarm_core.orders import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionsRetired(Event):
    """Decisions of which every order has ended, and the account has agreed since.

    They leave the book's memory with their orders and fills; the log keeps them. With them go the
    fills of orders that are not ours (`foreign_order_ids`).
    """

    decision_ids: tuple[str, ...]
    foreign_order_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecalled(OrderEvent):
    """A retired order was spoken of again: it is back in memory, as its events left it.

    `arrival_ticks` is the reference that the gate first approved it at, None where it never did.
    """

    order: Order
    state: str  # a value of `swarm_core.order_states.OrderState`
    filled_lots: int
    attempt: int
    intended_ns: int
    submitted_ns: int | None
    broker_order_id: str
    arrival_ticks: int | None
    execution_ids: tuple[str, ...]
    action_ids: tuple[str, ...]  # what has adjusted it


RETIREMENT_CLASSES: tuple[type[Event], ...] = (DecisionsRetired, OrderRecalled)
