"""Opens the broker that a desk trades with."""

from collections.abc import Iterable, Mapping

from adapters.brokers.simulated import SimulatedBroker
from swarm_core.events import RecordedEvent
from swarm_core.frictions.venue import Venue
from swarm_core.instruments import Instrument


def open_simulated_broker(
    instruments: Mapping[str, Instrument], events: Iterable[RecordedEvent], *, venue: Venue
) -> SimulatedBroker:
    """Return the simulated broker where the log says that it stood."""
    broker = SimulatedBroker(
        instruments, fills=venue.fills, commission=venue.commission, borrow=venue.borrow
    )
    return broker.with_events(events)
