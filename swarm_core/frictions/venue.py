"""A simulated venue and its account: every model that it trades and charges by, in one value."""

from dataclasses import dataclass, field
from decimal import Decimal

from swarm_core.carry.borrow import BorrowAvailability
from swarm_core.commissions import BpsCommission, CommissionModel
from swarm_core.currencies import FillConversion
from swarm_core.fills import FillSettings
from swarm_core.frictions.price_limits import PriceLimits
from swarm_core.overnight import NO_CARRY, Carry


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """How orders are filled, what fills cost, what nights cost, and what can be borrowed."""

    fills: FillSettings = field(default_factory=FillSettings)
    commission: CommissionModel = field(default_factory=BpsCommission)
    carry: Carry = NO_CARRY
    borrow: BorrowAvailability = field(default_factory=BorrowAvailability)
    price_limits: PriceLimits | None = None
    conversion: FillConversion | None = None  # of each fill; None leaves its cash as it comes


def simple_venue(commission_bps: float, slippage_bps: float) -> Venue:
    """Return a venue that takes a fixed part of the value for commission, and of the price.

    Slippage is that part plus 10 bps times the square root of the share of the volume.
    """
    return Venue(
        fills=FillSettings(slippage_bps=slippage_bps),
        commission=BpsCommission(bps=Decimal(str(commission_bps))),
    )
