"""Brackets: a position's two ways out, of which one cancels the other, and what binds them.

The exits are children of the order that leaves the position. They sleep at the venue until it has
filled, and end with it where it ends otherwise.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor

from swarm_core.instruments import TICKS_MAX
from swarm_core.orders import ExitKind, Order, OrderKind, OrderSide, TimeInForce
from swarm_core.sizing_settings import ExitSettings

_EXITS_A_BRACKET = 2


def exits_for(
    order: Order, position_lots: int, reference_ticks: int, exits: ExitSettings
) -> tuple[Order, Order]:
    """Return take-profit and stop for a position (signed lots), as children of an order.

    Prices are rounded to the side on which they trade later, and stay positive.
    """
    sign = 1 if position_lots > 0 else -1
    profit = Fraction(reference_ticks) * (1 + sign * Fraction(str(exits.take_profit_fraction)))
    loss = Fraction(reference_ticks) * (1 - sign * Fraction(str(exits.stop_loss_fraction)))
    round_profit, round_loss = (ceil, floor) if sign > 0 else (floor, ceil)
    shared = replace(
        order,
        side=OrderSide.SELL if sign > 0 else OrderSide.BUY,
        quantity_lots=abs(position_lots),
        time_in_force=TimeInForce.GOOD_TILL_CANCELLED,
        parent_client_order_id=order.client_order_id,
    )
    return (
        replace(
            shared,
            kind=OrderKind.LIMIT,
            limit_price_ticks=_within(round_profit(profit)),
            slice_index=order.slice_index + 1,
            exit_kind=ExitKind.TAKE_PROFIT,
        ),
        replace(
            shared,
            kind=OrderKind.STOP,
            stop_price_ticks=_within(round_loss(loss)),
            slice_index=order.slice_index + 2,
            exit_kind=ExitKind.STOP_LOSS,
        ),
    )


def renewed(exit_order: Order, lots: int) -> Order:
    """Return the exit for other lots, under an id of its own: the first ended with its parent."""
    return replace(
        exit_order,
        quantity_lots=lots,
        slice_index=exit_order.slice_index + _EXITS_A_BRACKET,
    )


def _within(ticks: int) -> int:
    return min(max(1, ticks), TICKS_MAX)


def check_bracket(orders: Sequence[Order]) -> None:
    """Raise ValueError where orders that shall be sent together are no bracket.

    A bracket is an order and its two exits, in that order, or the two exits by themselves.
    """
    exits = [order for order in orders if order.is_exit]
    head = [order for order in orders if not order.is_exit]
    kinds = [order.exit_kind for order in exits]
    if kinds != [ExitKind.TAKE_PROFIT, ExitKind.STOP_LOSS] or list(orders) != [*head, *exits]:
        raise ValueError(f"a bracket must end with take-profit and stop, was {kinds}")
    if len(head) > 1:
        raise ValueError(f"a bracket must have one entry at most, had {len(head)}")
    profit, loss = exits
    for name in ("instrument_id", "side", "quantity_lots", "parent_client_order_id"):
        if getattr(profit, name) != getattr(loss, name):
            raise ValueError(
                f"{name} of both exits must be the same, "
                f"was {getattr(profit, name)} and {getattr(loss, name)}"
            )
    for entry in head:
        if profit.parent_client_order_id != entry.client_order_id:
            raise ValueError(
                f"exits must name {entry.client_order_id} as their parent, "
                f"named {profit.parent_client_order_id!r}"
            )
        if profit.instrument_id != entry.instrument_id:
            raise ValueError(
                f"exits must be of {entry.instrument_id}, were of {profit.instrument_id}"
            )
