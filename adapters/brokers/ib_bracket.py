"""A bracket: an entry with a target and a stop, of which one cancels the other."""

from dataclasses import dataclass

from ib_async import Order as IbOrder

from swarm_core.orders import Order, OrderKind


@dataclass(frozen=True, slots=True)
class Bracket:
    """Three orders of one instrument; the exits sleep until the entry has filled."""

    entry: Order
    target: Order
    stop: Order

    def __post_init__(self) -> None:
        for name, order in (("target", self.target), ("stop", self.stop)):
            if order.instrument_id != self.entry.instrument_id:
                raise ValueError(f"{name} must be of {self.entry.instrument_id}, "
                                 f"was of {order.instrument_id}")  # fmt: skip
            if order.side is self.entry.side or order.quantity_lots != self.entry.quantity_lots:
                raise ValueError(f"{name} must close {self.entry.quantity_lots} lots of the entry, "
                                 f"was {order.side.value} {order.quantity_lots}")  # fmt: skip
            if order.parent_client_order_id != self.entry.client_order_id:
                raise ValueError(f"{name} must name the entry as its parent, "
                                 f"was {order.parent_client_order_id!r}")  # fmt: skip
        if self.target.kind is not OrderKind.LIMIT:
            raise ValueError(f"target must be a limit order, was {self.target.kind.value}")
        if not self.stop.kind.has_stop:
            raise ValueError(f"stop must be a stop order, was {self.stop.kind.value}")

    @property
    def orders(self) -> tuple[Order, Order, Order]:
        """Return the three in the order in which they are sent."""
        return self.entry, self.target, self.stop


def link(entry: IbOrder, target: IbOrder, stop: IbOrder, group: str) -> None:
    """Tie three orders together: nothing is transmitted before the last has come."""
    entry.transmit = target.transmit = False
    stop.transmit = True
    for child in (target, stop):
        child.parentId = entry.orderId
        child.ocaGroup = group
        child.ocaType = 3  # a part that fills takes as much from the other
