"""An account as its broker shows it, and what its ended orders mean for the book's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from swarm_core import events as ev
from swarm_core.order_states import OrderRecord, OrderState
from swarm_core.orders import OrderKind, TimeInForce
from swarm_core.working_terms import WorkingTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOrder:
    """An order as the account shows it; `client_order_id` is empty where it was placed by hand.

    `ending` is None while the order works, else how it ended: filled orders end with FILLED.
    `terms` are those in which it works, or ended as filled; None where the account does not say.
    `kind` is text, the broker's word, where it is none that an order of ours can have, and empty
    where the account does not say. `held` is why it rests there without working.
    """

    broker_order_id: str
    client_order_id: str
    instrument_id: str
    ending: OrderState | None = None
    reason: str = ""
    terms: WorkingTerms | None = None
    kind: OrderKind | str = ""
    time_in_force: TimeInForce | None = None
    held: str = ""


class ToldRate(NamedTuple):
    """What one unit of a currency is worth, and when the account told it."""

    rate: Decimal
    told_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccount:
    """A whole account at one moment, each part read in full; cash is left out where unknown.

    `fills` are the executions that the broker still tells; `commissions` those known, by id.
    `rates` are what one unit of each currency is worth, in units of one that all have in common.
    """

    time_ns: int
    orders: tuple[BrokerOrder, ...] = ()
    fills: tuple[ev.OrderFilled, ...] = ()
    commissions: tuple[ev.CommissionCharged, ...] = ()
    corrections: tuple[ev.ExecutionCorrected, ...] = ()
    position_lots: Mapping[str, int] = field(default_factory=dict[str, int])
    cash_minor: Mapping[str, int] | None = None
    rates: Mapping[str, ToldRate] = field(default_factory=dict[str, ToldRate])


def ending_event(
    record: OrderRecord, order: BrokerOrder, time_ns: int, new_lots: int = 0
) -> ev.OrderEvent | None:
    """Return the event of how the broker says that an order ended; None where its fills do."""
    order_id, decision_id = order.client_order_id, record.order.decision_id
    if order.ending is OrderState.EXPIRED:
        return expired(record, time_ns, new_lots)
    reason = order.reason
    ending = order.ending
    filled_lots = record.filled_lots + new_lots
    short = filled_lots < record.order.quantity_lots
    if ending is OrderState.FILLED and record.order.is_exit and short:
        ending, reason = OrderState.CANCELLED, "the other exit took the rest"
    elif ending is OrderState.FILLED and short and _is_smaller(record, order, filled_lots):
        ending, reason = OrderState.CANCELLED, "another hand has made it smaller"
        filled_lots = order.terms.quantity_lots if order.terms else filled_lots
    reason = reason or "told by the account"
    if ending is OrderState.CANCELLED:
        return ev.OrderCancelled(
            event_id=ev.make_event_id("OrderCancelled", order_id, record.attempt),
            time_ns=time_ns,
            correlation_id=decision_id,
            client_order_id=order_id,
            reason=reason,
            filled_lots=filled_lots,  # the account shows no more of it
        )
    if ending is OrderState.REJECTED:
        return ev.OrderRejected(
            event_id=ev.make_event_id("OrderRejected", order_id, record.attempt),
            time_ns=time_ns,
            correlation_id=decision_id,
            client_order_id=order_id,
            reason=reason,
        )
    return None


def _is_smaller(record: OrderRecord, order: BrokerOrder, filled_lots: int) -> bool:
    """Return whether an order has filled whole at the broker, with fewer lots than ours has."""
    if order.terms is None or record.pending is not None or record.told_end is not None:
        return False
    return filled_lots <= order.terms.quantity_lots < record.order.quantity_lots


def ended_order(record: OrderRecord, ending: OrderState) -> BrokerOrder:
    return BrokerOrder(
        broker_order_id=record.broker_order_id,
        client_order_id=record.order.client_order_id,
        instrument_id=record.order.instrument_id,
        ending=ending,
    )


def expired(record: OrderRecord, time_ns: int, new_lots: int) -> ev.OrderExpired:
    order_id = record.order.client_order_id
    return ev.OrderExpired(
        event_id=ev.make_event_id("OrderExpired", order_id, record.attempt),
        time_ns=time_ns,
        correlation_id=record.order.decision_id,
        client_order_id=order_id,
        unfilled_lots=max(0, record.order.quantity_lots - record.filled_lots - new_lots),
    )


def terms_of(fill: ev.OrderFilled) -> tuple[object, ...]:
    """Return what may not differ between two tellings of one execution."""
    return (fill.client_order_id, fill.instrument_id, fill.side.value, fill.lots, fill.price_ticks)
