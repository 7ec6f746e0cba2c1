"""The opening of a session between two bars: carry, payments and corporate actions.

The loop stops there, the ledger's own models act on the books as they stand, and it goes on. So
what an action does is written once, for live and for backtests alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from swarm_core import events as ev
from swarm_core.actions.action import CorporateAction, terms_of
from swarm_core.backtest import columns as c
from swarm_core.backtest.columns import NONE, Desk, Ints
from swarm_core.backtest.exact import SAFE
from swarm_core.backtest.settings import FORCES, KINDS
from swarm_core.instruments import Instrument
from swarm_core.ledger import Ledger
from swarm_core.orders import Order, OrderSide
from swarm_core.overnight import NO_CARRY, Carry, action_events
from swarm_core.positions import Position
from swarm_core.risk import kernel as k


@dataclass(frozen=True, slots=True, kw_only=True)
class Openings:
    """What happens at the openings of sessions: actions by session number, and every night's carry.

    Where the sessions are numbered by calendar days, as they are where none are given, the nights
    between two of them are their difference.
    """

    actions: Mapping[int, Sequence[CorporateAction]] = field(
        default_factory=dict[int, Sequence[CorporateAction]]
    )
    carry: Carry = NO_CARRY

    def due(self, before: int | None, session: int) -> list[CorporateAction]:
        """Return the actions after the session `before` up to this one, in order.

        One of a day on which nothing opened is thus met at the next opening, and once.
        """
        first = session if before is None else before + 1
        numbers: Sequence[int] = range(first, session + 1)
        if len(numbers) > len(self.actions):
            numbers = sorted(n for n in self.actions if first <= n <= session)
        return [action for n in numbers for action in self.actions.get(n, ())]


class OpeningDesk:
    """The books of a desk as the ledger's models take them, and its working orders as a venue."""

    def __init__(
        self, instruments: Sequence[Instrument], base_currency: str, openings: Openings
    ) -> None:
        self._instruments = {i.instrument_id: i for i in instruments}
        self._places = {name: at for at, name in enumerate(self._instruments)}
        self._currencies = sorted({*(i.currency for i in instruments), base_currency})
        self._openings = openings
        self._ledger = Ledger(base_currency, 0)
        self._rows: list[tuple[int, ...]] = []
        self._desk: Desk | None = None
        self._bar = 0

    def is_needed(self, desk: Desk, session: int, time_ns: int) -> bool:
        """Return whether anything may happen when this session opens."""
        carry, ledger = self._openings.carry, self._ledger
        if carry != NO_CARRY or self._openings.due(_last_session(desk), session):
            return True
        return any(
            owed.pay_ns <= time_ns
            for action_id, owed in ledger.entitlements.items()
            if action_id not in ledger.paid
        )

    def stops(self, market: c.Market) -> list[int]:
        """Return the bars that open a session, in order; where nothing can happen, none."""
        if not self._openings.actions and self._openings.carry == NO_CARRY:
            return []
        fresh = np.flatnonzero(np.diff(market.session, prepend=NONE))
        return [int(t) for t in fresh]

    def open(self, desk: Desk, bar: int, session: int, time_ns: int) -> Ints:
        """Bring the desk through the opening; return the rows of ACTION_TAPE.

        Raises ValueError where an action gives an instrument that the bars have not, and
        OverflowError where an amount leaves 64 bits.
        """
        self._desk, self._bar, self._rows = desk, bar, []
        before = _last_session(desk)
        days = 0 if before is None else max(0, session - before)
        ledger = self._read(desk)
        carried = self._openings.carry.charges(ledger, self._instruments, days, time_ns)
        actions = self._openings.due(before, session)
        for event in (
            *carried,
            *action_events(actions, ledger, self._instruments, self, time_ns),
        ):
            self._book(event)
        self._write(desk)
        return np.array(self._rows, np.int64).reshape(len(self._rows), len(c.ACTION_TAPE))

    def take_in(self, change: ev.HoldingChanged) -> None:
        """Know nothing of it: the positions are the ledger's."""

    def on_action(self, action: CorporateAction, time_ns: int) -> Sequence[ev.Event]:
        """Adjust or cancel the open orders of an instrument; what it did stands in the rows."""
        desk, place = self._desk, self._places[action.instrument_id]
        assert desk is not None
        instrument, kept = self._instruments[action.instrument_id], 0
        for w in range(int(desk.state[c.WORKING])):
            work = desk.working[w]
            if work[c.W_INSTRUMENT] == place:
                self._meet(desk, work, action, instrument)
            if work[c.W_OPEN] > 0:
                desk.working[kept] = work
                kept += 1
        desk.state[c.WORKING] = kept
        return ()

    def _meet(
        self, desk: Desk, work: Ints, action: CorporateAction, instrument: Instrument
    ) -> None:
        order, open_lots = _order_of(work, instrument), int(work[c.W_OPEN])
        terms = action.order_terms(order, open_lots, instrument)
        if terms == terms_of(order, open_lots):
            return
        left = 0 if terms is None else terms.open_lots
        side = k.OPEN_BUY if work[c.W_SIGN] > 0 else k.OPEN_SELL
        desk.risks[work[c.W_INSTRUMENT], side] += left - open_lots
        work[c.W_LOTS] += left - open_lots
        work[c.W_OPEN] = left
        work[c.W_ARRIVAL] = NONE
        what = c.CANCELLED if terms is None else c.ADJUSTED
        if terms is not None:
            limit, stop = terms.limit_price_ticks, terms.stop_price_ticks
            work[c.W_LIMIT] = NONE if limit is None else limit
            work[c.W_STOP] = NONE if stop is None else stop
        lots = open_lots if terms is None else left
        self._note(instrument.instrument_id, what, int(work[c.W_ORDER]), lots)

    def _note(
        self, instrument_id: str, what: int, order: int = -1, lots: int = 0, cost: int = 0,
        cash: int = 0, mark: int | None = None,
    ) -> None:  # fmt: skip
        place = self._places.get(instrument_id, -1)
        marked = NONE if mark is None else mark
        self._rows.append((self._bar, place, what, order, lots, cost, cash, marked))

    def _book(self, event: ev.Event) -> None:
        ledger = self._ledger
        if isinstance(event, ev.HoldingChanged):
            if event.to_instrument_id and event.to_instrument_id not in self._places:
                raise ValueError(
                    f"{event.to_instrument_id}, which {event.action_id} gives, must be among the "
                    f"instruments of the bars, was not"
                )
            ledger.book_holding(event)
            cost, cash = event.cost_out_minor, event.cash_minor
            self._note(
                event.instrument_id, c.HOLDING, -1, event.lots_change, cost, cash, event.mark_ticks
            )
            if event.to_instrument_id and event.to_lots:
                worth = event.to_lots * event.to_mark_ticks * event.to_lot_tick_minor
                self._note(
                    event.to_instrument_id, c.RECEIVED, -1, event.to_lots, event.to_cost_minor,
                    worth, event.to_mark_ticks,
                )  # fmt: skip
        elif isinstance(event, ev.EntitlementAccrued):
            if event.currency not in self._currencies:
                raise ValueError(
                    f"{event.action_id} must be paid in a currency of the bars "
                    f"{self._currencies}, was in {event.currency}"
                )
            ledger.book_entitlement(event)
            assert self._desk is not None
            place = self._places[event.instrument_id]
            self._desk.holdings[place, c.INCOME] += event.amount_minor
            self._note(event.instrument_id, c.ACCRUED, cash=event.amount_minor)
        elif isinstance(event, ev.EntitlementPaid):
            owed = ledger.entitlements[event.action_id]
            ledger.book_payment(event)
            self._note(owed.instrument_id, c.PAID, cash=owed.amount_minor)
        elif isinstance(event, ev.VariationSettled):
            before = ledger.positions[event.instrument_id].realised_minor
            ledger.settle(event)
            gain = ledger.positions[event.instrument_id].realised_minor - before
            self._note(event.instrument_id, c.SETTLED, cash=gain, mark=event.price_ticks)
        elif isinstance(event, ev.CurrencyConverted):
            self._convert(event)
        elif isinstance(event, ev.CarryCharged):
            ledger.book_carry(event)
            row = 0 if event.instrument_id else self._currencies.index(event.currency)
            self._note(event.instrument_id, c.CARRIED, lots=row, cash=event.amount_minor)

    def _convert(self, trade: ev.CurrencyConverted) -> None:
        """Book a conversion: a row of what left a currency, and one of what came into another."""
        assert self._desk is not None
        self._ledger.convert(trade)
        for currency, minor in (
            (trade.from_currency, -trade.from_minor),
            (trade.to_currency, trade.to_minor),
        ):
            row = self._currencies.index(currency)
            fee = trade.fee_minor if currency == trade.fee_currency else 0
            self._desk.money[row, c.FEES] += fee
            self._note("", c.CONVERTED, lots=row, cost=fee, cash=minor)

    def _read(self, desk: Desk) -> Ledger:
        """Bring the ledger's positions, cash and rates to where the loop has left them."""
        ledger = self._ledger
        for row, currency in enumerate(self._currencies):
            ledger.cash[currency] = int(desk.money[row, c.CASH])
            above, below = desk.money[row, [c.RATE_ABOVE, c.RATE_BELOW]].tolist()
            if below:
                ledger.mark_currency(currency, Decimal(above) / Decimal(below))
        for name, place in self._places.items():
            holding = desk.holdings[place]
            if holding[c.KNOWN]:
                instrument = self._instruments[name]
                ledger.positions[name] = Position(
                    instrument.currency,
                    int(holding[c.LOT_TICK]),
                    int(holding[c.MARK]),
                    int(desk.risks[place, k.POSITION]),
                    int(holding[c.COST]),
                    int(holding[c.REALISED]),
                    bool(holding[c.MARGINED]),
                )
        return ledger

    def _write(self, desk: Desk) -> None:
        ledger = self._ledger
        for row, currency in enumerate(self._currencies):
            desk.money[row, c.CASH] = _fitting(ledger.cash.get(currency, 0))
            desk.money[row, c.OWED] = _fitting(ledger.owed.get(currency, 0))
        for name, position in ledger.positions.items():
            place = self._places[name]
            holding = desk.holdings[place]
            holding[c.KNOWN] = 1
            holding[c.MARK] = position.mark_ticks
            holding[c.COST] = _fitting(position.cost_minor)
            holding[c.REALISED] = _fitting(position.realised_minor)
            desk.risks[place, k.POSITION] = _fitting(position.lots)


def _last_session(desk: Desk) -> int | None:
    """Return the session that the desk was in last, None before its first."""
    session = int(desk.state[c.SESSION])
    return None if session == NONE else session


def _fitting(amount: int) -> int:
    if abs(amount) > SAFE:
        raise OverflowError(f"money must stay within {c.SAFE_UNITS} currency units, did not")
    return amount


def _order_of(work: Ints, instrument: Instrument) -> Order:
    """Return a working order as an object; its id says nothing."""
    limit, stop = int(work[c.W_LIMIT]), int(work[c.W_STOP])
    return Order(
        decision_id=f"order-{int(work[c.W_ORDER])}",
        instrument_id=instrument.instrument_id,
        side=OrderSide.BUY if work[c.W_SIGN] > 0 else OrderSide.SELL,
        quantity_lots=int(work[c.W_LOTS]),
        kind=KINDS[int(work[c.W_KIND])],
        time_in_force=FORCES[int(work[c.W_FORCE])],
        limit_price_ticks=None if limit == NONE else limit,
        stop_price_ticks=None if stop == NONE else stop,
    )
