"""Actions that end a holding or put another in its place: delistings, mergers, spin-offs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from swarm_core import events as ev
from swarm_core.action_events import ActionKind
from swarm_core.actions.action import (
    OrderTerms,
    find_holding,
    half_even,
    holding_changed,
    lowered_terms,
)
from swarm_core.instruments import MINOR_PER_UNIT, Instrument
from swarm_core.ledger import Ledger
from swarm_core.orders import Order
from swarm_core.positions import Position


@dataclass(frozen=True, slots=True)
class _Received:
    """The other instrument's lots for a holding: exactly `lots`, of which `whole` can be held."""

    instrument: Instrument
    sign: int  # -1 for a short position, which owes what a holder receives
    units: Fraction  # of the old instrument
    lots: Fraction
    whole: int

    @classmethod
    def of(
        cls,
        position: Position,
        instruments: Mapping[str, Instrument],
        old_id: str,
        new_id: str,
        ratio: Decimal,
    ) -> "_Received":
        """Return `ratio` units for each; ValueError unless both are quoted in one currency."""
        old, new = instruments[old_id], instruments[new_id]
        if old.currency != new.currency:
            raise ValueError(
                f"what {old_id} is exchanged for must be quoted in {old.currency}, "
                f"{new_id} was in {new.currency}"
            )
        units = Fraction(old.lots_to_quantity(abs(position.lots)))
        lots = units * Fraction(ratio) / Fraction(new.size_increment)
        return cls(new, 1 if position.lots > 0 else -1, units, lots, int(lots))

    def in_lieu_minor(self, price_ticks: int) -> int:
        """Return what the fraction of a lot is worth."""
        return half_even((self.lots - self.whole) * price_ticks * self.instrument.lot_tick_minor)

    def added_to(
        self, change: ev.HoldingChanged, cost_minor: int, price_ticks: int
    ) -> ev.HoldingChanged:
        """Return the change with the whole lots and what they cost."""
        return replace(
            change,
            to_instrument_id=self.instrument.instrument_id,
            to_lots=self.sign * self.whole,
            to_cost_minor=cost_minor,
            to_mark_ticks=price_ticks,
            to_lot_tick_minor=self.instrument.lot_tick_minor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CashOut:
    """A delisting or a cash merger: every unit is paid at `price`, or at its last mark.

    A bankrupt company's shares are paid at 0. Open orders are cancelled. Source: Shumway (1997),
    "The delisting bias in CRSP data": the delisting price is part of the return.
    """

    action_id: str
    instrument_id: str
    price: Decimal | None = None
    action: ActionKind = ActionKind.DELISTING

    def __post_init__(self) -> None:
        if self.price is not None and not (self.price.is_finite() and self.price >= 0):
            raise ValueError(
                f"what is paid for {self.instrument_id} must not be negative, was {self.price}"
            )

    def holding_events(
        self, ledger: Ledger, instruments: Mapping[str, Instrument], time_ns: int
    ) -> list[ev.Event]:
        position = find_holding(ledger, self.action_id, self.instrument_id)
        if position is None:
            return []
        ticks: int | Fraction = position.mark_ticks
        if self.price is not None:
            ticks = Fraction(self.price) / Fraction(instruments[self.instrument_id].price_increment)
        return [
            holding_changed(
                self,
                self.action,
                position,
                time_ns,
                lots_change=-position.lots,
                cost_out_minor=position.cost_minor,
                cash_minor=half_even(Fraction(position.lots * ticks * position.lot_tick_minor)),
                mark_ticks=half_even(Fraction(ticks)),
            )
        ]

    def order_terms(
        self, order: Order, open_lots: int, instrument: Instrument
    ) -> OrderTerms | None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class StockMerger:
    """Each unit becomes `ratio` units of another instrument and `cash` of the currency.

    With ratio 1 and no cash it is a change of symbol (`action` RENAME). lots' = trunc(units x
    ratio in lots), the fraction is paid at the new instrument's price; the cost goes over, less
    what the cash pays back. Open orders are cancelled. Source: IRS section 368 reorganisations.
    The new price is `to_price_ticks`, else its mark where it is held already, else what the old
    holding was marked at.
    """

    action_id: str
    instrument_id: str
    to_instrument_id: str
    ratio: Decimal = Decimal(1)
    cash: Decimal = Decimal(0)
    to_price_ticks: int | None = None
    action: ActionKind = ActionKind.MERGER

    def __post_init__(self) -> None:
        if not (self.ratio.is_finite() and self.ratio > 0 and self.cash.is_finite()):
            raise ValueError(
                f"ratio of a merger of {self.instrument_id} must be positive and its cash finite, "
                f"were {self.ratio} and {self.cash}"
            )

    def holding_events(
        self, ledger: Ledger, instruments: Mapping[str, Instrument], time_ns: int
    ) -> list[ev.Event]:
        position = find_holding(ledger, self.action_id, self.instrument_id)
        if position is None:
            return []
        received = _Received.of(
            position, instruments, self.instrument_id, self.to_instrument_id, self.ratio
        )
        cash = half_even(received.units * Fraction(self.cash) * MINOR_PER_UNIT)
        held, price = ledger.positions.get(self.to_instrument_id), self.to_price_ticks
        if price is None and held is not None and held.lots:
            price = held.mark_ticks
        if price is None:
            value = abs(position.value_minor) - cash
            lot_tick_minor = received.instrument.lot_tick_minor
            price = max(0, half_even(Fraction(value) / (received.lots * lot_tick_minor)))
        cash += received.in_lieu_minor(price)
        # What is paid in cash is a return of cost: only more than the whole cost is profit.
        kept = max(0, abs(position.cost_minor) - cash) if received.whole else 0
        left = holding_changed(
            self,
            self.action,
            position,
            time_ns,
            lots_change=-position.lots,
            cost_out_minor=position.cost_minor,
            cash_minor=received.sign * cash,
            mark_ticks=None,
        )
        return [received.added_to(left, received.sign * kept, price)]

    def order_terms(
        self, order: Order, open_lots: int, instrument: Instrument
    ) -> OrderTerms | None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpinOff:
    """Each unit receives `ratio` units of a new instrument that is worth `to_price`.

    The cost is divided by relative market value (IRS Form 8937, section 358); a fraction of a
    lot is paid at the new price, and the old mark falls by what left. Open buys and stops to
    sell fall by the value as for a dividend (FINRA rule 5330).
    """

    action_id: str
    instrument_id: str
    to_instrument_id: str
    ratio: Decimal
    to_price: Decimal

    def __post_init__(self) -> None:
        if not (self.ratio.is_finite() and self.ratio > 0 and self.to_price >= 0):
            raise ValueError(
                f"ratio of a spin-off of {self.instrument_id} must be positive and its price not "
                f"negative, were {self.ratio} and {self.to_price}"
            )

    def holding_events(
        self, ledger: Ledger, instruments: Mapping[str, Instrument], time_ns: int
    ) -> list[ev.Event]:
        position = find_holding(ledger, self.action_id, self.instrument_id)
        if position is None:
            return []
        received = _Received.of(
            position, instruments, self.instrument_id, self.to_instrument_id, self.ratio
        )
        price = received.instrument.price_to_ticks(self.to_price)
        new_value = received.lots * price * received.instrument.lot_tick_minor
        share = min(Fraction(1), new_value / max(1, abs(position.value_minor)))
        moved = half_even(position.cost_minor * share)
        kept = half_even(moved * Fraction(received.whole) / received.lots)
        fallen = new_value / (abs(position.lots) * position.lot_tick_minor)
        left = holding_changed(
            self,
            ActionKind.SPIN_OFF,
            position,
            time_ns,
            lots_change=0,
            cost_out_minor=moved,
            cash_minor=received.sign * received.in_lieu_minor(price),
            mark_ticks=max(0, half_even(position.mark_ticks - fallen)),
        )
        return [received.added_to(left, kept, price)]

    def order_terms(
        self, order: Order, open_lots: int, instrument: Instrument
    ) -> OrderTerms | None:
        return lowered_terms(order, open_lots, instrument, self.ratio * self.to_price)
