"""Events of executions after they were told."""

from dataclasses import dataclass

from swarm_core.event_record import Event
from swarm_core.orders import OrderSide


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionCorrected(Event):
    """The broker has corrected an execution: it keeps its id, with other lots, another price.

    Without lots it is taken back. `revision` counts from 2; the highest one that was told counts.
    """

    execution_id: str
    revision: int
    lots: int
    price_ticks: int

    def __post_init__(self) -> None:
        Event.__post_init__(self)
        if self.lots < 0:
            raise ValueError(f"lots of {self.execution_id} must be >= 0, was {self.lots}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRecalled(Event):
    """A retired execution is spoken of again: it is back in memory, as corrections left it.

    `revision` is that of the newest correction, 1 without any.
    """

    client_order_id: str
    execution_id: str
    filled_ns: int
    instrument_id: str
    side: OrderSide
    lots: int
    price_ticks: int
    lot_tick_minor: int
    currency: str
    commission_minor: int
    is_margined: bool
    revision: int
