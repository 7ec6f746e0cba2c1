"""The same backtest through the objects: one event after the other into a book, as live.

It is the text that the compiled loop is held to: slow, and with nothing of its own but the order
of the steps.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from swarm_core import events as ev
from swarm_core.backtest.bar_objects import bars_at, ended_at
from swarm_core.backtest.bars import Bars, currencies_of
from swarm_core.backtest.columns import LEFT, NONE, ZERO, Ints
from swarm_core.backtest.opening import Openings
from swarm_core.backtest.settings import EngineSettings
from swarm_core.backtest.weights import check_weights
from swarm_core.book import Book
from swarm_core.colony.decision import Decision
from swarm_core.derivatives.futures import roll_leg, variation_settlements
from swarm_core.instruments import Instrument, to_minor
from swarm_core.lineage import Lineage
from swarm_core.market import Bar, Quote
from swarm_core.orders import Order
from swarm_core.overnight import ActionVenue, action_events
from swarm_core.references import References
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.context import RiskContext
from swarm_core.sizing import Targets, size, size_lots
from swarm_core.verdicts import judge

# (bar, weights held, NAV, traded and paid since the last decision) -> the colony's decision
Decide = Callable[[int, tuple[float, ...], float, tuple[float, float]], Decision]


class Venue(ActionVenue, Protocol):
    """A broker whose market is the bars that it is given."""

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]: ...

    def on_bars(self, bars: Iterable[Bar], time_ns: int) -> Sequence[ev.Event]: ...

    def end_session(self, instrument_ids: Collection[str], time_ns: int) -> Sequence[ev.Event]: ...


class StepwiseBacktest:
    """One account, walked bar by bar; every event is kept in `events` and folded into `book`."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        settings: EngineSettings,
        venue: Venue,
        *,
        rates: Mapping[str, Decimal] | None = None,
        openings: Openings | None = None,
    ) -> None:
        self._openings = openings or Openings()
        self.settings, self.venue = settings, venue
        self.instruments = {i.instrument_id: i for i in instruments}
        self.book = Book(settings.base_currency, to_minor(settings.starting_cash))
        self.events: list[ev.Event] = []
        self.refused: list[tuple[int, str, DenialCode]] = []  # (bar, instrument, code)
        self.nav_minor: list[int] = []
        self._quotes: dict[str, Quote] = {}
        self._bar = -1
        self._session: int | None = None
        self._rolls: dict[str, str] = {}  # the orders of rolls: what goes over by each
        self._rolled: Counter[str] = Counter()  # closed to go over, less what was opened for it
        self._in_session: set[str] = set()  # had a bar since their exchange's session ended
        self._closed_seen: set[str] = set()  # are closed, and their last bar closed the session
        for currency, rate in (rates or {}).items():
            if currency != settings.base_currency:
                self._apply([self._marked(currency, rate)])

    def _marked(self, currency: str, rate: Decimal, bar: int = -1) -> ev.CurrencyMarked:
        return ev.CurrencyMarked(
            event_id=ev.make_event_id("CurrencyMarked", currency, str(rate), self._bar, bar),
            time_ns=0,
            currency=currency,
            rate=rate,
        )

    def trade_targets(self, bars: Bars, lots: Ints) -> None:
        """Walk the bars towards targets [T, N] in lots; NONE leaves an instrument as it is."""
        for t in range(len(bars.market.time_ns)):
            self._begin(bars, t)
            wanted = {
                i.instrument_id: int(lots[t, at])
                for at, i in enumerate(bars.instruments)
                if lots[t, at] != NONE
            }
            references = self._references(bars, t)
            context = references.measure(self.book)
            orders, denied = size_lots(
                self._decision_id(), wanted, self.book, context, self.settings.sizing
            )
            self.refused += [(self._bar, d.instrument_id, d.code) for d in denied]
            self._release(orders, context)

    def trade_weights(self, bars: Bars, weights: NDArray[np.float64]) -> None:
        """Walk the bars towards weights [T, N] of NAV; NaN leaves an instrument as it is.

        Raises ValueError on a weight that does not hold (weights.py).
        """
        check_weights(bars, weights)
        for t in range(len(bars.market.time_ns)):
            self._begin(bars, t)
            ids = [i.instrument_id for i in bars.instruments]
            self._trade(_Weighed(self._decision_id(), bars, t, ids, weights[t].tolist()), bars, t)

    def trade_decisions(self, bars: Bars, decide: Decide) -> None:
        """Walk the bars, asking a colony at each close with what the book knows."""
        ids = [i.instrument_id for i in bars.instruments]
        for t in range(len(bars.market.time_ns)):
            self._begin(bars, t)
            nav = self.book.find_nav()
            assert nav is not None  # begin has looked
            realised = self.book.realised.fractions(nav)
            found = decide(t, self.book.weights(ids), nav, realised)
            self._apply([_taken(found, int(bars.market.session[t]))])
            weights = [float(weight) for weight in found.target_weights]
            ids_found = list(found.instrument_ids)
            self._trade(_Weighed(found.decision_id, bars, t, ids_found, weights), bars, t)

    def _trade(self, decision: Targets, bars: Bars, t: int) -> None:
        context = self._references(bars, t).measure(self.book)
        orders, denied = size(decision, self.book, context, self.settings.sizing)
        self.refused += [(self._bar, d.instrument_id, d.code) for d in denied]
        self._release(orders, context)

    def place_orders(self, bars: Bars, orders: Sequence[Sequence[Order]]) -> None:
        """Walk the bars, sending orders[t] at the close of bar t."""
        for t in range(len(bars.market.time_ns)):
            self._begin(bars, t)
            self._release(orders[t], self._references(bars, t).measure(self.book))

    def _decision_id(self) -> str:
        return f"bar-{self._bar}"

    def _apply(self, events: Iterable[ev.Event]) -> None:
        for event in events:
            self.events.append(event)
            self.book.apply(event)

    def _fill(self, told: Sequence[ev.Event], rates: Sequence[ev.CurrencyMarked]) -> None:
        """Take in what the venue told; a fill's foreign cash is converted at the bar's rate."""
        exchange, ledger = self.settings.conversion, self.book.ledger
        if exchange is not None:
            known = ledger.rates | {marked.currency: marked.rate for marked in rates}
            told = exchange.with_trades(told, ledger, known)
        for event in told:
            self._apply([event])
            if isinstance(event, ev.OrderFilled) and event.client_order_id in self._rolls:
                signed = event.side.sign * event.lots
                self._rolled[self._rolls[event.client_order_id]] -= signed

    def _begin(self, bars: Bars, t: int) -> None:
        """Open the session where one begins, fill, mark what is held, and close it."""
        self._bar += 1
        market, time_ns = bars.market, int(bars.market.time_ns[t])
        if self._session != market.session[t]:
            opens_ns = time_ns if market.open_ns[t] == NONE else int(market.open_ns[t])
            self._open(int(market.session[t]), opens_ns)
        shown = bars_at(bars, t, self._in_session)
        self._fill(self.venue.on_bars(shown, time_ns), self._rates(bars, t))
        self._apply(self.venue.end_session(self._unmet(bars, t), time_ns))
        for bar in shown:
            position = self.book.ledger.positions.get(bar.instrument_id)
            if position is not None and position.lots:
                self._apply([_mark(bar, position.lot_tick_minor, position.currency)])
        self._apply(self._rates(bars, t))
        self.nav_minor.append(self._nav())
        closes = {bar.instrument_id: bar.close_ticks for bar in shown if bar.closes_session}
        self._apply(variation_settlements(self.book.ledger, closes, time_ns))
        if market.session_end[t]:
            self._apply([self._closed(time_ns)])
        self._quote(bars, t)
        self._roll(bars, t)

    def _unmet(self, bars: Bars, t: int) -> set[str]:
        """Return the instruments whose session ends at this moment without a bar of theirs."""
        ended = ended_at(bars, t)
        known = ended if len(bars.market.ends) else ended & self._in_session
        return {name for name in known if name not in self._shown(bars, t)}

    def _shown(self, bars: Bars, t: int) -> set[str]:
        closes = bars.market.close[t]
        return {i.instrument_id for at, i in enumerate(bars.instruments) if closes[at] != NONE}

    def _quote(self, bars: Bars, t: int) -> None:
        """Take the closes for quotes; the last close of an exchange that is closed stays fresh."""
        market, time_ns = bars.market, int(bars.market.time_ns[t])
        shown, ended = self._shown(bars, t), ended_at(bars, t)
        self._in_session = (self._in_session | shown) - ended
        self._closed_seen = (self._closed_seen - shown - ended) | (shown & ended)
        volumes = market.day_volume[t] if len(market.day_volume) else None
        for at, instrument in enumerate(bars.instruments):
            name = instrument.instrument_id
            volume = None if volumes is None or volumes[at] < 0 else int(volumes[at])
            last = self._quotes.get(name)
            if market.close[t, at] != NONE:
                last = Quote(
                    instrument_id=name, reference_ticks=int(market.close[t, at]), time_ns=time_ns
                )
            if last is not None:
                is_closed = len(market.ends) and name in self._closed_seen
                self._quotes[name] = Quote(
                    instrument_id=name,
                    reference_ticks=last.reference_ticks,
                    time_ns=time_ns if is_closed else last.time_ns,
                    daily_volume_lots=volume,
                    session_open=True,
                )

    def _roll(self, bars: Bars, t: int) -> None:
        """Send the orders of what goes over into another contract at this close."""
        if not len(bars.market.roll_to):
            return
        following = {
            i.instrument_id: bars.instruments[int(bars.market.roll_to[t, at])].instrument_id
            for at, i in enumerate(bars.instruments)
            if bars.market.roll_to[t, at] != NONE
        }
        context = self._references(bars, t).measure(self.book)
        for name in sorted(following):
            to, risk = following[name], context.instruments[name]
            closing = -(risk.position_lots + risk.open_buy_lots - risk.open_sell_lots)
            owed = self._owed_by_roll(name)
            opening = owed - closing
            closes = closing and context.instruments[to].unmeasured is None
            if closes and not self._roll_leg(name, name, closing, context):
                opening = owed
            if opening:
                self._roll_leg(name, to, opening, context)

    def _roll_leg(self, rolled: str, name: str, signed: int, context: RiskContext) -> bool:
        """Send one order of a roll; return whether the gate approved it."""
        order = roll_leg(f"roll-{self._bar}-{rolled}", signed, name)
        self._rolls[order.client_order_id] = rolled
        self._release([order], context)
        return order.client_order_id in context.order_ids

    def _owed_by_roll(self, rolled: str) -> int:
        """Return the lots to open for what was closed of an instrument, or is about to be."""
        working = [
            record.order.side.sign * record.open_lots
            for record in self.book.working_orders()
            if self._rolls.get(record.order.client_order_id) == rolled
        ]
        return self._rolled[rolled] - sum(working)

    def _rates(self, bars: Bars, t: int) -> list[ev.CurrencyMarked]:
        rates = bars.market.rates
        return [
            self._marked(currency, Decimal(int(rates[t, m, 0])) / Decimal(int(rates[t, m, 1])), t)
            for m, currency in enumerate(currencies_of(bars.instruments) if len(rates) else ())
            if rates[t, m, 1]
        ]

    def _open(self, session: int, time_ns: int) -> None:
        days = 0 if self._session is None else max(0, session - self._session)
        actions = self._openings.due(self._session, session)
        self._session, ledger = session, self.book.ledger
        carried = self._openings.carry.charges(ledger, self.instruments, days, time_ns)
        acted = action_events(actions, ledger, self.instruments, self.venue, time_ns)
        self._apply([self._opened(time_ns), *carried, *acted])

    def _nav(self) -> int:
        nav = self.book.ledger.find_nav_minor()
        if nav is None:
            raise ValueError("NAV must be known, was not: a rate is missing")
        return nav

    def _opened(self, time_ns: int) -> ev.Event:
        return ev.SessionOpened(
            event_id=ev.make_event_id("SessionOpened", self._bar),
            time_ns=time_ns,
            session=str(self._session),
            base_currency=self.book.base_currency,
            nav_minor=self._nav(),
        )

    def _closed(self, time_ns: int) -> ev.Event:
        return ev.SessionClosed(
            event_id=ev.make_event_id("SessionClosed", self._bar),
            time_ns=time_ns,
            session=str(self._session),
            nav_minor=self._nav(),
        )

    def _references(self, bars: Bars, t: int) -> References:
        stopped = bars.market.halted[t] if len(bars.market.halted) else ()
        halted = {i.instrument_id for i, out in zip(bars.instruments, stopped, strict=False) if out}
        return References(
            time_ns=int(bars.market.time_ns[t]) + int(self.settings.decision_lag_s * 10**9),
            quotes={name: quote for name, quote in self._quotes.items() if name not in halted},
            instruments=self.instruments,
            limits=self.settings.limits,
            sizing=self.settings.sizing,
            located=self.settings.located,
        )

    def _release(self, orders: Sequence[Order], context: RiskContext) -> None:
        """Intend, judge and send, in the steps of the order path."""
        time_ns = context.time_ns
        for order in orders:
            self._apply(
                [
                    ev.OrderIntended(
                        event_id=ev.make_event_id("OrderIntended", order.client_order_id),
                        time_ns=time_ns,
                        correlation_id=order.decision_id,
                        order=order,
                    )
                ]
            )
        records = [self.book.orders[order.client_order_id] for order in orders]
        verdicts = judge(records, context)
        self._apply(verdicts)
        for order, verdict in zip(orders, verdicts, strict=True):
            if isinstance(verdict, ev.OrderApproved):
                self._apply([_submitted(order, time_ns)])
                self._apply(self.venue.submit(order, time_ns))


