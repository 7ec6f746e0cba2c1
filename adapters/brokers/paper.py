"""The simulated venue as a live broker: it fills from the feed's bars, and shows an account."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

from adapters.brokers.simulated import SimulatedBroker
from swarm_core import events as ev
from swarm_core.actions.action import CorporateAction
from swarm_core.book import Book
from swarm_core.market import Bar
from swarm_core.order_states import OrderState
from swarm_core.orders import Order
from swarm_core.reconciliation import BrokerAccount, BrokerOrder

_MONEY = (
    ev.OrderFilled,
    ev.CommissionCharged,
    ev.CashMoved,
    ev.HoldingChanged,
    ev.EntitlementAccrued,
    ev.EntitlementPaid,
    ev.CarryCharged,
    ev.VariationSettled,
    ev.CurrencyConverted,
)
_ENDINGS: dict[type[ev.Event], OrderState] = {
    ev.OrderCancelled: OrderState.CANCELLED,
    ev.OrderExpired: OrderState.EXPIRED,
    ev.OrderRejected: OrderState.REJECTED,
}


class PaperBroker:
    """Trades on paper: orders rest here and are filled by the bars that `on_bar` is shown.

    Its memory is the log's: a broker that is opened again stands where the log says. What it
    accepted and nobody wrote down is gone with its process, as if it had never arrived.
    """

    def __init__(
        self,
        venue: SimulatedBroker,
        events: Iterable[ev.RecordedEvent],
        *,
        base_currency: str,
        starting_cash_minor: int,
        now_ns: Callable[[], int],
    ) -> None:
        past = tuple(events)
        self.venue = venue.with_events(past)
        self._now_ns = now_ns
        self._unheard: deque[ev.Event] = deque()
        self._told: dict[str, Order] = {}
        self._acted: dict[str, Sequence[ev.Event]] = {}  # by action: what it did to orders
        self._changes: set[str] = set()  # changes of holdings that the venue knows
        # The account is what the log holds of money and lots, and then what the venue fills.
        self._books = Book(base_currency, starting_cash_minor)
        for recorded in past:
            event = recorded.event
            if isinstance(event, ev.OrderIntended):
                self._told[event.order.client_order_id] = event.order
            elif isinstance(event, _MONEY):
                self._books.apply(event)
            elif isinstance(event, ev.DecisionsRetired):
                self._let_go(event.decision_ids)

    connection_count = 1
    readings_asked = 0
    is_connected = True
    is_thread_safe = False  # and nothing fills while a call waits: bars come by another one

    def open(self) -> None:
        """Nothing is to be reached: the venue is in this process."""

    def close(self) -> None:
        """Nothing is left open."""

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]:
        self._told[order.client_order_id] = order
        return self.venue.submit(order, time_ns)

    def submit_together(self, orders: Sequence[Order], time_ns: int) -> Sequence[ev.Event]:
        self._told |= {order.client_order_id: order for order in orders}
        return self.venue.submit_together(orders, time_ns)

    def find(self, client_order_id: str) -> Sequence[ev.Event] | None:
        return self.venue.find(client_order_id)

    def cancel(self, client_order_id: str, time_ns: int) -> Sequence[ev.Event]:
        return self.venue.cancel(client_order_id, time_ns)

    def cancel_everything(self) -> None:
        for order_id in self.venue.working_order_ids():
            self._unheard.extend(self.venue.cancel(order_id, self._now_ns()))

    def on_bar(self, bar: Bar) -> None:
        """Fill what the bar fills; it is told by the next `heard`."""
        self._unheard.extend(self.venue.on_bars([bar], bar.time_ns))

    def end_session(self, instrument_ids: Collection[str], time_ns: int) -> None:
        """End the day orders whose session is over; it is told by the next `heard`."""
        self._unheard.extend(self.venue.end_session(instrument_ids, time_ns))

    def on_action(self, action: CorporateAction, time_ns: int) -> Sequence[ev.Event]:
        """Adjust or cancel the orders that an action meets; told again, it says the same again."""
        if action.action_id not in self._acted:
            self._acted[action.action_id] = self.venue.on_action(action, time_ns)
        return self._acted[action.action_id]

    def take_in(self, change: ev.HoldingChanged) -> None:
        """Let the venue know what an action did to the account's position, once."""
        if change.event_id not in self._changes:
            self._changes.add(change.event_id)
            self.venue.take_in(change)

    def forget(self, decision_ids: Collection[str]) -> None:
        """Forget the orders and fills of decisions; their sums stay in the account."""
        self._take_fills()
        self.venue.forget(decision_ids)
        self._let_go(decision_ids)

    def _let_go(self, decision_ids: Collection[str]) -> None:
        """Drop what the venue has forgotten already."""
        gone = set(decision_ids)
        ids = {i for i, order in self._told.items() if order.decision_id in gone}
        ids = {i for i in ids if self.venue.find(i) is None}
        for order_id in ids:
            del self._told[order_id]
        executions = self._books.ledger.executions
        self._books.ledger.retire(
            [i for i, fill in executions.items() if fill.client_order_id in ids]
        )

    def book_night(self, events: Sequence[ev.Event]) -> None:
        """Take into the account what stands in the log of a night; fills before it come first."""
        self._take_fills()
        for event in events:
            if isinstance(event, _MONEY):
                self._books.apply(event)

    def heard(self) -> Sequence[ev.Event]:
        said = tuple(self._unheard)
        self._unheard.clear()
        return said

    def account(self) -> BrokerAccount:
        """Return the account: the sum of all that the venue has said."""
        fills, orders = self._take_fills(), list[BrokerOrder]()
        for order_id, order in self._told.items():
            story = self.venue.find(order_id)
            if story is not None:
                filled = sum(e.lots for e in story if isinstance(e, ev.OrderFilled))
                orders.append(_shown(order, story, filled))
        ledger = self._books.ledger
        return BrokerAccount(
            time_ns=self._now_ns(),
            orders=tuple(orders),
            fills=fills,
            position_lots={i: p.lots for i, p in ledger.positions.items()},
            cash_minor=dict(ledger.cash),
        )

    def _take_fills(self) -> tuple[ev.OrderFilled, ...]:
        stories = [self.venue.find(order_id) or () for order_id in self._told]
        fills = tuple(e for story in stories for e in story if isinstance(e, ev.OrderFilled))
        for fill in fills:
            self._books.ledger.book_fill(fill)
        return fills


def _shown(order: Order, story: Sequence[ev.Event], filled_lots: int) -> BrokerOrder:
    """Return the order as an account shows it."""
    order_id = order.client_order_id
    accepted = [e.broker_order_id for e in story if isinstance(e, ev.OrderAccepted)]
    ended = [_ENDINGS[type(event)] for event in story if type(event) in _ENDINGS]
    whole = [e.quantity_lots for e in story if isinstance(e, ev.OrderAdjusted)]
    if filled_lots >= (whole or [order.quantity_lots])[-1]:
        ended = [OrderState.FILLED]
    return BrokerOrder(
        broker_order_id=accepted[0] if accepted else "",
        client_order_id=order_id,
        instrument_id=order.instrument_id,
        ending=ended[0] if ended else None,
    )
