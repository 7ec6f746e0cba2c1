"""Options at expiry: worthless, exercised or assigned, settled in cash or in the underlying."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from fractions import Fraction

from swarm_core import events as ev
from swarm_core.action_events import ActionKind
from swarm_core.instruments import MINOR_PER_UNIT, Instrument
from swarm_core.ledger import Ledger
from swarm_core.positions import Position


class OptionRight(Enum):
    CALL = "call"
    PUT = "put"


class OptionSettlement(Enum):
    PHYSICAL = "physical"  # options on shares
    CASH = "cash"  # options on indices


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionContract:
    """One option; the multiplier (100 for US shares) is its instrument's.

    An option that is in the money by at least `exercise_threshold` at expiry is exercised, and
    who is short of it is assigned: pays or delivers. Physical: units x multiplier of the
    underlying change hands at the strike. Cash: the intrinsic value is paid. Source: the OCC's
    exercise by exception, rule 805 (0.01 since 2008).
    `shares` is how many units of the underlying one unit is of by now, for the same strike: 3 / 2
    after a split of 3 for 2. Half a share that cannot be delivered is paid at the last price
    (OCC by-laws, article VI section 11A: the aggregate exercise price stays).
    """

    instrument_id: str
    underlying_id: str
    right: OptionRight
    strike: Decimal
    expiry_session: str  # ISO date
    settlement: OptionSettlement = OptionSettlement.PHYSICAL
    exercise_threshold: Decimal = Decimal("0.01")
    shares: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        if not (self.strike.is_finite() and self.strike > 0):
            raise ValueError(f"strike of {self.instrument_id} must be positive, was {self.strike}")
        if self.shares <= 0:
            raise ValueError(f"shares of {self.instrument_id} must be positive, were {self.shares}")

    def intrinsic(self, underlying_price: Decimal) -> Fraction:
        """Return what exercising one unit brings, at least 0."""
        gain = self.shares * Fraction(underlying_price) - Fraction(self.strike)
        return max(Fraction(0), gain if self.right is OptionRight.CALL else -gain)

    def expiry_events(
        self,
        ledger: Ledger,
        instruments: Mapping[str, Instrument],
        underlying_price: Decimal,
        time_ns: int,
    ) -> list[ev.Event]:
        """Return the end of the position at expiry; nothing where none is held."""
        position = ledger.positions.get(self.instrument_id)
        action_id = f"expiry:{self.instrument_id}:{self.expiry_session}"
        if position is None or not position.lots or action_id in ledger.booked:
            return []
        value = self.intrinsic(underlying_price)
        if value < self.exercise_threshold or value == 0:
            return [self._end(position, ActionKind.EXPIRY, action_id, 0, time_ns)]
        held = position.lots > 0
        action = ActionKind.EXERCISE if held else ActionKind.ASSIGNMENT
        option = instruments[self.instrument_id]
        units = option.lots_to_quantity(position.lots) * option.multiplier
        if self.settlement is OptionSettlement.CASH:
            cash = round(Fraction(units) * value * MINOR_PER_UNIT)
            return [self._end(position, action, action_id, cash, time_ns)]
        price = instruments[self.underlying_id].price_to_ticks(underlying_price)
        return [self._deliver(position, action, action_id, units, price, instruments, time_ns)]

    def _end(
        self, position: Position, action: ActionKind, action_id: str, cash: int, time_ns: int
    ) -> ev.HoldingChanged:
        return ev.HoldingChanged(
            event_id=ev.make_event_id("HoldingChanged", action_id),
            time_ns=time_ns,
            action_id=action_id,
            action=action,
            instrument_id=self.instrument_id,
            currency=position.currency,
            lots_change=-position.lots,
            cost_out_minor=position.cost_minor,
            cash_minor=cash,
            mark_ticks=0,
        )

    def _deliver(
        self,
        position: Position,
        action: ActionKind,
        action_id: str,
        units: Decimal,
        underlying_ticks: int,
        instruments: Mapping[str, Instrument],
        time_ns: int,
    ) -> ev.HoldingChanged:
        """Return the exchange of shares and strike: a call brings them, a put takes them."""
        underlying = instruments[self.underlying_id]
        if underlying.is_margined:
            raise ValueError(
                f"{self.instrument_id} must deliver what is paid for in full, "
                f"{self.underlying_id} is on margin"
            )
        signed = units if self.right is OptionRight.CALL else -units
        exact = Fraction(signed) * self.shares / Fraction(underlying.size_increment)
        lots = int(exact)
        if lots != exact and self.shares == 1:
            raise ValueError(
                f"{self.instrument_id} must deliver whole lots of {self.underlying_id}, "
                f"was {signed} units"
            )
        paid = round(Fraction(signed * self.strike) * MINOR_PER_UNIT)
        rest = round((exact - lots) * underlying_ticks * underlying.lot_tick_minor)
        return replace(
            self._end(position, action, action_id, rest - paid, time_ns),
            to_instrument_id=self.underlying_id,
            to_lots=lots,
            to_cost_minor=paid - rest,
            to_mark_ticks=underlying_ticks,
            to_lot_tick_minor=underlying.lot_tick_minor,
        )
