"""The broker's side of a simulated session: what is true, whatever the trader has heard of it."""

from collections import Counter
from collections.abc import Callable, Container
from dataclasses import replace
from random import Random

from swarm_core import events as ev
from swarm_core.broker_account import BrokerAccount, BrokerOrder
from swarm_core.order_changes import modified, refused
from swarm_core.order_states import OrderState
from swarm_core.orders import Order, OrderSide, TimeInForce
from swarm_core.working_terms import WorkingTerms
from tests.simulation.faults import Faults
from tests.simulation.tickets import Ticket
from tests.swarm_core.builders import CASH, INSTRUMENTS

_S = 10**9


class Venue:
    """Orders, executions, cash and positions, counted here without any code of the trader."""

    def __init__(self, random: Random, faults: Faults, fills_reach_back_ns: int) -> None:
        self.random, self.faults = random, faults
        self._reach_ns = fills_reach_back_ns
        self.receipts: Counter[str] = Counter()
        self.tickets: list[Ticket] = []
        self.fills: dict[str, ev.OrderFilled] = {}
        self.taken_back: dict[str, ev.OrderFilled] = {}
        self.corrections: list[ev.ExecutionCorrected] = []
        self.commissions: dict[str, ev.CommissionCharged] = {}
        self.charges_due: list[tuple[int, ev.CommissionCharged]] = []
        self.cash_minor = int(CASH) * 10**8
        self.lots: Counter[str] = Counter()
        self.prices = dict.fromkeys(INSTRUMENTS, 10_000)
        self.outbox: list[tuple[int, ev.Event]] = []
        self.next_order_id = 1
        self.booked: Callable[[], Container[str]] = tuple  # the executions that stand in the log
        self.recalled: set[str] = set()  # what cannot be borrowed any more
        self.has_changed: set[str] = set()  # what an action of the night was of
        self.owed_minor = 0  # a dividend that has gone ex and is not paid
        self.grown: dict[str, int] = {}  # execution -> what splits since made of a lot of it
        self.connection_count, self.readings_asked, self.down_until_ns = 1, 0, 0
        self.is_open = False
        self.skew_ns = random.randint(-5, 5) * _S if faults.happens("broker_clock_skewed") else 0

    def find(self, client_order_id: str) -> Ticket | None:
        return next((t for t in self.tickets if t.client_order_id == client_order_id), None)

    def tell(self, event: ev.Event, now_ns: int) -> None:
        """Put a message on its way; some take long."""
        late = self.random.randint(1, 40) * _S if self.faults.happens("told_late") else 0
        self.outbox.append((now_ns + late, event))

    def receive(
        self, order: Order, now_ns: int, *, last: bool = True, bound: bool = False
    ) -> ev.Event:
        """Take an order, whatever else there is of it: a venue does not know an order again.

        What is not the `last` of those that belong together waits for the others. Exits that are
        `bound` came with their order, and stand only with it.
        """
        order_id = order.client_order_id
        self.receipts[order_id] += 1
        ticket = Ticket(
            order_id,
            str(self.next_order_id),  # rolled back every night, so that ids come again
            order.instrument_id,
            order.side,
            order.quantity_lots,
            order.time_in_force is TimeInForce.DAY,
            now_ns,
            parent_id=order.parent_client_order_id if order.is_exit else "",
            held=not last,
            prices=(order.limit_price_ticks, order.stop_price_ticks),
        )
        self.next_order_id += 1
        self.tickets.append(ticket)
        if last:
            self._release(ticket)
        if self.faults.happens("reject") or self._is_orphan(ticket, bound) or self._lacks(ticket):
            return self._end(ticket, OrderState.REJECTED, now_ns)
        answer = ev.OrderAccepted(
            event_id=ev.make_event_id("OrderAccepted", order_id),
            time_ns=now_ns + self.skew_ns,
            correlation_id=order.decision_id,
            client_order_id=order_id,
            broker_order_id=ticket.broker_order_id,
        )
        ticket.story.append(answer)
        return answer

    def _lacks(self, ticket: Ticket) -> bool:
        """Whether it would sell what is not held and cannot be borrowed."""
        is_gone = ticket.instrument_id in self.recalled and ticket.side is OrderSide.SELL
        return is_gone and self.lots[ticket.instrument_id] < ticket.open_lots

    def _is_orphan(self, ticket: Ticket, bound: bool) -> bool:
        """Whether it is an exit of nothing: its order ended, and nothing is held."""
        parent = self.find(ticket.parent_id) if ticket.parent_id else None
        if not ticket.parent_id or (parent is not None and parent.ending is None):
            return False
        return bound or -ticket.side.sign * self.lots[ticket.instrument_id] <= 0

    def _release(self, last: Ticket) -> None:
        """All that belong together have come: none of them waits for another any more."""
        family = last.parent_id or last.client_order_id
        for ticket in self.tickets:
            if family in (ticket.parent_id, ticket.client_order_id):
                ticket.held = False

    def works(self, ticket: Ticket) -> bool:
        """Whether it may be filled: an exit sleeps while its order works."""
        parent = self.find(ticket.parent_id) if ticket.parent_id else None
        asleep = parent is not None and parent.ending is None
        return ticket.ending is None and not ticket.held and not asleep

    def place_by_hand(self, now_ns: int) -> None:
        """Somebody buys a little in the broker's own window: no client id, order id 0."""
        # Where an action is booked late, what was done by hand meanwhile is for a person to settle.
        names = [i for i in INSTRUMENTS if i not in self.has_changed]
        instrument_id = self.random.choice(names)
        side = self.random.choice((OrderSide.BUY, OrderSide.SELL))
        ticket = Ticket("", "0", instrument_id, side, self.random.randint(1, 20), True, now_ns)
        self.tickets.append(ticket)

    def recall_shares(self, now_ns: int) -> None:
        """Who lent shares wants them back: a short position is bought in, at once and in part."""
        shorts = [i for i, n in self.lots.items() if n < 0 and i not in self.has_changed]
        if not shorts:
            self.faults.happened["shares_recalled"] -= 1
            return
        instrument_id = self.faults.apart.choice(shorts)
        lots = self.faults.apart.randint(1, -self.lots[instrument_id])
        ticket = Ticket("", "0", instrument_id, OrderSide.BUY, lots, True, now_ns)
        self.tickets.append(ticket)
        self.recalled.add(instrument_id)
        self.fill(ticket, now_ns, lots)

    def modify(self, ticket: Ticket, terms: WorkingTerms, number: int, now_ns: int) -> ev.Event:
        """Let an order work for another quantity, if it works and has not filled as much."""
        order_id, time_ns = ticket.client_order_id, now_ns + self.skew_ns
        more = terms.quantity_lots - ticket.filled_lots - ticket.open_lots
        if ticket.ending is not None or ticket.open_lots + more <= 0:
            return refused(order_id, number, "too late", time_ns)
        if self.faults.happens("change_refused"):
            return refused(order_id, number, "the venue says no", time_ns)
        ticket.open_lots += more
        return modified(order_id, terms, number, time_ns)

    def terms(self, ticket: Ticket) -> WorkingTerms | None:
        if ticket.ending is not None:
            return None
        return WorkingTerms(ticket.filled_lots + ticket.open_lots, *ticket.prices)

    def move(self, now_ns: int) -> None:
        """Let the market trade once: prices move, orders are filled, commissions fall due."""
        self.is_open = True
        for instrument_id in self.prices:
            step = self.random.randint(-20, 20)
            self.prices[instrument_id] = max(100, self.prices[instrument_id] + step)
        if self.faults.happens("manual_order"):
            self.place_by_hand(now_ns)
        if any(n < 0 for n in self.lots.values()) and self.faults.happens("shares_recalled"):
            self.recall_shares(now_ns)
        self._fill_what_has_ended(now_ns)
        for ticket in [t for t in self.tickets if self.works(t)]:
            # The other exit may have been filled meanwhile.
            if self.random.random() < 0.5 and self.works(ticket):
                lots = self.random.randint(1, ticket.open_lots)
                # Where orders are changed they work for longer.
                is_slow = bool(self.faults.rates.get("person_changes"))
                self.fill(ticket, now_ns, -(-lots // 4) if is_slow else lots)
        for item in [c for c in self.charges_due if c[0] <= now_ns]:
            self.charges_due.remove(item)
            self._charge(item[1])
            self.tell(item[1], now_ns)

    def _fill_what_has_ended(self, now_ns: int) -> None:
        """Find out that an order was filled before it ended, when it may have been forgotten."""
        ended = (OrderState.CANCELLED, OrderState.EXPIRED)
        late = [
            t
            for t in self.tickets
            if t.client_order_id and not t.parent_id and t.ending in ended and t.open_lots
            if now_ns - t.ended_ns > 120 * _S and t.instrument_id not in self.has_changed
        ]
        if late and self.faults.happens("filled_after_end"):
            ticket = self.faults.apart.choice(late)
            self.fill(ticket, now_ns, self.faults.apart.randint(1, ticket.open_lots))

    def fill(self, ticket: Ticket, now_ns: int, lots: int) -> None:
        ticket.fills += 1
        name = ticket.client_order_id or f"hand{self.tickets.index(ticket)}"
        execution_id = f"{name}.{ticket.fills:02d}"
        price = self.prices[ticket.instrument_id] + ticket.side.sign * self.random.randint(0, 2)
        commission = self.random.randint(0, 200_000_000)
        apart = self.faults.happens("commission_after")
        before = not apart and self.faults.happens("commission_before")
        fill = ev.OrderFilled(
            event_id=ev.make_event_id("OrderFilled", execution_id),
            time_ns=now_ns + self.skew_ns,
            client_order_id=ticket.client_order_id,
            execution_id=execution_id,
            instrument_id=ticket.instrument_id,
            side=ticket.side,
            lots=lots,
            price_ticks=price,
            lot_tick_minor=INSTRUMENTS[ticket.instrument_id].lot_tick_minor,
            currency="USD",
            commission_minor=None if apart or before else commission,
        )
        self.fills[execution_id] = fill
        self.lots[fill.instrument_id] += ticket.side.sign * lots
        self.cash_minor -= ticket.side.sign * lots * price * fill.lot_tick_minor
        charge = ev.CommissionCharged(
            event_id=ev.make_event_id("CommissionCharged", execution_id),
            time_ns=now_ns + self.skew_ns,
            execution_id=execution_id,
            currency="USD",
            commission_minor=commission,
        )
        if apart:
            self.charges_due.append((now_ns + self.random.randint(5, 120) * _S, charge))
        else:
            self._charge(charge)
        if before:
            self.tell(charge, now_ns)
        ticket.story.append(fill)
        self.tell(fill, now_ns)
        ticket.open_lots -= lots
        if not ticket.open_lots and ticket.ending is None:
            ticket.ending, ticket.ended_ns = OrderState.FILLED, now_ns
        if ticket.parent_id:
            self._take_from_other(ticket, fill, now_ns)

    def _take_from_other(self, filled: Ticket, fill: ev.OrderFilled, now_ns: int) -> None:
        """Of two exits, a position is closed once, and never turned over."""
        # What nobody had heard of when the exits were sent, no one could take into account.
        unheard = any(
            f.instrument_id == filled.instrument_id and i not in self.booked()
            for i, f in self.fills.items()
            if i != fill.execution_id
        )
        beyond = ("manual_order", "shares_recalled", "filled_after_end", "taken_back")
        foreign = any(self.faults.happened[kind] for kind in beyond)
        if not (unheard or foreign):
            held = self.lots[filled.instrument_id]
            assert held * filled.side.sign <= 0, f"{filled.client_order_id} turns a position over"
        for other in self.tickets:
            if other is filled or other.parent_id != filled.parent_id or other.ending is not None:
                continue
            other.open_lots = max(0, other.open_lots - fill.lots)
            if not other.open_lots or filled.ending is not None:
                self.tell(self._end(other, OrderState.CANCELLED, now_ns), now_ns)
                continue
            done = other.filled_lots
            adjusted = ev.OrderAdjusted(
                event_id=ev.make_event_id(
                    "OrderAdjusted", other.client_order_id, fill.execution_id
                ),
                time_ns=now_ns + self.skew_ns,
                client_order_id=other.client_order_id,
                action_id=fill.execution_id,
                quantity_lots=done + other.open_lots,
                limit_price_ticks=other.prices[0],
                stop_price_ticks=other.prices[1],
            )
            other.story.append(adjusted)
            self.tell(adjusted, now_ns)

    def _charge(self, charge: ev.CommissionCharged) -> None:
        self.commissions[charge.execution_id] = charge
        self.cash_minor -= charge.commission_minor

    def cancel(self, ticket: Ticket, now_ns: int) -> ev.Event | None:
        """Cancel what is open; sometimes the market was faster."""
        if self.is_open and self.works(ticket) and self.faults.happens("cancel_late"):
            self.fill(ticket, now_ns, ticket.open_lots)
        if ticket.ending is not None:
            return None
        return self._end(ticket, OrderState.CANCELLED, now_ns)

    def _end(self, ticket: Ticket, ending: OrderState, now_ns: int) -> ev.Event:
        ticket.ending, ticket.ended_ns = ending, now_ns
        order_id, time_ns = ticket.client_order_id, now_ns + self.skew_ns
        told: ev.OrderEvent
        if ending is OrderState.EXPIRED:
            told = ev.OrderExpired(
                event_id=ev.make_event_id("OrderExpired", order_id),
                time_ns=time_ns,
                client_order_id=order_id,
                unfilled_lots=ticket.open_lots,
            )
        else:
            kind = ev.OrderRejected if ending is OrderState.REJECTED else ev.OrderCancelled
            told = kind(
                event_id=ev.make_event_id(kind.__name__, order_id),
                time_ns=time_ns,
                client_order_id=order_id,
                reason="the venue says so",
            )
            if isinstance(told, ev.OrderCancelled):
                told = replace(told, filled_lots=ticket.filled_lots)
        ticket.story.append(told)
        for other in self.tickets:  # an order takes its exits along
            mine = ticket.client_order_id and other.parent_id == ticket.client_order_id
            if mine and other.ending is None:
                self.tell(self._end(other, OrderState.CANCELLED, now_ns), now_ns)
        return told

    def close_day(self, now_ns: int) -> None:
        """The night: day orders expire, everybody is thrown out, order ids begin again at 1."""
        self.is_open = False
        for ticket in self.tickets:
            if ticket.ending is None and ticket.is_day:
                self.tell(self._end(ticket, OrderState.EXPIRED, now_ns), now_ns)
        self.go_down(now_ns, 60, keep=self.random.random() < 0.5)
        self.next_order_id = 1

    def split(self, instrument_id: str, new: int, old: int, now_ns: int) -> int:
        """Give new lots for old, cancel what is open; return what a fraction brings in cash."""
        self.has_changed.add(instrument_id)
        held, price = self.lots[instrument_id], self.prices[instrument_id]
        sign = -1 if held < 0 else 1
        whole, rest = divmod(abs(held) * new, old)
        self.lots[instrument_id] = sign * whole
        rest_minor = sign * rest * price * INSTRUMENTS[instrument_id].lot_tick_minor // new
        self.prices[instrument_id] = max(100, price * old // new)
        for execution_id, fill in self.fills.items():
            if fill.instrument_id == instrument_id:
                self.grown[execution_id] = new
        for ticket in self.tickets:
            if ticket.instrument_id == instrument_id and ticket.ending is None:
                self.tell(self._end(ticket, OrderState.CANCELLED, now_ns), now_ns)
        return rest_minor

    def go_ex(self, instrument_id: str, lot_minor: int) -> None:
        """Owe a dividend to whoever holds now; who is short owes it."""
        self.has_changed.add(instrument_id)
        self.owed_minor += self.lots[instrument_id] * lot_minor

    def pay_dividends(self) -> None:
        self.cash_minor += self.owed_minor
        self.owed_minor = 0

    def go_down(self, now_ns: int, seconds: int, *, keep: bool) -> None:
        """Lose the connection; without `keep`, what was and will be said meanwhile is lost."""
        self.down_until_ns = max(self.down_until_ns, now_ns + seconds * _S)
        self.connection_count += 1
        if not keep:
            self.outbox = [(self.down_until_ns + 10**18, e) for _, e in self.outbox]

    def account(self, now_ns: int) -> BrokerAccount:
        horizon = now_ns - self._reach_ns
        fills = tuple(f for f in self.fills.values() if f.time_ns >= horizon)
        told = {f.execution_id for f in fills}
        return BrokerAccount(
            time_ns=now_ns,
            orders=tuple(
                BrokerOrder(
                    broker_order_id=t.broker_order_id,
                    client_order_id=t.client_order_id,
                    instrument_id=t.instrument_id,
                    # It counts as filled what was taken back: no fill of it is to come.
                    ending=OrderState.CANCELLED if t.ending and t.taken_lots else t.ending,
                )
                for t in self.tickets
                if t.ending is None or t.received_ns >= horizon
            ),
            fills=tuple(
                replace(f, commission_minor=None) if self.random.random() < 0.3 else f
                for f in fills
            ),
            corrections=tuple(self.corrections),
            commissions=tuple(
                c for i, c in self.commissions.items() if i in told or i in self.taken_back
            ),
            position_lots=dict(self.lots),
            cash_minor={"USD": self.cash_minor},
        )
