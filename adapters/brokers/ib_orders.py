"""Orders as Interactive Brokers takes them, and what it says of them as events of ours."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import takewhile

from ib_async import CommissionReport, Execution, Fill, OrderStatus, Trade, TradeLogEntry
from ib_async import Order as IbOrder

from adapters.brokers.ib_errors import UNKNOWN_ORDER, Meaning, is_warning, meaning_of
from swarm_core import events as ev
from swarm_core.instruments import Instrument, to_minor
from swarm_core.order_states import OrderState
from swarm_core.orders import Order, OrderKind, OrderSide, TimeInForce

_TYPES = {
    OrderKind.MARKET: "MKT",
    OrderKind.LIMIT: "LMT",
    OrderKind.MARKET_ON_OPEN: "MKT",
    OrderKind.LIMIT_ON_OPEN: "LMT",
    OrderKind.MARKET_ON_CLOSE: "MOC",
    OrderKind.LIMIT_ON_CLOSE: "LOC",
    OrderKind.STOP: "STP",
    OrderKind.STOP_LIMIT: "STP LMT",
}
_TIMES = {
    TimeInForce.DAY: "DAY",
    TimeInForce.GOOD_TILL_CANCELLED: "GTC",
    TimeInForce.IMMEDIATE_OR_CANCEL: "IOC",
}
_AT_OPEN = {"MKT": OrderKind.MARKET_ON_OPEN, "LMT": OrderKind.LIMIT_ON_OPEN}
_KINDS = {name: kind for kind, name in _TYPES.items() if not kind.is_at_open}
# To a date is until it is cancelled, here: the broker tells when it ends.
_SHOWN_TIMES = {
    "DAY": TimeInForce.DAY,
    "OPG": TimeInForce.DAY,
    "GTC": TimeInForce.GOOD_TILL_CANCELLED,
    "GTD": TimeInForce.GOOD_TILL_CANCELLED,
    "IOC": TimeInForce.IMMEDIATE_OR_CANCEL,
    "FOK": TimeInForce.IMMEDIATE_OR_CANCEL,
}
_STATUS_NOTES = ("", "Modified")  # what the client notes beside a status of the broker's
UNSET = 1e300  # the broker's word for no amount is the largest number
_ADDED_LIQUIDITY = 1  # an execution's lastLiquidity where the order stood in the book


def revision_of(execution_id: str) -> tuple[str, int]:
    """Return the id of an execution, and which telling of it this is.

    A correction comes as an execution of its own whose id differs after the last point alone.
    """
    name, point, number = execution_id.rpartition(".")
    if not point or len(number) != 2 or not number.isdigit():
        return execution_id, 1
    return f"{name}.01", max(1, int(number))


def ib_order(order: Order, instrument: Instrument, account: str) -> IbOrder:
    """Return the broker's order; our client order id travels as its reference."""
    sent = IbOrder(
        action="BUY" if order.side is OrderSide.BUY else "SELL",
        totalQuantity=float(instrument.lots_to_quantity(order.quantity_lots)),
        orderType=_TYPES[order.kind],
        tif="OPG" if order.kind.is_at_open else _TIMES[order.time_in_force],
        orderRef=order.client_order_id,
        account=account,
        transmit=True,
    )
    if order.limit_price_ticks is not None:
        sent.lmtPrice = float(instrument.ticks_to_price(order.limit_price_ticks))
    if order.stop_price_ticks is not None:
        sent.auxPrice = float(instrument.ticks_to_price(order.stop_price_ticks))
    return sent


def kind_of(shown: IbOrder) -> OrderKind | str:
    """Return the kind of an order as the broker shows it; its own word where it is none of ours."""
    if shown.tif == "OPG":
        return _AT_OPEN.get(shown.orderType, f"{shown.orderType} OPG")
    return _KINDS.get(shown.orderType, shown.orderType)


def time_in_force_of(shown: IbOrder) -> TimeInForce | None:
    """Return how long an order works as the broker shows it; None where that is none of ours."""
    return _SHOWN_TIMES.get(shown.tif)


def unlisted(order: Order, reason: str, time_ns: int) -> ev.OrderRejected:
    """Return the end of an order that was not sent, for want of one contract."""
    return ev.OrderRejected(
        event_id=ev.make_event_id("OrderRejected", order.client_order_id),
        time_ns=time_ns,
        correlation_id=order.decision_id,
        client_order_id=order.client_order_id,
        reason=reason,
    )


def reference_of(order_ref: str, perm_id: int) -> str:
    """Return our client order id; an order placed by hand is named by the broker's lasting id."""
    return order_ref or f"ib-{perm_id}"


