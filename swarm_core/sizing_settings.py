"""How target weights become orders: the settings of sizing."""

from dataclasses import dataclass
from math import isfinite

from swarm_core.orders import OrderKind, TimeInForce


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingSettings:
    """How orders are made; a change of weight below `dust_fraction` of NAV is not traded.

    `parent_decision_id` is set for the slices of a decision that is worked over time.
    """

    dust_fraction: float = 0.0005
    kind: OrderKind = OrderKind.MARKET_ON_OPEN
    time_in_force: TimeInForce = TimeInForce.DAY
    strategy: str = "colony"
    parent_decision_id: str = ""

    def __post_init__(self) -> None:
        if not (isfinite(self.dust_fraction) and 0 <= self.dust_fraction <= 1):
            raise ValueError(f"dust_fraction must be in [0, 1], was {self.dust_fraction}")
        if self.kind.has_limit:
            raise ValueError(f"kind must be one without a limit price, was {self.kind.value}")
