"""What of an order may change while it works."""

from dataclasses import replace
from typing import NamedTuple

from swarm_core import events as ev
from swarm_core.orders import Order, OrderKind, TimeInForce


class WorkingTerms(NamedTuple):
    """What of an order may change while it works: its whole quantity, and its prices."""

    quantity_lots: int
    limit_price_ticks: int | None
    stop_price_ticks: int | None

    @classmethod
    def of(cls, stated: "Order | ev.OrderModifyRequested | ev.OrderModified") -> "WorkingTerms":
        return cls(stated.quantity_lots, stated.limit_price_ticks, stated.stop_price_ticks)

    def applied_to(
        self,
        order: Order,
        *,
        quantity_lots: int | None = None,
        kind: OrderKind | None = None,
        time_in_force: TimeInForce | None = None,
    ) -> Order:
        """Return the order in these terms; of another quantity or kind where that is given."""
        return replace(
            order,
            kind=kind or order.kind,
            time_in_force=time_in_force or order.time_in_force,
            quantity_lots=self.quantity_lots if quantity_lots is None else quantity_lots,
            limit_price_ticks=self.limit_price_ticks,
            stop_price_ticks=self.stop_price_ticks,
        )