def accepted(trade: Trade, time_ns: int) -> ev.OrderAccepted | None:
    """Return the acceptance of an order that the broker has given its lasting id, else None."""
    perm_id = trade.order.permId or trade.orderStatus.permId
    if not perm_id:
        return None
    order_id = reference_of(trade.order.orderRef, perm_id)
    return ev.OrderAccepted(
        event_id=ev.make_event_id("OrderAccepted", order_id, perm_id),
        time_ns=time_ns,
        client_order_id=order_id,
        broker_order_id=str(perm_id),
    )


def _told_statuses(trade: Trade) -> list[str]:
    """Return the statuses that the broker has told; a fill or a change is noted with another."""
    return [e.status for e in trade.log if not e.errorCode and e.message in _STATUS_NOTES]


def undo_made_up_status(trade: Trade) -> None:
    """Give a trade the status that the broker told last, where an error has not ended it.

    The client calls it cancelled at any error about it: it would then cancel it no more, and not
    note when the broker ends it.
    """
    if ending_of(trade) is None:
        told = _told_statuses(trade)
        trade.orderStatus.status = told[-1] if told else OrderStatus.PendingSubmit


def note_error(trade: Trade, code: int, text: str, time_ns: int) -> bool:
    """Note an error that the client drops, as it does of an order that it takes for over.

    Returns whether that was so. An inactive order may come to life, so what is said of it counts.
    """
    if trade.orderStatus.status != OrderStatus.Inactive or is_warning(code):
        return False
    if trade.log and trade.log[-1].errorCode == code:
        return False
    now = datetime.fromtimestamp(time_ns / 1e9, UTC)
    message = f"Error {code}, reqId {trade.order.orderId}: {text}"
    trade.log.append(TradeLogEntry(now, OrderStatus.Inactive, message, code))
    return True


def why_held(trade: Trade) -> str:
    """Return why an order rests at the broker without working, in its words; or nothing."""
    status = trade.orderStatus
    if status.status == OrderStatus.Inactive:
        faults = [entry.message for entry in trade.log if entry.errorCode]
        return f"it is inactive: {faults[-1]}" if faults else "it is inactive"
    held = status.whyHeld or ""
    return "shares to borrow are looked for" if "locate" in held else ""


def ending_of(trade: Trade, *, is_over: bool = False) -> tuple[OrderState, str] | None:
    """Return how an order ended and why, or None where it works or nobody has said.

    The client ends an order by itself at any error about it, a cancel that came too late among
    them: only the broker's own status, or an error that means an end, is believed. An inactive
    order has ended only where it was refused, or stands among the completed (`is_over`): else the
    broker holds it, e.g. until shares to borrow are found or somebody sends it again.
    """
    told = _told_statuses(trade)
    # An error makes a status up; the log of a completed order that is read has its fills alone.
    made_up = any(entry.errorCode for entry in trade.log)
    status = told[-1] if told else "" if made_up else trade.orderStatus.status
    # What is refused of a change leaves the order as it was.
    placed = list(takewhile(lambda entry: entry.message != "Modify", trade.log))
    faults = [(meaning_of(e.errorCode), e) for e in placed if e.errorCode]
    is_new = not (trade.order.permId or trade.orderStatus.permId)
    refusing = {Meaning.REFUSED, *((Meaning.REFUSED_IF_NEW,) if is_new else ())}
    refusals = [entry for meaning, entry in faults if meaning in refusing]
    if status == "Filled":
        return OrderState.FILLED, ""
    if refusals or (status == OrderStatus.Inactive and is_over):
        last = (refusals or [entry for _, entry in faults])[-1:]
        why = [f"{entry.errorCode}: {entry.message}" for entry in last]
        return OrderState.REJECTED, "".join(why) or "inactive"
    if status in ("Cancelled", "ApiCancelled") or any(
        meaning_of(e.errorCode) is Meaning.CANCELLED for e in trade.log if e.errorCode
    ):
        return OrderState.CANCELLED, "told by the broker"
    return None


def is_unknown_there(trade: Trade) -> bool:
    """Return whether the broker has said that it has no such order, as to a cancel of it."""
    return any(entry.errorCode in UNKNOWN_ORDER for entry in trade.log)


def refused(trade: Trade, time_ns: int) -> ev.OrderRejected:
    """Return the end of an order that is shown nowhere, by what was said of it.

    Raises ConnectionError where nothing was that could be a refusal: it may be held back, and come
    to work at any time.
    """
    order_id = trade.order.orderRef
    faults = [e for e in trade.log if e.errorCode and not is_warning(e.errorCode)]
    if not faults:
        raise ConnectionError(f"the gateway must show {order_id}, has had it and does not")
    return ev.OrderRejected(
        event_id=ev.make_event_id("OrderRejected", order_id),
        time_ns=time_ns,
        client_order_id=order_id,
        reason=f"{faults[-1].errorCode}: {faults[-1].message}",
    )


