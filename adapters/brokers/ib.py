"""Interactive Brokers as a broker of the order path, over ib_async."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from ib_async import IB, AccountValue, Contract, Fill, Position, Trade
from ib_async import Order as IbOrder
from ib_async import OrderState as IbOrderState

from adapters.brokers import ib_account, ib_modify, ib_orders
from adapters.brokers.ib_bracket import link
from adapters.brokers.ib_cancel import ask_cancel, of_account
from adapters.brokers.ib_contract_cache import ContractCache
from adapters.brokers.ib_contracts import (
    NO_CONTRACT,
    ContractBook,
    ContractTerms,
    asking,
    last_day,
)
from adapters.brokers.ib_margin import MarginImpact, margin_impact
from adapters.brokers.ib_session import IbSession, IbSettings
from adapters.brokers.ib_told import Told, is_ours, read_told
from swarm_core import events as ev
from swarm_core.brackets import check_bracket
from swarm_core.broker_account import ToldRate
from swarm_core.instruments import Instrument
from swarm_core.order_states import OrderState
from swarm_core.orders import Order
from swarm_core.reconciliation import BrokerAccount, BrokerOrder
from swarm_core.working_terms import WorkingTerms

T = TypeVar("T")
_ACCOUNT_TRIES, _WORDS_KEPT = 5, 20_000  # words of about 10 MB


class IbBroker:
    """Sends orders and tells what became of them; each order goes by our own id as reference.

    Every method may be called from any thread, and raises OSError where the gateway does not
    answer: then nobody knows whether it has heard.
    """

    is_thread_safe = True

    def __init__(
        self,
        settings: IbSettings,
        instruments: Mapping[str, Instrument],
        *,
        now_ns: Callable[[], int],
        terms: Mapping[str, ContractTerms] | None = None,
        cache: ContractCache | None = None,
        make_client: Callable[[], IB] = IB,
    ) -> None:
        self.contracts = ContractBook(instruments, terms, cache)
        self.session = IbSession(settings, make_client=make_client, on_client=self._listen)
        self._now_ns = now_ns
        self._sent: dict[str, Trade] = {}
        self._sizes: dict[str, float] = {}  # how large each was sent, or is known to be since
        self._heard: deque[ev.Event] = deque()
        self._rates: dict[str, ToldRate] = {}  # the client keeps a value, however old it is
        self._first_told: dict[str, ev.Event] = {}  # a fact keeps the words it was first told in

    def open(self) -> None:
        """Connect; raises ConnectionError, or ValueError on an account not to be traded."""
        self.session.open()

    def close(self) -> None:
        self.session.close()

    @property
    def is_connected(self) -> bool:
        return self.session.is_connected

    @property
    def refusal(self) -> str:
        return self.session.refusal

    @property
    def connection_count(self) -> int:
        return self.session.connection_count

    @property
    def readings_asked(self) -> int:
        return self.session.readings_asked

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]:
        """Send an order and wait for the first word; what was sent before is looked up instead."""
        if order.client_order_id in self._sent:
            return self.find(order.client_order_id) or ()
        return self.session.call(self._submit([order], time_ns))

    async def _prepared(self, client: IB, order: Order) -> tuple[Contract, IbOrder]:
        """Return contract and order as they are sent; ValueError where no one contract answers."""
        asked = self.contracts.qualify(order.instrument_id, asking(client))
        contract = await self._in_time(asked)
        instrument = self.contracts.instruments[order.instrument_id]
        return contract, ib_orders.ib_order(order, instrument, self.session.account)

    def submit_together(self, orders: Sequence[Order], time_ns: int) -> Sequence[ev.Event]:
        """Send an order with its exits, or two exits; nothing works before all have come.

        What was sent before is looked up instead, as with a single order.
        """
        check_bracket(orders)
        known = [o for o in orders if o.client_order_id in self._sent]
        if known:
            return [e for o in known for e in self.find(o.client_order_id) or ()]
        return self.session.call(self._submit(orders, time_ns))

    async def _submit(self, orders: Sequence[Order], time_ns: int) -> Sequence[ev.Event]:
        client = self.session.client
        try:
            prepared = [await self._prepared(client, order) for order in orders]
        except ValueError as error:
            return [self._once(ib_orders.unlisted(order, str(error), time_ns)) for order in orders]
        sent = [ib for _, ib in prepared]
        if any(order.is_exit for order in orders):
            for ib in sent:  # what belongs together must know each other's ids
                ib.orderId = client.client.getReqId()
            head = orders[0]
            parent_id = await self._parent_id(client, head) if head.is_exit else sent[0].orderId
            link(orders, sent, parent_id)
        trades = [client.placeOrder(contract, ib) for contract, ib in prepared]
        self._sent |= {t.order.orderRef: t for t in trades}
        self._sizes |= {ib.orderRef: float(ib.totalQuantity) for ib in sent}
        for trade in trades:
            await self._in_time(self._first_word(client, trade))
        return [event for trade in trades for event in self._story(trade)]

    async def _parent_id(self, client: IB, exit_order: Order) -> int:
        """Return the id of the order of an exit, 0 where it does not work (any more)."""
        opened = await self.session.ask(client.reqAllOpenOrdersAsync)
        return next(
            (
                t.order.orderId
                for t in opened
                if t.order.orderRef == exit_order.parent_client_order_id
                and ib_orders.ending_of(t) is None
            ),
            0,
        )

    def what_if(self, order: Order) -> MarginImpact:
        """Return what an order would do to the account; it is not sent.

        Raises ValueError where the broker would not take it, OSError where it does not say.
        """
        return self.session.call(self._what_if(order))

    async def _what_if(self, order: Order) -> MarginImpact:
        client, heard = self.session.client, list[str]()
        contract, sent = await self._prepared(client, order)

        def note(_: int, code: int, text: str, __: object) -> None:
            heard.append(f"{code}: {text}")

        client.errorEvent += note
        try:
            state: Any = await self._in_time(client.whatIfOrderAsync(contract, sent))
        finally:
            client.errorEvent -= note
        if isinstance(state, IbOrderState):
            return margin_impact(state)
        raise ValueError(f"the broker must take {order.client_order_id}, would not: {heard}")

    async def _first_word(self, client: IB, trade: Trade) -> None:
        """Wait until the broker has named an order or ended it; the caller bounds the time."""
        heard = asyncio.Event()

        def note(*_: object) -> None:
            heard.set()

        told_by = (client.openOrderEvent, client.orderStatusEvent, client.errorEvent)
        for event in (*told_by, client.disconnectedEvent):
            event += note
        try:
            while not (
                trade.orderStatus.permId or trade.order.permId or ib_orders.ending_of(trade)
            ):
                if not client.isConnected():
                    raise ConnectionResetError("the connection broke before the order was answered")
                heard.clear()
                await heard.wait()
        finally:
            for event in (*told_by, client.disconnectedEvent):
                event -= note

    def find(self, client_order_id: str) -> Sequence[ev.Event] | None:
        """Return all that the gateway knows of an order; None only where all was read to its end.

        Raises OSError where open orders, completed orders or executions could not all be read, and
        where an order is shown nowhere that went over a connection which stands: it has arrived.
        """
        told = self.session.call(self._read())
        trades = [t for t in told.trades if t.order.orderRef == client_order_id]
        fills = [f for f in told.fills if told.reference(f) == client_order_id]
        if not trades and not fills:
            placed = self._sent.get(client_order_id)
            if placed is not None and not ib_orders.is_unknown_there(placed):
                return self._story(placed) or [ib_orders.refused(placed, self._now_ns())]
            self._sent.pop(client_order_id, None)  # it never arrived: it may be sent again
            return None
        events = [e for trade in trades for e in self._story(trade, is_over=told.is_over(trade))]
        events += self._fill_events(fills, told.reference)
        return list({event.event_id: event for event in events}.values())

    async def _read(self) -> Told:
        return await read_told(self.session)

    def _is_ours(self, fill: Fill) -> bool:
        return is_ours(fill, self.session.account)

    def cancel(self, client_order_id: str, time_ns: int) -> Sequence[ev.Event]:
        """Ask for an order's cancel; that it is cancelled is told later."""
        self.session.call(ask_cancel(self.session, client_order_id))
        return ()

    def modify(
        self, order: Order, terms: WorkingTerms, number: int, time_ns: int
    ) -> Sequence[ev.Event]:
        """Give a working order other terms under its own id; wait for what became of that."""
        instrument = self.contracts.instruments[order.instrument_id]
        size = float(instrument.lots_to_quantity(terms.quantity_lots))
        self._sizes[order.client_order_id] = size
        asked = ib_modify.change(self.session, order, terms, number, instrument, time_ns)
        return self.session.call(asked)

    def find_terms(self, order: Order) -> WorkingTerms | None:
        """Return the terms in which an order works at the gateway, None where it does not."""
        return self.session.call(self._find_terms(order))

    async def _find_terms(self, order: Order) -> WorkingTerms | None:
        instrument = self.contracts.instruments[order.instrument_id]
        trade = await ib_modify.find_working(self.session, order.client_order_id)
        return None if trade is None else ib_modify.terms_of(trade.order, order, instrument)

    def find_last_day(self, instrument_id: str) -> str | None:
        """Return the last trading day of a contract (ISO date), None where it has none."""
        asked = self.contracts.qualify(instrument_id, asking(self.session.client))
        return last_day(self.session.call(self._in_time(asked)))

    def cancel_everything(self) -> None:
        """Ask for the cancel of every order of the account, whoever placed it."""

        async def ask() -> None:
            self.session.client.reqGlobalCancel()

        self.session.call(ask())

    def heard(self) -> Sequence[ev.Event]:
        """Return what the gateway has said unasked since the last call."""
        return [self._heard.popleft() for _ in range(len(self._heard))]

    def account(self) -> BrokerAccount:
        """Return the whole account; OSError where any part of it was not read to its end."""
        return self.session.call(self._account())

    async def _account(self) -> BrokerAccount:
        for _ in range(_ACCOUNT_TRIES):
            told, client = await self._read(), self.session.client
            positions = await self.session.ask(client.reqPositionsAsync)
            await self.session.ask(partial(client.reqAccountUpdatesAsync, self.session.account))
            values = client.accountValues(self.session.account)
            after = await self._in_time(client.reqExecutionsAsync())
            # What filled between two questions would stand in one answer and not in the other.
            if sum(self._is_ours(fill) for fill in after) == len(told.fills):
                return self._as_account(told, positions, values)
        raise ConnectionError(f"the account must rest for one reading in {_ACCOUNT_TRIES}")

    def _as_account(
        self, told: Told, positions: Sequence[Position], values: Sequence[AccountValue]
    ) -> BrokerAccount:
        events = self._fill_events(told.fills, told.reference)
        own = [held for held in positions if held.account == self.session.account]
        now_ns, find = self._now_ns(), self.contracts.find
        gone = {told.reference(f) for f in ib_orders.taken_back(told.fills)}
        return BrokerAccount(
            time_ns=now_ns,
            orders=tuple(self._broker_order(t, gone, told.is_over(t)) for t in told.trades),
            fills=tuple(e for e in events if isinstance(e, ev.OrderFilled)),
            commissions=tuple(e for e in events if isinstance(e, ev.CommissionCharged)),
            corrections=(
                *(e for e in events if isinstance(e, ev.ExecutionCorrected)),
                *ib_account.taken_back(told.fills, find, now_ns),
            ),
            position_lots=ib_account.lots_of(own, find),
            cash_minor=ib_account.cash_of(own, values),
            rates=dict(self._rates),
        )

    def _broker_order(self, trade: Trade, gone: Collection[str], is_over: bool) -> BrokerOrder:
        instrument = self.contracts.find(trade.contract)
        ended = ib_orders.ending_of(trade, is_over=is_over)
        ending: tuple[OrderState | None, str] = ended or (None, "")
        if ending[0] is OrderState.FILLED and trade.order.orderRef in gone:
            ending = OrderState.CANCELLED, "an execution of it was taken back"
        return BrokerOrder(
            broker_order_id=str(trade.order.permId),
            client_order_id=trade.order.orderRef,
            instrument_id=instrument.instrument_id if instrument else trade.contract.symbol,
            ending=ending[0],
            reason=ending[1],
            terms=ib_modify.shown_terms(trade, instrument) if instrument else None,
            kind=ib_orders.kind_of(trade.order),
            time_in_force=ib_orders.time_in_force_of(trade.order),
            held="" if ended else ib_orders.why_held(trade),
        )

    def _listen(self, client: IB) -> None:
        self._sizes.clear()
        self._rates.clear()
        self._sent.clear()  # a new connection: what went before is looked up at the gateway
        client.openOrderEvent += self._hear_trade
        client.orderStatusEvent += self._hear_trade
        client.execDetailsEvent += self._hear_fill
        client.commissionReportEvent += self._hear_commission
        client.errorEvent += partial(self._hear_error, client)
        client.accountValueEvent += self._hear_value

    def _hear_error(self, client: IB, order_id: int, code: int, text: str, *_: object) -> None:
        own = self.session.settings.client_id
        for trade in client.trades():
            if (trade.order.clientId, trade.order.orderId) == (own, order_id):
                if ib_orders.note_error(trade, code, text, self._now_ns()):
                    self._hear_trade(trade)
                ib_orders.undo_made_up_status(trade)
                if code == NO_CONTRACT:
                    self.contracts.forget(trade.contract.conId)

    def _hear_trade(self, trade: Trade) -> None:
        if trade.order.orderRef and of_account(trade, self.session.account):
            self._heard.extend(self._story(trade))
            size = float(trade.order.totalQuantity)
            if self._sizes.get(trade.order.orderRef, size) != size:
                self._sizes[trade.order.orderRef] = size
                self.session.ask_for_reading()  # somebody has changed it: the account says how

    def _hear_fill(self, trade: Trade, fill: Fill) -> None:
        if not self._is_ours(fill):
            return
        if not fill.execution.shares:
            self.session.ask_for_reading()  # taken back: the account says what that leaves
        reference = ib_orders.reference_of(fill.execution.orderRef, fill.execution.permId)
        if not fill.execution.orderRef and trade.order.permId == fill.execution.permId:
            reference = ib_orders.reference_of(trade.order.orderRef, fill.execution.permId)
        self._heard.extend(self._fill_events([fill], lambda _: reference))

    def _hear_value(self, value: AccountValue) -> None:
        rate = ib_account.rate_of(value)
        if rate is not None and value.account == self.session.account:
            self._rates[value.currency] = ToldRate(rate, self._now_ns())

    def _hear_commission(self, _: Trade, fill: Fill, report: Any) -> None:
        charge = ib_orders.charged(report, self._now_ns())
        if charge is not None and self._is_ours(fill):
            self._heard.append(self._once(charge))

    def _story(self, trade: Trade, *, is_over: bool = False) -> list[ev.Event]:
        now_ns, instrument = self._now_ns(), self.contracts.find(trade.contract)
        ended = ib_orders.ended(trade, instrument, now_ns, is_over=is_over)
        told = (ib_orders.accepted(trade, now_ns), ended)
        return [self._once(event) for event in told if event is not None]

    def _fill_events(
        self, fills: Sequence[Fill], reference: Callable[[Fill], str]
    ) -> list[ev.Event]:
        told: list[ev.Event] = []
        standing = {f.execution.execId for f in ib_orders.standing(fills)}
        for fill in fills:
            instrument, now_ns = self.contracts.find(fill.contract), self._now_ns()
            if instrument is None:
                continue  # nothing of ours: the position says what it did
            parts: list[ev.Event | None] = []
            if fill.execution.execId in standing:
                parts.append(ib_orders.filled(fill.execution, reference(fill), instrument))
                parts.append(ib_orders.corrected(fill.execution, instrument, now_ns))
            parts.append(ib_orders.charged(fill.commissionReport, now_ns))
            told.extend(self._once(part) for part in parts if part is not None)
        return told

    def _once(self, event: ev.Event) -> ev.Event:
        told = self._first_told
        if event.event_id not in told and len(told) >= _WORDS_KEPT:
            del told[next(iter(told))]  # the oldest: the book knows it, in whatever words
        return told.setdefault(event.event_id, event)

    async def _in_time(self, work: Coroutine[Any, Any, T] | Any) -> T:
        return await self.session.read(work)
