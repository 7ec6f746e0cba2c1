"""Events that move cash or lots of the account without a trade."""

from dataclasses import dataclass

from swarm_core.event_record import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CashMoved(Event):
    """Cash that came in (positive) or went out without a trade: a difference that was booked."""

    currency: str
    amount_minor: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferBooked(Event):
    """Cash or lots that came in (positive) or went out without a trade, by a person's word.

    Either `amount_minor` of cash, or `lots` of an instrument, that cost `price_ticks` each. It is
    capital that the owner moved, which is neither profit nor drawdown, or else income or cost.
    """

    currency: str
    amount_minor: int
    is_capital: bool
    actor: str
    reason: str
    instrument_id: str = ""
    lots: int = 0
    price_ticks: int = 0
    lot_tick_minor: int = 0
    is_margined: bool = False

    def __post_init__(self) -> None:
        Event.__post_init__(self)
        if bool(self.amount_minor) == bool(self.lots):
            raise ValueError(
                f"a transfer must be of cash or of lots, had {self.amount_minor} minor units of "
                f"{self.currency} and {self.lots} lots"
            )
        if self.lots and (not self.instrument_id or self.lot_tick_minor <= 0):
            raise ValueError(
                f"lots that are transferred must name their instrument and what a lot and tick is "
                f"worth, had {self.instrument_id!r} and {self.lot_tick_minor}"
            )

    @property
    def value_minor(self) -> int:
        """What came in, in minor units of `currency`; lots at the price of the transfer."""
        return self.amount_minor + self.lots * self.price_ticks * self.lot_tick_minor


ACCOUNT_CLASSES: tuple[type[Event], ...] = (CashMoved, TransferBooked)
