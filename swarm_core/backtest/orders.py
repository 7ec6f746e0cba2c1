"""Orders as arrays: what a strategy sends bar by bar, in the columns that the loop takes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swarm_core.backtest.columns import NONE, Ints
from swarm_core.backtest.settings import FORCES, KINDS
from swarm_core.orders import Order

P_INSTRUMENT, P_SIGNED, P_KIND, P_FORCE, P_LIMIT, P_STOP = range(6)
PLAN_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """The orders of T bars: rows[first[t]:first[t + 1]] leave at the close of bar t."""

    first: Ints  # [T + 1]
    rows: Ints  # [M, PLAN_COLUMNS]
    strategies: frozenset[str] = frozenset()  # whose orders they are

    @classmethod
    def of(cls, orders: Sequence[Sequence[Order]], instrument_ids: Sequence[str]) -> "OrderPlan":
        """Return the plan of orders[t]; raises KeyError on an instrument that is not among them."""
        place = {name: at for at, name in enumerate(instrument_ids)}
        rows = [
            (
                place[order.instrument_id],
                order.signed_lots,
                KINDS.index(order.kind),
                FORCES.index(order.time_in_force),
                NONE if order.limit_price_ticks is None else order.limit_price_ticks,
                NONE if order.stop_price_ticks is None else order.stop_price_ticks,
            )
            for sent in orders
            for order in sent
        ]
        counts = [len(sent) for sent in orders]
        return cls(
            np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            np.array(rows, np.int64).reshape(len(rows), PLAN_COLUMNS),
            frozenset(order.strategy for sent in orders for order in sent),
        )
