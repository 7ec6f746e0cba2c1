"""Events of changing a working order under its own id: asked for, taken, or refused."""

from dataclasses import dataclass
from typing import ClassVar

from swarm_core.event_record import Event, OrderEvent
from swarm_core.orders import OrderKind, TimeInForce
from swarm_core.risk.codes import DenialCode


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderModifyRequested(OrderEvent):
    """The gate has approved other terms, and the broker is about to hear; on disk before it does.

    `number` counts an order's changes from 1. `quantity_lots` is the whole quantity, filled and
    open; `value_micros` what the changed order is worth at `reference_ticks`.
    """

    number: int
    quantity_lots: int
    limit_price_ticks: int | None
    stop_price_ticks: int | None
    reference_ticks: int
    value_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderModifyDenied(OrderEvent):
    """The gate denied other terms: nothing was sent, and the order stands as it was."""

    number: int
    quantity_lots: int
    limit_price_ticks: int | None
    stop_price_ticks: int | None
    code: DenialCode
    measured: int
    limit: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderModified(OrderEvent):
    """The order works in other terms: its whole quantity and prices.

    `kind` and `time_in_force` are set where another hand has changed it at the broker: we change
    neither.
    """

    schema_version: ClassVar[int] = 2

    number: int
    quantity_lots: int
    limit_price_ticks: int | None
    stop_price_ticks: int | None
    kind: OrderKind | None = None
    time_in_force: TimeInForce | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderModifyRejected(OrderEvent):
    """The broker did not take other terms, or never heard of them: the order stands as it was."""

    number: int
    reason: str


MODIFY_CLASSES: tuple[type[Event], ...] = (
    OrderModifyRequested,
    OrderModifyDenied,
    OrderModified,
    OrderModifyRejected,
)
