"""What a person asked for about single orders."""

from dataclasses import dataclass

from swarm_core.event_record import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonInstructed(Event):
    """A person asked for something about one order; what came of it stands in the order's events.

    Of a cancel, quantity and prices are None; of a replacement, those that shall stay.
    """

    client_order_id: str
    instruction: str  # cancel, replace, settle or adopt
    actor: str
    reason: str
    quantity_lots: int | None = None
    limit_price_ticks: int | None = None
    stop_price_ticks: int | None = None