class _Weighed:
    """The part of a decision that sizing takes: what is known of it, and zero for what leaves."""

    def __init__(
        self, decision_id: str, bars: Bars, t: int, ids: Sequence[str], weights: Sequence[float]
    ) -> None:
        counts = bars.market.leaving[t] if len(bars.market.leaving) else None
        places = {i.instrument_id: at for at, i in enumerate(bars.instruments)}
        instead = {ZERO: 0.0, LEFT: float("nan")}
        known = {
            name: weight if counts is None else instead.get(int(counts[places[name]]), weight)
            for name, weight in zip(ids, weights, strict=True)
        }
        self.decision_id, self.time_ns = decision_id, int(bars.market.time_ns[t])
        self.instrument_ids = tuple(n for n, weight in known.items() if not np.isnan(weight))
        self.target_weights = tuple(known[name] for name in self.instrument_ids)


def _taken(decision: Decision, session: int) -> ev.Event:
    return ev.DecisionTaken(
        event_id=ev.make_event_id("DecisionTaken", decision.decision_id),
        time_ns=decision.time_ns,
        lineage=Lineage(
            decision_id=decision.decision_id,
            session=str(session),
            colony_state_digest=decision.state_digest_after,
        ),
        instrument_ids=decision.instrument_ids,
        target_weights=tuple(float(weight) for weight in decision.target_weights),
    )


def _submitted(order: Order, time_ns: int) -> ev.Event:
    return ev.OrderSubmitted(
        event_id=ev.make_event_id("OrderSubmitted", order.client_order_id, 1),
        time_ns=time_ns,
        correlation_id=order.decision_id,
        client_order_id=order.client_order_id,
        attempt=1,
    )


def _mark(bar: Bar, lot_tick_minor: int, currency: str) -> ev.Event:
    return ev.PositionMarked(
        event_id=ev.make_event_id("PositionMarked", bar.instrument_id, bar.time_ns),
        time_ns=bar.time_ns,
        instrument_id=bar.instrument_id,
        price_ticks=bar.close_ticks,
        lot_tick_minor=lot_tick_minor,
        currency=currency,
    )
