"""What brokers pay of the profit of futures each day, by the positions that it is of."""

from collections.abc import Mapping
from decimal import Decimal

from swarm_core import events as ev
from swarm_core.positions import Position


def settlement_shares(
    held: Mapping[str, Position], paid_minor: int, fraction_max: float
) -> dict[str, int]:
    """Return how much of a payment is of which future, nothing where it is no such payment.

    It lies no further from their profit at their marks than `fraction_max` of what they are
    worth. Each gets its profit at its mark, and the rest by what it is worth.
    """
    worth = sum(abs(p.value_minor) for p in held.values())
    rest = paid_minor - sum(p.unrealised_minor for p in held.values())
    if not held or not paid_minor or abs(rest) > Decimal(str(fraction_max)) * worth:
        return {}
    left, shares = rest, dict[str, int]()
    for number, (instrument_id, position) in enumerate(held.items(), 1):
        share = left if number == len(held) else rest * abs(position.value_minor) // worth
        left -= share
        shares[instrument_id] = position.unrealised_minor + share
    return shares


def settled(
    instrument_id: str, position: Position, amount_minor: int, sequence: int, time_ns: int
) -> ev.VariationSettled:
    """Return the event of a payment of the profit of one future."""
    return ev.VariationSettled(
        event_id=ev.make_event_id("VariationSettled", instrument_id, sequence, time_ns),
        time_ns=time_ns,
        instrument_id=instrument_id,
        price_ticks=position.mark_ticks,
        amount_minor=amount_minor,
    )
