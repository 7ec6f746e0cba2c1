"""Everything that can have happened, in the past tense, and its exact bytes.

Every event carries its own id, made from what happened, so that telling the same fact twice
gives the same id; the event that caused it; and the decision or session that it belongs to.
Money is in minor units, prices in ticks, quantities in lots.
"""

from dataclasses import dataclass
from typing import ClassVar

from swarm_core.account_events import ACCOUNT_CLASSES
from swarm_core.account_events import CashMoved as CashMoved
from swarm_core.account_events import TransferBooked as TransferBooked
from swarm_core.action_events import ACTION_CLASSES
from swarm_core.action_events import CarryCharged as CarryCharged
from swarm_core.action_events import CurrencyConverted as CurrencyConverted
from swarm_core.action_events import EntitlementAccrued as EntitlementAccrued
from swarm_core.action_events import EntitlementPaid as EntitlementPaid
from swarm_core.action_events import HoldingChanged as HoldingChanged
from swarm_core.action_events import VariationSettled as VariationSettled
from swarm_core.colony_events import ColonySettingsChanged as ColonySettingsChanged
from swarm_core.event_codec import Codec
from swarm_core.event_record import Event as Event
from swarm_core.event_record import OrderEvent as OrderEvent
from swarm_core.event_record import RecordedEvent as RecordedEvent
from swarm_core.event_record import make_event_id as make_event_id
from swarm_core.event_record import sort_fields
from swarm_core.event_upcasts import UPCASTS
from swarm_core.fill_events import ExecutionCorrected, ExecutionRecalled
from swarm_core.house_events import ModelPromoted as ModelPromoted
from swarm_core.house_events import TierMoved as TierMoved
from swarm_core.house_events import UniverseChosen as UniverseChosen
from swarm_core.instruments import Instrument
from swarm_core.limit_events import LimitsChanged as LimitsChanged
from swarm_core.lineage import Lineage
from swarm_core.mark_events import MARK_CLASSES
from swarm_core.mark_events import CurrencyMarked as CurrencyMarked
from swarm_core.mark_events import CurrencyRateLapsed as CurrencyRateLapsed
from swarm_core.mark_events import PositionMarked as PositionMarked
from swarm_core.market import Quote
from swarm_core.modify_events import MODIFY_CLASSES
from swarm_core.modify_events import OrderModified as OrderModified
from swarm_core.modify_events import OrderModifyDenied as OrderModifyDenied
from swarm_core.modify_events import OrderModifyRejected as OrderModifyRejected
from swarm_core.modify_events import OrderModifyRequested as OrderModifyRequested
from swarm_core.orders import Order, OrderSide
from swarm_core.person_events import PersonInstructed as PersonInstructed
from swarm_core.retirement_events import RETIREMENT_CLASSES
from swarm_core.retirement_events import DecisionsRetired as DecisionsRetired
from swarm_core.retirement_events import OrderRecalled as OrderRecalled
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.limits import RiskLimits
from swarm_core.sizing_settings import SizingSettings
from swarm_core.trading_state import TradingState
from swarm_core.working_events import WorkingEnded as WorkingEnded
from swarm_core.working_events import WorkingStarted as WorkingStarted


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOpened(Event):
    session: str
    base_currency: str
    nav_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClosed(Event):
    session: str
    nav_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCheckFailed(Event):
    session: str
    check_name: str
    reason: str
    blocking: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionTaken(Event):
    lineage: Lineage
    instrument_ids: tuple[str, ...]
    target_weights: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencesTaken(Event):
    """All that the gate looked at beside the log: with it, a replay needs nothing but the log."""

    # 2: limits have levels, slices name their parent; 3: positions may have exits
    schema_version: ClassVar[int] = 3

    decision_id: str
    quotes: tuple[Quote, ...]
    instruments: tuple[Instrument, ...]
    limits: RiskLimits
    sizing: SizingSettings
    located: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePlanned(Event):
    """The orders of a decision stand in the log: from now on only these are sent."""

    decision_id: str
    order_count: int
    denied_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseBlocked(Event):
    """A whole decision was held back: nothing of it became an order."""

    decision_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDenied(Event):
    """A target weight that could not be turned into an order."""

    decision_id: str
    instrument_id: str
    code: DenialCode
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIntended(Event):
    schema_version: ClassVar[int] = 3  # 2: orders have a stop price; 3: and may be exits

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderApproved(OrderEvent):
    """The gate's approval; `attempt` counts from 1 and grows when an order is checked again."""

    attempt: int
    reference_ticks: int
    value_micros: int  # of the order, in micros of the base currency


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDenied(OrderEvent):
    """The gate's denial: what was measured, what the limit was, in the unit `detail` names."""

    code: DenialCode
    measured: int
    limit: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSubmitted(OrderEvent):
    """The order is about to be handed to the broker; on disk before it is."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSubmissionLost(OrderEvent):
    """The broker was asked and does not know the order: it may be sent again."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStateUnknown(OrderEvent):
    """Nobody knows whether the broker has the order: it is looked up before anything else."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFound(OrderEvent):
    """The broker was asked and has the order: it is no longer unknown."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAccepted(OrderEvent):
    broker_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRejected(OrderEvent):
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilled(OrderEvent):
    """A fill, complete enough to be booked without any table.

    `lot_tick_minor` is the value of one lot and one tick; `commission_minor` is None until the
    broker reports it. `is_maker` says whether the order stood in the book when it was hit;
    a fill that is `is_margined` moves no cash but its profit (futures).
    """

    schema_version: ClassVar[int] = 2  # 2: is_maker and is_margined

    execution_id: str
    instrument_id: str
    side: OrderSide
    lots: int
    price_ticks: int
    lot_tick_minor: int
    currency: str
    commission_minor: int | None
    is_maker: bool = False
    is_margined: bool = False

    def __post_init__(self) -> None:
        if not self.event_id or self.time_ns < 0:
            Event.__post_init__(self)  # it says which; asked for each fill, it costs as much again
        if self.lots < 0 or self.lot_tick_minor <= 0:  # without lots where it was taken back
            raise ValueError(
                f"lots of a fill must be >= 0 and lot_tick_minor positive, "
                f"were {self.lots} and {self.lot_tick_minor}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTriggered(OrderEvent):
    """The stop price of a stop order has traded: from now on it is a market or limit order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderHeld(OrderEvent):
    """A bar went by while the order was on its way; `bars_left` more will."""

    reason: str
    bars_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAdjusted(OrderEvent):
    """An open order has other terms: its whole quantity (filled and open) and prices.

    `action_id` says why: a corporate action, a fill of the other exit, or the position to close.
    """

    action_id: str
    quantity_lots: int
    limit_price_ticks: int | None
    stop_price_ticks: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionCharged(Event):
    """The commission of one execution; may arrive before or after the fill itself."""

    execution_id: str
    currency: str
    commission_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelRequested(OrderEvent):
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled(OrderEvent):
    """An order was cancelled; `filled_lots` is what of it was executed in all, where that is told.

    Fills may be told after it: until those lots are booked the order has not ended. Source: CumQty
    (tag 14) of an execution report, FIX 4.4.
    """

    schema_version: ClassVar[int] = 2  # 2: filled_lots

    reason: str
    filled_lots: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderExpired(OrderEvent):
    unfilled_lots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReplaced(OrderEvent):
    replaced_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingStateChanged(Event):
    state: TradingState
    reason: str
    actor: str
    by_person: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleReset(Event):
    """A person allowed an instrument to be traded again after its throttle had tripped."""

    instrument_id: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimeAssessed(Event):
    regime_names: tuple[str, ...]
    regime_posterior: tuple[float, ...]


EVENT_CLASSES: tuple[type[Event], ...] = (
    SessionOpened,
    SessionClosed,
    DataCheckFailed,
    DecisionTaken,
    ReferencesTaken,
    ReleasePlanned,
    ReleaseBlocked,
    TargetDenied,
    OrderIntended,
    OrderApproved,
    OrderDenied,
    OrderSubmitted,
    OrderSubmissionLost,
    OrderStateUnknown,
    OrderFound,
    OrderAccepted,
    OrderRejected,
    OrderFilled,
    OrderTriggered,
    OrderHeld,
    OrderAdjusted,
    CommissionCharged,
    ExecutionCorrected,
    OrderCancelRequested,
    OrderCancelled,
    OrderExpired,
    OrderReplaced,
    PersonInstructed,
    TradingStateChanged,
    ThrottleReset,
    LimitsChanged,
    ColonySettingsChanged,
    RegimeAssessed,
    *MARK_CLASSES,
    TierMoved,
    ModelPromoted,
    UniverseChosen,
    WorkingStarted,
    WorkingEnded,
    *ACCOUNT_CLASSES,
    *ACTION_CLASSES,
    *RETIREMENT_CLASSES,
    *MODIFY_CLASSES,
    ExecutionRecalled,
)

for _cls in EVENT_CLASSES:
    sort_fields(_cls)

# A changed event gets a new schema_version and, in `event_upcasts`, the step that lifts it.
_codec = Codec(EVENT_CLASSES, upcasts=UPCASTS, steady=frozenset({Instrument, RiskLimits}))


def encode(event: Event) -> bytes:
    """Return the event's canonical bytes; the same event always gives the same bytes."""
    return _codec.encode(event)


def decode(data: bytes) -> Event:
    """Return the event of the bytes, lifted to its newest version; ValueError if unreadable."""
    return _codec.decode(data)
