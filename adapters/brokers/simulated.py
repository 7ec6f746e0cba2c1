"""A broker that fills orders from bars: deterministic, and rebuilt from the log after a restart."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from adapters.brokers.simulated_ticket import Ticket
from swarm_core import events as ev
from swarm_core.actions.action import CorporateAction, terms_of
from swarm_core.brackets import check_bracket
from swarm_core.carry.borrow import BorrowAvailability
from swarm_core.commissions import BpsCommission, CommissionModel, OrderFacts
from swarm_core.fills import (
    Fill,
    FillSettings,
    bar_rank,
    ends_with_session,
    fill_of,
    find_trigger_ticks,
    is_over,
    misses_cutoff,
    waits_for_auction,
)
from swarm_core.instruments import Instrument
from swarm_core.market import Bar
from swarm_core.orders import Order, OrderSide, TimeInForce

_NS_PER_S = 10**9


class SimulatedBroker:
    """Takes orders and fills them from the next bars that it is given.

    It knows every order by its client id: sending one again changes nothing. All its ids are
    made from the order, so the same orders and bars always give the same events. `with_events`
    brings it back to where the log says that it stood.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        *,
        fills: FillSettings | None = None,
        commission: CommissionModel | None = None,
        borrow: BorrowAvailability | None = None,
    ) -> None:
        self._instruments = dict(instruments)
        self._borrow = borrow or BorrowAvailability()
        self._lots: dict[str, int] = {}  # the account's position, by its fills and actions
        self._fills = fills or FillSettings()
        self._commission: CommissionModel = commission or BpsCommission()
        self._tickets: dict[str, Ticket] = {}
        self._month_quantities: dict[str, Decimal] = {}  # traded, by calendar month

    def with_events(self, events: Iterable[ev.Event | ev.RecordedEvent]) -> "SimulatedBroker":
        """Return a broker that has the orders which the log says that it had accepted."""
        broker = SimulatedBroker(
            self._instruments, fills=self._fills, commission=self._commission, borrow=self._borrow
        )
        intended: dict[str, Order] = {}
        for item in events:
            event = item.event if isinstance(item, ev.RecordedEvent) else item
            if isinstance(event, ev.OrderIntended):
                intended[event.order.client_order_id] = event.order
            elif isinstance(event, ev.OrderAccepted | ev.OrderRejected):
                order = intended.get(event.client_order_id)
                if order is not None and event.client_order_id not in broker._tickets:
                    broker._open(order, event)
            elif isinstance(event, ev.OrderEvent):
                broker._remember(event)
            elif isinstance(event, ev.HoldingChanged):
                broker.take_in(event)
            elif isinstance(event, ev.DecisionsRetired):
                broker.forget(event.decision_ids)
        return broker

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]:
        """Accept or reject an order; return what is known of it where it came before."""
        known = self._tickets.get(order.client_order_id)
        if known is not None:
            return tuple(known.events)
        order_id, fault = order.client_order_id, self._fault(order)
        if fault is None:
            answer = ev.OrderAccepted(
                event_id=ev.make_event_id("OrderAccepted", order_id),
                time_ns=time_ns,
                correlation_id=order.decision_id,
                client_order_id=order_id,
                broker_order_id="S" + order_id[1:],
            )
            self._open(order, answer)
            return (answer,)
        return self._reject(order, fault, time_ns)

    def _reject(self, order: Order, reason: str, time_ns: int) -> Sequence[ev.Event]:
        order_id = order.client_order_id
        rejected = ev.OrderRejected(
            event_id=ev.make_event_id("OrderRejected", order_id),
            time_ns=time_ns,
            correlation_id=order.decision_id,
            client_order_id=order_id,
            reason=reason,
        )
        self._open(order, rejected)
        return (rejected,)

    def submit_together(self, orders: Sequence[Order], time_ns: int) -> Sequence[ev.Event]:
        """Take an order with its two exits, or the two exits; all are taken or none is."""
        check_bracket(orders)
        fault = self._fault(orders[0])  # what holds for the first holds for those that follow it
        told: list[ev.Event] = []
        for order in orders:
            if fault is None or order.client_order_id in self._tickets:
                told.extend(self.submit(order, time_ns))
            else:
                told.extend(self._reject(order, fault, time_ns))
        return tuple(told)

    def _fault(self, order: Order) -> str | None:
        """Return why the venue does not take an order, or None."""
        instrument = self._instruments.get(order.instrument_id)
        if instrument is None:
            return f"no contract is known for {order.instrument_id}"
        if order.is_exit:
            return self._homeless(order)
        if order.side is OrderSide.BUY or not self._borrow.is_limited(instrument):
            return None
        selling = sum(
            t.open_lots
            for t in self._tickets.values()
            if t.working
            and not t.order.is_exit
            and t.order.instrument_id == order.instrument_id
            and t.order.side is OrderSide.SELL
        )
        after = self._lots.get(order.instrument_id, 0) - selling - order.quantity_lots
        if not self._borrow.allows(instrument, after):
            return f"{-after} lots of {order.instrument_id} cannot be borrowed"
        return None

    def _homeless(self, order: Order) -> str | None:
        """Return why an exit has nothing to close here, or None."""
        parent = self._tickets.get(order.parent_client_order_id)
        if parent is not None and parent.working:
            return None
        held = self._lots.get(order.instrument_id, 0)
        return None if -order.side.sign * held > 0 else "nothing is held that it could close"

    def _asleep(self, ticket: Ticket) -> bool:
        """Return whether an exit waits for its order to be filled."""
        parent = self._tickets.get(ticket.order.parent_client_order_id)
        return ticket.order.is_exit and parent is not None and parent.working

    def _awake_since_ns(self, ticket: Ticket) -> int:
        """Return the bar from which on an exit works: not that at which its order filled."""
        parent = self._tickets.get(ticket.order.parent_client_order_id)
        return parent.last_bar_ns if ticket.order.is_exit and parent is not None else 0

    def find(self, client_order_id: str) -> Sequence[ev.Event] | None:
        """Return everything that happened to an order, or None where it never came."""
        ticket = self._tickets.get(client_order_id)
        return None if ticket is None else tuple(ticket.events)

    def cancel(self, client_order_id: str, time_ns: int) -> Sequence[ev.Event]:
        """Cancel what is open of an order; nothing happens where nothing is."""
        ticket = self._tickets.get(client_order_id)
        if ticket is None or not ticket.working:
            return ()
        return (ticket.cancel("asked for", time_ns), *self._end_exits(ticket, time_ns))

    def _end_exits(self, ended: Ticket, time_ns: int) -> list[ev.Event]:
        """Cancel the exits of an order that ended before it was filled."""
        if ended.working or not ended.open_lots or ended.order.is_exit:
            return []
        order_id = ended.order.client_order_id
        return [
            ticket.cancel("its order ended unfilled", time_ns)
            for ticket in self._tickets.values()
            if ticket.working
            and ticket.order.is_exit
            and ticket.order.parent_client_order_id == order_id
        ]

    def _take_from_other(self, filled: Ticket, fill: ev.OrderFilled) -> list[ev.Event]:
        """Take what an exit has filled from the other one: of both, the position is closed once."""
        order = filled.order
        told: list[ev.Event] = []
        for other in self._tickets.values():
            is_other = (
                other is not filled
                and other.working
                and other.order.is_exit
                and other.order.parent_client_order_id == order.parent_client_order_id
            )
            if not (order.is_exit and is_other):
                continue
            left = other.open_lots - fill.lots
            if left <= 0 or not filled.open_lots:
                told.append(other.cancel("the other exit was filled", fill.time_ns))
            else:
                terms = replace(terms_of(other.order, left), open_lots=left)
                told.append(other.adjust(fill.execution_id, terms, fill.time_ns))
        return told

    def on_action(self, action: CorporateAction, time_ns: int) -> Sequence[ev.Event]:
        """Adjust or cancel the open orders of an instrument for an action; once per action."""
        instrument = self._instruments.get(action.instrument_id)
        if instrument is None:
            return ()
        happened: list[ev.Event] = []
        for order_id in self.working_order_ids():
            ticket = self._tickets[order_id]
            if not ticket.working:
                continue  # it ended with its order
            met = ticket.order.instrument_id == action.instrument_id
            if not met or action.action_id in ticket.action_ids:
                continue
            terms = action.order_terms(ticket.order, ticket.open_lots, instrument)
            if terms is None:
                happened.append(ticket.cancel(action.action_id, time_ns))
                happened.extend(self._end_exits(ticket, time_ns))
            elif terms != terms_of(ticket.order, ticket.open_lots):
                happened.append(ticket.adjust(action.action_id, terms, time_ns))
        return tuple(happened)

    def take_in(self, change: ev.HoldingChanged) -> None:
        """Know what an action did to the account's position."""
        for instrument_id, lots in (
            (change.instrument_id, change.lots_change),
            (change.to_instrument_id, change.to_lots),
        ):
            self._lots[instrument_id] = self._lots.get(instrument_id, 0) + lots

    def on_bars(self, bars: Iterable[Bar], time_ns: int) -> Sequence[ev.Event]:
        """Fill working orders from the bars; return what happened.

        Orders are worked by `bar_rank` and then as they came, and share each bar's volume. A bar
        that was seen before, or that closed before an order came, does nothing to it.
        """
        latest = {bar.instrument_id: bar for bar in bars}
        taken: dict[str, int] = {}
        happened: list[ev.Event] = []
        working = [t for t in self._tickets.values() if t.working]
        # The tickets stand as they came, and sorting keeps that.
        for ticket in sorted(working, key=lambda t: bar_rank(t.order)):
            bar = latest.get(ticket.order.instrument_id)
            if not ticket.working or self._asleep(ticket):
                continue  # the other exit was filled by this bar, or its order waits still
            since_ns = max(ticket.received_ns, ticket.last_bar_ns, self._awake_since_ns(ticket))
            if bar is not None and bar.time_ns > since_ns:
                happened.extend(self._meet(ticket, bar, taken))
            if ticket.working and self._is_over_age(ticket, time_ns):
                happened.append(ticket.expire(time_ns))
            happened.extend(self._end_exits(ticket, time_ns))
        return tuple(happened)

    def forget(self, decision_ids: Collection[str]) -> list[str]:
        """Forget the orders of decisions, if none of them works; return which.

        What is forgotten is as if it had never come: nobody may send it again.
        """
        gone = set(decision_ids)
        gone -= {t.order.decision_id for t in self._tickets.values() if t.working}
        ids = [i for i, t in self._tickets.items() if t.order.decision_id in gone]
        for order_id in ids:
            del self._tickets[order_id]
        return ids

    def working_order_ids(self) -> tuple[str, ...]:
        return tuple(sorted(i for i, t in self._tickets.items() if t.working))

    def _open(self, order: Order, answer: ev.OrderEvent) -> None:
        latency = self._fills.latency
        self._tickets[order.client_order_id] = Ticket(
            order,
            latency.arrival_ns(answer.time_ns),
            latency.bars,
            [answer],
            order.quantity_lots,
            working=isinstance(answer, ev.OrderAccepted),
        )

    def _remember(self, event: ev.OrderEvent) -> None:
        """Take in what this broker said before it was restarted."""
        ticket = self._tickets.get(event.client_order_id)
        if ticket is None or event in ticket.events:
            return
        if isinstance(event, ev.OrderFilled):
            told = {e.execution_id for e in ticket.events if isinstance(e, ev.OrderFilled)}
            if event.execution_id in told:
                return
            self._count(ticket, event)
        elif isinstance(event, ev.OrderHeld):
            ticket.bars_to_wait, ticket.last_bar_ns = event.bars_left, event.time_ns
        elif isinstance(event, ev.OrderTriggered):
            ticket.is_triggered, ticket.last_bar_ns = True, event.time_ns
        elif isinstance(event, ev.OrderAdjusted):
            ticket.take_terms(event)
        elif isinstance(event, ev.OrderCancelled | ev.OrderExpired):
            ticket.working = False
        else:
            return  # our own acts: the broker never heard of them
        ticket.events.append(event)

    def _count(self, ticket: Ticket, fill: ev.OrderFilled) -> None:
        value = abs(fill.lots * fill.price_ticks * fill.lot_tick_minor)
        signed = fill.side.sign * fill.lots
        self._lots[fill.instrument_id] = self._lots.get(fill.instrument_id, 0) + signed
        month = _month(fill.time_ns)
        traded = self._month_quantities.get(month, Decimal(0))
        if ticket.fill_count == 0:
            ticket.month_quantity = traded
        instrument = self._instruments.get(fill.instrument_id)
        if instrument is not None:
            self._month_quantities[month] = traded + instrument.lots_to_quantity(fill.lots)
        ticket.open_lots -= fill.lots
        ticket.fill_count += 1
        ticket.value_minor += value
        ticket.maker_value_minor += value if fill.is_maker else 0
        ticket.commission_minor += fill.commission_minor or 0
        ticket.last_bar_ns = fill.time_ns
        ticket.working = ticket.working and ticket.open_lots > 0

    def _meet(self, ticket: Ticket, bar: Bar, taken: dict[str, int]) -> list[ev.Event]:
        """Return what a bar does to an order: nothing yet, a trigger, a fill, its end."""
        ticket.last_bar_ns = bar.time_ns
        if ticket.bars_to_wait:
            ticket.bars_to_wait -= 1
            return [ticket.hold(bar.time_ns)]
        order, received_ns, cutoffs = ticket.order, ticket.received_ns, self._fills.cutoffs
        if misses_cutoff(order, received_ns, bar, cutoffs.of(self._instruments[bar.instrument_id])):
            return [ticket.expire(bar.time_ns)] if cutoffs.late_expires else []
        if waits_for_auction(order, received_ns, bar):
            return []
        happened, was_triggered = list[ev.Event](), ticket.is_triggered
        if not was_triggered and find_trigger_ticks(order, received_ns, bar) is not None:
            happened.append(ticket.trigger(bar.time_ns))
        fill = fill_of(
            order,
            ticket.open_lots,
            received_ns,
            bar,
            self._fills,
            is_triggered=was_triggered,
            taken_lots=taken.get(order.instrument_id, 0),
        )
        if fill is not None:
            taken[order.instrument_id] = taken.get(order.instrument_id, 0) + fill.lots
            charge = self._commission_minor(ticket, fill, bar.time_ns)
            filled = ticket.fill(fill, self._instruments[order.instrument_id], charge, bar.time_ns)
            self._count(ticket, filled)
            happened.append(filled)
            happened.extend(self._take_from_other(ticket, filled))
        if ticket.working and is_over(order, bar, self._fills):
            happened.append(ticket.expire(bar.time_ns))
        return happened

    def end_session(self, instrument_ids: Collection[str], time_ns: int) -> Sequence[ev.Event]:
        """End the day orders of instruments whose session ended without a bar; tell of them."""
        happened: list[ev.Event] = []
        for ticket in self._tickets.values():
            order = ticket.order
            if (
                ticket.working
                and order.instrument_id in instrument_ids
                and ends_with_session(order, self._fills)
                and not ticket.bars_to_wait
                and ticket.received_ns < time_ns
                and not self._asleep(ticket)
            ):
                happened.append(ticket.expire(time_ns))
                happened.extend(self._end_exits(ticket, time_ns))
        return tuple(happened)

    def _commission_minor(self, ticket: Ticket, fill: Fill, time_ns: int) -> int:
        """Return what the fill adds to what its order has cost so far."""
        instrument = self._instruments[ticket.order.instrument_id]
        lots = ticket.order.quantity_lots - ticket.open_lots + fill.lots
        value = abs(instrument.value_minor(fill.lots, fill.price_ticks))
        month = ticket.month_quantity
        if ticket.fill_count == 0:
            month = self._month_quantities.get(_month(time_ns), Decimal(0))
        facts = OrderFacts(
            month_quantity=month,
            maker_value_minor=ticket.maker_value_minor + (value if fill.is_maker else 0),
        )
        total = self._commission.order_commission_minor(
            instrument, lots, ticket.value_minor + value, facts
        )
        return total - ticket.commission_minor

    def _is_over_age(self, ticket: Ticket, time_ns: int) -> bool:
        age_s = (time_ns - ticket.received_ns) / _NS_PER_S
        is_day = ticket.order.time_in_force is not TimeInForce.GOOD_TILL_CANCELLED
        return is_day and age_s > self._fills.day_order_age_s_max


def _month(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // _NS_PER_S, UTC).strftime("%Y-%m")
