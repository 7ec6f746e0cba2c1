"""Opens the broker that a desk trades with."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from adapters.brokers.simulated import SimulatedBroker
from swarm_core.commissions import BpsCommission
from swarm_core.events import RecordedEvent
from swarm_core.fills import FillSettings
from swarm_core.instruments import Instrument


def open_simulated_broker(
    instruments: Mapping[str, Instrument],
    events: Iterable[RecordedEvent],
    *,
    slippage_bps: float,
    commission_bps: float,
) -> SimulatedBroker:
    """Return the simulated broker where the log says that it stood."""
    broker = SimulatedBroker(
        instruments,
        fills=FillSettings(slippage_bps=slippage_bps),
        commission=BpsCommission(bps=Decimal(str(commission_bps))),
    )
    return broker.with_events(events)