def ended(
    trade: Trade, instrument: Instrument | None, time_ns: int, *, is_over: bool = False
) -> ev.OrderEvent | None:
    """Return the event of an order's end; None where it works, or where its fills tell it.

    The status of a cancelled order counts what was executed, of which fills may be told later.
    """
    ending = ending_of(trade, is_over=is_over)
    if ending is None or ending[0] is OrderState.FILLED:
        return None
    order_id = reference_of(trade.order.orderRef, trade.order.permId)
    kind = ev.OrderRejected if ending[0] is OrderState.REJECTED else ev.OrderCancelled
    event = kind(
        event_id=ev.make_event_id(kind.__name__, order_id),
        time_ns=time_ns,
        client_order_id=order_id,
        reason=ending[1],
    )
    if isinstance(event, ev.OrderCancelled) and instrument is not None:
        # A completed order that is read again counts none: that says nothing.
        lots = instrument.quantity_to_lots(str(trade.orderStatus.filled))
        if lots:  # it may be told again with more of them: that is another fact
            event_id = ev.make_event_id(kind.__name__, order_id, lots)
            return replace(event, event_id=event_id, filled_lots=lots)
    return event


def filled(execution: Execution, order_id: str, instrument: Instrument) -> ev.OrderFilled:
    """Return an execution as a fill; its commission is always told by itself."""
    execution_id, _ = revision_of(execution.execId)
    return ev.OrderFilled(
        event_id=ev.make_event_id("OrderFilled", execution_id),
        time_ns=round(execution.time.timestamp() * 1e3) * 10**6,
        client_order_id=order_id,
        execution_id=execution_id,
        instrument_id=instrument.instrument_id,
        side=OrderSide.BUY if execution.side in ("BOT", "BUY") else OrderSide.SELL,
        lots=whole_lots(instrument, execution.shares),
        price_ticks=instrument.price_to_ticks(execution.price),
        lot_tick_minor=instrument.lot_tick_minor,
        currency=instrument.currency,
        commission_minor=None,
        is_maker=execution.lastLiquidity == _ADDED_LIQUIDITY,
        is_margined=instrument.is_margined,
    )


def corrected(
    execution: Execution, instrument: Instrument, time_ns: int
) -> ev.ExecutionCorrected | None:
    """Return the correction that an execution is; None where it is told for the first time."""
    execution_id, revision = revision_of(execution.execId)
    if revision == 1:
        return None
    return ev.ExecutionCorrected(
        event_id=ev.make_event_id("ExecutionCorrected", execution_id, revision),
        time_ns=time_ns,
        execution_id=execution_id,
        revision=revision,
        lots=whole_lots(instrument, execution.shares),
        price_ticks=instrument.price_to_ticks(execution.price),
    )


def standing(fills: Sequence[Fill]) -> list[Fill]:
    """Return executions without those that the broker has taken back: corrected to no shares."""
    gone = {revision_of(f.execution.execId)[0] for f in taken_back(fills)}
    told = (f for f in fills if f.execution.shares)
    return [f for f in told if revision_of(f.execution.execId)[0] not in gone]


def taken_back(fills: Iterable[Fill]) -> list[Fill]:
    """Return the last word of each execution that is taken back; one may stand again after it."""
    last: dict[str, Fill] = {}
    for fill in fills:
        execution_id, revision = revision_of(fill.execution.execId)
        known = last.get(execution_id)
        if known is None or revision > revision_of(known.execution.execId)[1]:
            last[execution_id] = fill
    return [fill for fill in last.values() if not fill.execution.shares]


def whole_lots(instrument: Instrument, quantity: float) -> int:
    """Return a quantity that the broker tells in lots; ValueError where it is no whole number."""
    lots = instrument.quantity_to_lots(str(quantity))
    if instrument.lots_to_quantity(lots) != Decimal(str(quantity)):
        raise ValueError(
            f"a quantity of {instrument.instrument_id} must be whole lots of "
            f"{instrument.size_increment}, was {quantity} at the broker"
        )
    return lots


def charged(report: CommissionReport, time_ns: int) -> ev.CommissionCharged | None:
    """Return what an execution cost; None where it has not been told yet.

    A report may come with no amount, or no currency: the one that has both tells it.
    """
    if not report.execId or not report.currency or not abs(report.commission) < UNSET:
        return None
    execution_id, _ = revision_of(report.execId)
    return ev.CommissionCharged(
        event_id=ev.make_event_id("CommissionCharged", execution_id),
        time_ns=time_ns,
        execution_id=execution_id,
        currency=report.currency,
        commission_minor=to_minor(report.commission),
    )
