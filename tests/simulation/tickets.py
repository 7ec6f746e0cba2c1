"""An order as the simulated venue holds it."""

from dataclasses import dataclass, field

from swarm_core import events as ev
from swarm_core.order_states import OrderState
from swarm_core.orders import OrderSide


@dataclass(slots=True)
class Ticket:
    """An order as the venue holds it; one that was placed by hand has no client order id."""

    client_order_id: str
    broker_order_id: str
    instrument_id: str
    side: OrderSide
    open_lots: int
    is_day: bool
    received_ns: int
    story: list[ev.Event] = field(default_factory=list[ev.Event])
    ending: OrderState | None = None
    ended_ns: int = 0
    fills: int = 0
    parent_id: str = ""  # of an exit: the order that it belongs to
    held: bool = False  # not all that it belongs with have come
    prices: tuple[int | None, int | None] = (None, None)  # limit and stop
    taken_lots: int = 0  # of fills that were taken back: it works for them no more

    @property
    def filled_lots(self) -> int:
        """Lots that it was ever filled for."""
        return self.taken_lots + sum(e.lots for e in self.story if isinstance(e, ev.OrderFilled))
