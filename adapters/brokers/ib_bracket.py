"""How orders that belong together are tied at Interactive Brokers."""

from collections.abc import Sequence

from ib_async import Order as IbOrder

from swarm_core.orders import Order

_REDUCES = 3  # a part that fills takes as much from the other


def link(orders: Sequence[Order], sent: Sequence[IbOrder], parent_id: int) -> None:
    """Tie an order and its exits, or exits alone; nothing is transmitted before the last has come.

    `parent_id` is the id under which the exits' order works at this connection, 0 where it has
    ended: then the exits stand by themselves, and one still cancels the other.
    """
    for order, ib in zip(orders, sent, strict=True):
        ib.transmit = ib is sent[-1]
        if order.is_exit:
            ib.parentId = parent_id
            ib.ocaGroup = group_of(order)
            ib.ocaType = _REDUCES


def group_of(exit_order: Order) -> str:
    """Return the group of an exit and the other one; a renewed pair is another group."""
    return f"{exit_order.parent_client_order_id}/{(exit_order.slice_index + 1) // 2}"
