"""What others see of a book while it trades: what is held, what works, who lives, the trails."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swarm_core.book import Book
from swarm_core.colony.settings_castes import CHANNELS
from swarm_core.colony.state import ColonyState
from swarm_core.order_states import OrderRecord


@dataclass(frozen=True, slots=True)
class PheromoneField:
    """The trails of a colony after a step: one row an instrument, one column a channel.

    `values` is float64 of shape (instruments, channels) and finite.
    """

    step: int
    instrument_ids: tuple[str, ...]
    channels: tuple[str, ...]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        shape = (len(self.instrument_ids), len(self.channels))
        if self.values.shape != shape or self.values.dtype != np.float64:
            raise ValueError(
                f"values must be float64 of shape {shape}, "
                f"were {self.values.dtype} of {self.values.shape}"
            )


@dataclass(frozen=True, slots=True)
class LiveView:
    """A book at a moment, as a process that trades it shows it.

    `positions` are lots by instrument without what is flat, `orders` JSON by client order id.
    """

    process: str
    time_ns: int
    positions: Mapping[str, int]
    orders: Mapping[str, bytes]


def field_of(state: ColonyState) -> PheromoneField:
    """Return the trails of a colony's state, a copy."""
    values = np.ascontiguousarray(state.field.trails.T, dtype=np.float64)
    return PheromoneField(state.steps, state.instrument_ids, CHANNELS, values)


def view_of(book: Book, process: str, time_ns: int) -> LiveView:
    """Return the book as it stands, a copy; the log stays the source of all of it."""
    held = {i: p.lots for i, p in book.ledger.positions.items() if p.lots}
    working = {r.order.client_order_id: _shown(r) for r in book.working_orders()}
    return LiveView(process, time_ns, held, working)


def _shown(record: OrderRecord) -> bytes:
    order = record.order
    return json.dumps(
        {
            "instrument_id": order.instrument_id,
            "side": order.side.value,
            "kind": order.kind.value,
            "quantity_lots": order.quantity_lots,
            "filled_lots": record.filled_lots,
            "limit_price_ticks": order.limit_price_ticks,
            "state": record.state.value,
            "decision_id": order.decision_id,
        }
    ).encode()
