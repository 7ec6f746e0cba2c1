"""How target weights become orders: the settings of sizing."""

from dataclasses import dataclass
from math import isfinite

from swarm_core.orders import OrderKind, TimeInForce


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitSettings:
    """How far from the reference a position is closed by itself, as fractions of the reference."""

    take_profit_fraction: float
    stop_loss_fraction: float

    def __post_init__(self) -> None:
        for name in ("take_profit_fraction", "stop_loss_fraction"):
            value = getattr(self, name)
            if not (isfinite(value) and 0 < value < 1):
                raise ValueError(f"{name} must be in (0, 1), was {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingSettings:
    """How orders are made; a change of weight below `dust_fraction` of NAV is not traded.

    `parent_decision_id` is set for the slices of a decision that is worked over time. With
    `exits`, every order that leaves a position brings a take-profit and a stop for all of it.
    """

    dust_fraction: float = 0.0005
    kind: OrderKind = OrderKind.MARKET_ON_OPEN
    time_in_force: TimeInForce = TimeInForce.DAY
    strategy: str = "colony"
    parent_decision_id: str = ""
    exits: ExitSettings | None = None

    def __post_init__(self) -> None:
        if not (isfinite(self.dust_fraction) and 0 <= self.dust_fraction <= 1):
            raise ValueError(f"dust_fraction must be in [0, 1], was {self.dust_fraction}")
        if self.kind.has_limit:
            raise ValueError(f"kind must be one without a limit price, was {self.kind.value}")
        if self.exits is not None and self.parent_decision_id:
            raise ValueError("exits must stand alone, were asked for slices of a decision")
