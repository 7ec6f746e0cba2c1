"""What every corporate action can do, and its effect on an open order."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from typing import Protocol

from swarm_core import events as ev
from swarm_core.action_events import ActionKind
from swarm_core.instruments import Instrument
from swarm_core.ledger import Ledger
from swarm_core.orders import Order, OrderSide
from swarm_core.positions import Position


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What is left open of an order, and its prices."""

    open_lots: int
    limit_price_ticks: int | None
    stop_price_ticks: int | None


class CorporateAction(Protocol):
    """One action on one instrument, taken in at the opening of its ex-date, before any fill."""

    @property
    def action_id(self) -> str: ...
    @property
    def instrument_id(self) -> str: ...

    def holding_events(
        self, ledger: Ledger, instruments: Mapping[str, Instrument], time_ns: int
    ) -> list[ev.Event]:
        """Return what it does to the books; nothing where the instrument is not held."""
        ...

    def order_terms(
        self, order: Order, open_lots: int, instrument: Instrument
    ) -> OrderTerms | None:
        """Return what it leaves of an open order, or None where the venue cancels it."""
        ...


def terms_of(order: Order, open_lots: int) -> OrderTerms:
    return OrderTerms(open_lots, order.limit_price_ticks, order.stop_price_ticks)


def find_holding(ledger: Ledger, action_id: str, instrument_id: str) -> Position | None:
    """Return the position that an action meets, or None where there is none or it was booked.

    Raises ValueError on one held on margin: its price was never paid, so nothing can be paid back.
    """
    position = ledger.positions.get(instrument_id)
    if position is None or not position.lots or action_id in ledger.booked:
        return None
    if position.is_margined:
        raise ValueError(
            f"{action_id} must be of a holding that was paid for, {instrument_id} is on margin"
        )
    return position


def holding_changed(
    action: CorporateAction,
    kind: ActionKind,
    position: Position,
    time_ns: int,
    *,
    lots_change: int,
    cost_out_minor: int,
    cash_minor: int,
    mark_ticks: int | None,
) -> ev.HoldingChanged:
    """Return what an action does to the instrument that it is on."""
    return ev.HoldingChanged(
        event_id=ev.make_event_id("CorporateAction", action.action_id, action.instrument_id),
        time_ns=time_ns,
        action_id=action.action_id,
        action=kind,
        instrument_id=action.instrument_id,
        currency=position.currency,
        lots_change=lots_change,
        cost_out_minor=cost_out_minor,
        cash_minor=cash_minor,
        mark_ticks=mark_ticks,
    )


def half_even(value: Fraction) -> int:
    return round(value)


def lowered_terms(
    order: Order, open_lots: int, instrument: Instrument, amount: Decimal
) -> OrderTerms:
    """Return the terms after a distribution of `amount` per unit (FINRA rule 5330, a, 1).

    The prices of open buys and of stops to sell fall by it, to the next lower tick; those of
    sells and of stops to buy stay. Less than a cent of the currency changes nothing.
    """
    stops_to_sell = order.side is OrderSide.SELL and order.kind.has_stop
    buys = order.side is OrderSide.BUY and not order.kind.has_stop
    if amount < Decimal("0.01") or not (buys or stops_to_sell):
        return terms_of(order, open_lots)
    ticks = int((amount / instrument.price_increment).to_integral_value(ROUND_CEILING))

    def lowered(price: int | None) -> int | None:
        return None if price is None else max(1, price - ticks)

    return OrderTerms(open_lots, lowered(order.limit_price_ticks), lowered(order.stop_price_ticks))
