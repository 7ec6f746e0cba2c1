"""A change of a working order at Interactive Brokers: placed again, under the same id."""

import asyncio
from collections.abc import Callable, Sequence
from copy import copy

from ib_async import IB, Trade
from ib_async import Order as IbOrder

from adapters.brokers.ib_cancel import of_account
from adapters.brokers.ib_errors import Meaning, meaning_of
from adapters.brokers.ib_orders import UNSET, ending_of, whole_lots, why_held
from adapters.brokers.ib_session import IbSession
from swarm_core import events as ev
from swarm_core.instruments import Instrument
from swarm_core.order_changes import modified, refused
from swarm_core.orders import Order
from swarm_core.working_terms import WorkingTerms

# Words that a change was not taken: those of any refusal, and that it came too late.
_REFUSALS = (Meaning.REFUSED, Meaning.REFUSED_IF_NEW)
_TOO_LATE = (104, 161)


async def find_working(session: IbSession, order_id: str) -> Trade | None:
    """Return an order that works, with what the broker says of it now; None where none does."""
    opened = await session.ask(session.client.reqAllOpenOrdersAsync)
    found = (t for t in opened if t.order.orderRef == order_id and ending_of(t) is None)
    return next((t for t in found if of_account(t, session.account)), None)


def terms_of(sent: IbOrder, order: Order, instrument: Instrument) -> WorkingTerms:
    """Return the terms of an order as the broker shows it."""
    return WorkingTerms(
        whole_lots(instrument, float(sent.totalQuantity)),
        instrument.price_to_ticks(str(sent.lmtPrice)) if order.kind.has_limit else None,
        instrument.price_to_ticks(str(sent.auxPrice)) if order.kind.has_stop else None,
    )


def shown_terms(trade: Trade, instrument: Instrument) -> WorkingTerms | None:
    """Return the terms of an order as the account shows it, of one that has filled how much did.

    None where no quantity is told, as of some that are over.
    """
    sent = trade.order
    is_limit, is_stop = sent.orderType in ("LMT", "LOC", "STP LMT"), "STP" in sent.orderType
    quantity = float(sent.totalQuantity)
    if trade.orderStatus.status == "Filled":
        quantity = trade.orderStatus.filled or _told(float(sent.filledQuantity)) or quantity
    lots = instrument.quantity_to_lots(str(quantity))
    limit, stop = _told(float(sent.lmtPrice or 0)), _told(float(sent.auxPrice or 0))
    return (
        WorkingTerms(
            lots,
            instrument.price_to_ticks(str(limit)) if is_limit and limit else None,
            instrument.price_to_ticks(str(stop)) if is_stop and stop else None,
        )
        if lots
        else None
    )


def _told(number: float) -> float:
    """Return a number, 0 where it is the broker's word for none."""
    return number if abs(number) < UNSET else 0.0


async def change(
    session: IbSession,
    order: Order,
    terms: WorkingTerms,
    number: int,
    instrument: Instrument,
    time_ns: int,
) -> Sequence[ev.Event]:
    """Place a working order again in other terms; return whether the broker took them.

    Raises OSError where it does not say.
    """
    order_id, client = order.client_order_id, session.client
    trade = await find_working(session, order_id)
    if trade is None:
        return [refused(order_id, number, "it works no more at the broker", time_ns)]
    if trade.order.clientId != client.client.clientId or trade.order.orderId <= 0:
        return [refused(order_id, number, "another client has placed it", time_ns)]
    if trade.isDone():  # inactive: the client would not send it
        reason = f"the broker holds it, {why_held(trade)}: cancel it instead"
        return [refused(order_id, number, reason, time_ns)]
    sent = copy(trade.order)  # what the client shows stays as it is until the broker says so
    sent.totalQuantity = float(instrument.lots_to_quantity(terms.quantity_lots))
    if terms.limit_price_ticks is not None:
        sent.lmtPrice = float(instrument.ticks_to_price(terms.limit_price_ticks))
    if terms.stop_price_ticks is not None:
        sent.auxPrice = float(instrument.ticks_to_price(terms.stop_price_ticks))
    fault = await session.read(
        _place(client, trade, sent, lambda: terms_of(trade.order, order, instrument) == terms)
    )
    if fault is None:
        return [modified(order_id, terms, number, time_ns)]
    # The client takes the order for dead at an error: the broker says how it stands.
    still = await find_working(session, order_id)
    if still is not None and terms_of(still.order, order, instrument) == terms:
        return [modified(order_id, terms, number, time_ns)]
    return [refused(order_id, number, fault, time_ns)]


class _Answer:
    """What a client says of an order from now on: whether something was said, and refusals."""

    def __init__(self, client: IB, order_id: int) -> None:
        self._client, self._order_id = client, order_id
        self.heard, self.faults = asyncio.Event(), list[str]()

    def _note(self, *_: object) -> None:
        self.heard.set()

    def _fail(self, order_id: int, code: int, text: str, _: object) -> None:
        if order_id == self._order_id:
            if meaning_of(code, text) in _REFUSALS or code in _TOO_LATE:
                self.faults.append(f"{code}: {text}")
            self.heard.set()

    def __enter__(self) -> "_Answer":
        client = self._client
        for event in (client.openOrderEvent, client.orderStatusEvent, client.disconnectedEvent):
            event += self._note
        client.errorEvent += self._fail
        return self

    def __exit__(self, *_: object) -> None:
        client = self._client
        for event in (client.openOrderEvent, client.orderStatusEvent, client.disconnectedEvent):
            event -= self._note
        client.errorEvent -= self._fail


async def _place(
    client: IB, trade: Trade, sent: IbOrder, is_taken: Callable[[], bool]
) -> str | None:
    """Place an order and wait until its terms are shown (None), or refused (why)."""
    with _Answer(client, sent.orderId) as answer:
        client.placeOrder(trade.contract, sent)
        while not is_taken():
            if answer.faults:
                return answer.faults[0]
            if not client.isConnected():
                raise ConnectionResetError("the connection broke before the change was answered")
            if ending_of(trade) is not None:
                return f"it has ended: {trade.orderStatus.status}"
            answer.heard.clear()
            await answer.heard.wait()
    return None
