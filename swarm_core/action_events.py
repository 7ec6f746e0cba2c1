"""What happens to holdings and cash without an order: corporate actions, carry, settlement."""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from swarm_core.event_record import Event


class ActionKind(Enum):
    SPLIT = "split"
    SPIN_OFF = "spin_off"
    MERGER = "merger"
    DELISTING = "delisting"
    RENAME = "rename"
    EXPIRY = "expiry"
    EXERCISE = "exercise"
    ASSIGNMENT = "assignment"


class CarryKind(Enum):
    INTEREST = "interest"  # on cash: received where positive, paid where negative
    BORROW = "borrow"  # for the shares behind a short position


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingChanged(Event):
    """Lots, cost and cash that an action moved; `action_id` is booked once.

    `lots_change` and `cost_out_minor` leave or enter `instrument_id`; `to_lots` and
    `to_cost_minor` come to `to_instrument_id` where that is named, in the same currency. What
    comes in less what goes out, cash_minor + to_cost_minor - cost_out_minor, is realised profit.
    """

    action_id: str
    action: ActionKind
    instrument_id: str
    currency: str
    lots_change: int
    cost_out_minor: int
    cash_minor: int
    mark_ticks: int | None  # of the instrument from now on; None leaves it
    to_instrument_id: str = ""
    to_lots: int = 0
    to_cost_minor: int = 0
    to_mark_ticks: int = 0
    to_lot_tick_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitlementAccrued(Event):
    """Cash that is owed to a holder from the ex-date on; negative where a short position owes.

    An estimate is what the payer gives at a price of his own, such as cash for a fraction.
    """

    schema_version: ClassVar[int] = 2  # 2: is_estimate

    action_id: str
    instrument_id: str
    currency: str
    amount_minor: int
    pay_ns: int  # when it is paid
    is_estimate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitlementPaid(Event):
    """What was owed has become cash: `amount_minor` of it, or all where that is None."""

    schema_version: ClassVar[int] = 2  # 2: amount_minor

    action_id: str
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryCharged(Event):
    """Interest or borrow cost of some calendar days; received where positive. Booked by event_id.

    `instrument_id` is empty for interest on cash.
    """

    carry: CarryKind
    instrument_id: str
    currency: str
    amount_minor: int
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VariationSettled(Event):
    """A margined position was settled at a price: its profit since the last time became cash.

    `amount_minor` is what a broker paid, which settles at a price of its own; None: the profit up
    to `price_ticks`, which is the mark in either case.
    """

    schema_version: ClassVar[int] = 2  # 2: amount_minor

    instrument_id: str
    price_ticks: int
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyConverted(Event):
    """Cash of one currency was sold for another's; booked by event_id."""

    from_currency: str
    from_minor: int
    to_currency: str
    to_minor: int
    fee_currency: str
    fee_minor: int

    def __post_init__(self) -> None:
        Event.__post_init__(self)
        if self.from_minor <= 0 or self.to_minor < 0:
            raise ValueError(
                f"a conversion must sell a positive amount, "
                f"was {self.from_minor} for {self.to_minor} minor units"
            )


ACTION_CLASSES: tuple[type[Event], ...] = (
    HoldingChanged,
    EntitlementAccrued,
    EntitlementPaid,
    CarryCharged,
    VariationSettled,
    CurrencyConverted,
)
