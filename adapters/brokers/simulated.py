"""A broker that fills orders from bars: deterministic, and rebuilt from the log after a restart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from swarm_core import events as ev
from swarm_core.commissions import BpsCommission, CommissionModel
from swarm_core.fills import Fill, FillSettings, fill_of
from swarm_core.instruments import Instrument
from swarm_core.market import Bar
from swarm_core.orders import Order, OrderKind, TimeInForce

_NS_PER_S = 10**9


@dataclass(slots=True)
class _Ticket:
    """One order as the broker holds it; `value_minor` is the absolute value filled so far."""

    order: Order
    received_ns: int
    events: list[ev.Event] = field(default_factory=list[ev.Event])
    open_lots: int = 0
    fill_count: int = 0
    value_minor: int = 0
    commission_minor: int = 0
    last_bar_ns: int = 0
    working: bool = True


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
    ) -> None:
        self._instruments = dict(instruments)
        self._fills = fills or FillSettings()
        self._commission: CommissionModel = commission or BpsCommission()
        self._tickets: dict[str, _Ticket] = {}

    def with_events(self, events: Iterable[ev.Event | ev.RecordedEvent]) -> "SimulatedBroker":
        """Return a broker that has the orders which the log says that it had accepted."""
        broker = SimulatedBroker(self._instruments, fills=self._fills, commission=self._commission)
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
        return broker

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]:
        """Accept or reject an order; return what is known of it where it came before."""
        known = self._tickets.get(order.client_order_id)
        if known is not None:
            return tuple(known.events)
        order_id = order.client_order_id
        answer: ev.OrderEvent
        if order.instrument_id in self._instruments:
            answer = ev.OrderAccepted(
                event_id=ev.make_event_id("OrderAccepted", order_id),
                time_ns=time_ns,
                correlation_id=order.decision_id,
                client_order_id=order_id,
                broker_order_id="S" + order_id[1:],
            )
        else:
            answer = ev.OrderRejected(
                event_id=ev.make_event_id("OrderRejected", order_id),
                time_ns=time_ns,
                correlation_id=order.decision_id,
                client_order_id=order_id,
                reason=f"no contract is known for {order.instrument_id}",
            )
        self._open(order, answer)
        return (answer,)

    def find(self, client_order_id: str) -> Sequence[ev.Event] | None:
        """Return everything that happened to an order, or None where it never came."""
        ticket = self._tickets.get(client_order_id)
        return None if ticket is None else tuple(ticket.events)

    def cancel(self, client_order_id: str, time_ns: int) -> Sequence[ev.Event]:
        """Cancel what is open of an order; nothing happens where nothing is."""
        ticket = self._tickets.get(client_order_id)
        if ticket is None or not ticket.working:
            return ()
        cancelled = ev.OrderCancelled(
            event_id=ev.make_event_id("OrderCancelled", client_order_id),
            time_ns=time_ns,
            correlation_id=ticket.order.decision_id,
            client_order_id=client_order_id,
            reason="asked for",
        )
        ticket.events.append(cancelled)
        ticket.working = False
        return (cancelled,)

    def on_bars(self, bars: Iterable[Bar], time_ns: int) -> Sequence[ev.Event]:
        """Fill working orders from the bars, in the order of their ids; return what happened.

        A bar that was seen before, or that closed before an order came, does nothing to it.
        """
        latest = {bar.instrument_id: bar for bar in bars}
        happened: list[ev.Event] = []
        for order_id in sorted(i for i, t in self._tickets.items() if t.working):
            ticket = self._tickets[order_id]
            bar = latest.get(ticket.order.instrument_id)
            if bar is not None and bar.time_ns > max(ticket.received_ns, ticket.last_bar_ns):
                happened.extend(self._trade(ticket, bar))
            if ticket.working and self._is_over_age(ticket, time_ns):
                happened.append(self._expire(ticket, time_ns))
        return tuple(happened)

    def working_order_ids(self) -> tuple[str, ...]:
        return tuple(sorted(i for i, t in self._tickets.items() if t.working))

    def _open(self, order: Order, answer: ev.OrderEvent) -> None:
        working = isinstance(answer, ev.OrderAccepted)
        self._tickets[order.client_order_id] = _Ticket(
            order, answer.time_ns, [answer], order.quantity_lots, working=working
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
        elif isinstance(event, ev.OrderCancelled | ev.OrderExpired):
            ticket.working = False
        else:
            return  # our own acts: the broker never heard of them
        ticket.events.append(event)

    def _count(self, ticket: _Ticket, fill: ev.OrderFilled) -> None:
        ticket.open_lots -= fill.lots
        ticket.fill_count += 1
        ticket.value_minor += abs(fill.lots * fill.price_ticks * fill.lot_tick_minor)
        ticket.commission_minor += fill.commission_minor or 0
        ticket.last_bar_ns = fill.time_ns
        ticket.working = ticket.working and ticket.open_lots > 0

    def _trade(self, ticket: _Ticket, bar: Bar) -> list[ev.Event]:
        order = ticket.order
        fill = fill_of(order, ticket.open_lots, ticket.received_ns, bar, self._fills)
        happened: list[ev.Event] = []
        if fill is not None:
            filled = self._filled(ticket, fill, bar.time_ns)
            self._count(ticket, filled)
            ticket.events.append(filled)
            happened.append(filled)
        ticket.last_bar_ns = bar.time_ns
        one_bar = (
            order.time_in_force is TimeInForce.IMMEDIATE_OR_CANCEL
            or order.kind in (OrderKind.MARKET_ON_OPEN, OrderKind.LIMIT_ON_OPEN)
            or (order.time_in_force is TimeInForce.DAY and self._fills.day_order_is_one_bar)
        )
        if ticket.working and one_bar:
            happened.append(self._expire(ticket, bar.time_ns))
        return happened

    def _filled(self, ticket: _Ticket, fill: Fill, time_ns: int) -> ev.OrderFilled:
        order = ticket.order
        instrument = self._instruments[order.instrument_id]
        lots = order.quantity_lots - ticket.open_lots + fill.lots
        value = ticket.value_minor + abs(instrument.value_minor(fill.lots, fill.price_ticks))
        total = self._commission.order_commission_minor(instrument, lots, value)
        execution_id = f"{order.client_order_id}-{ticket.fill_count + 1}"
        return ev.OrderFilled(
            event_id=ev.make_event_id("OrderFilled", execution_id),
            time_ns=time_ns,
            causation_id=ev.make_event_id("OrderAccepted", order.client_order_id),
            correlation_id=order.decision_id,
            client_order_id=order.client_order_id,
            execution_id=execution_id,
            instrument_id=order.instrument_id,
            side=order.side,
            lots=fill.lots,
            price_ticks=fill.price_ticks,
            lot_tick_minor=instrument.lot_tick_minor,
            currency=instrument.currency,
            commission_minor=total - ticket.commission_minor,
        )

    def _is_over_age(self, ticket: _Ticket, time_ns: int) -> bool:
        age_s = (time_ns - ticket.received_ns) / _NS_PER_S
        is_day = ticket.order.time_in_force is not TimeInForce.GOOD_TILL_CANCELLED
        return is_day and age_s > self._fills.day_order_age_s_max

    def _expire(self, ticket: _Ticket, time_ns: int) -> ev.OrderExpired:
        order_id = ticket.order.client_order_id
        expired = ev.OrderExpired(
            event_id=ev.make_event_id("OrderExpired", order_id),
            time_ns=time_ns,
            correlation_id=ticket.order.decision_id,
            client_order_id=order_id,
            unfilled_lots=ticket.open_lots,
        )
        ticket.events.append(expired)
        ticket.working = False
        return expired
