"""Events of what holdings and currencies are worth."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from swarm_core.event_record import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionMarked(Event):
    """The price at which an instrument is valued from now on."""

    instrument_id: str
    price_ticks: int
    lot_tick_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyMarked(Event):
    """What one unit of `currency` is worth in units of the base currency from now on.

    `source` is `account` where the broker's account told it, at `time_ns`; empty where it is of the
    market's tables.
    """

    schema_version: ClassVar[int] = 2  # 2: source

    currency: str
    rate: Decimal
    source: str = ""

    def __post_init__(self) -> None:
        Event.__post_init__(self)
        if not (self.rate.is_finite() and self.rate > 0):
            raise ValueError(f"rate of {self.currency} must be positive, was {self.rate}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyRateLapsed(Event):
    """Nobody tells any more what `currency` is worth: from now on that is not known.

    The account told it last at `told_ns`.
    """

    currency: str
    told_ns: int


MARK_CLASSES: tuple[type[Event], ...] = (PositionMarked, CurrencyMarked, CurrencyRateLapsed)
