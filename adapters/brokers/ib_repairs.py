"""Mends what the client library makes of some messages, before the adapter looks at it.

An execution whose time stands in a zone that nobody knows would be dropped whole, and a time in
force that another hand has changed would not be noted.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ib_async import IB, Contract, OrderState
from ib_async import Order as IbOrder
from ib_async.util import parseIBDatetime

_EXECUTION, _TIME_FIELD = 11, 15
_AHEAD_S_MAX = 60.0  # how far ahead of this machine's clock the gateway's may be believed
_LOG = logging.getLogger("ib_async.times")


def mend(client: IB, now_s: Callable[[], float], told: set[str]) -> None:
    """Have a client take in every execution, and note the time in force of an order.

    `told` holds the zones that were warned of already: each is told once.
    """
    handlers: dict[int, Any] = client.client.decoder.handlers
    if _EXECUTION in handlers:
        handlers[_EXECUTION] = _timed(handlers[_EXECUTION], now_s, told)
    wrapper: Any = client.wrapper
    wrapper.openOrder = _noting_time_in_force(wrapper)


def _timed(
    handler: Callable[[list[str]], Any], now_s: Callable[[], float], told: set[str]
) -> Callable[[list[str]], None]:
    def handle(fields: list[str]) -> None:
        stamp = str(fields[_TIME_FIELD]) if len(fields) > _TIME_FIELD else ""
        if not _is_believable(stamp, now_s()):
            zone = " ".join(stamp.split(" ")[2:]) or stamp
            if zone not in told:
                told.add(zone)
                _LOG.warning(
                    "the time of an execution must be readable and not of the future, was %r: "
                    "it is booked at the time at which it is told",
                    stamp,
                )
            fields = [*fields[:_TIME_FIELD], str(int(now_s())), *fields[_TIME_FIELD + 1 :]]
        handler(fields)

    return handle


def _is_believable(stamp: str, now_s: float) -> bool:
    """Return whether an execution's time can be read, and is not ahead of the clock."""
    try:
        time = parseIBDatetime(stamp)
        # One without a zone is of the machine's own, as the client library takes it.
        return isinstance(time, datetime) and time.timestamp() <= now_s + _AHEAD_S_MAX
    except (ValueError, LookupError, OSError, OverflowError):
        return False


def _noting_time_in_force(wrapper: Any) -> Callable[[int, Contract, IbOrder, OrderState], None]:
    take: Callable[[int, Contract, IbOrder, OrderState], None] = wrapper.openOrder

    def open_order(order_id: int, contract: Contract, order: IbOrder, state: OrderState) -> None:
        key = wrapper.orderKey(order.clientId, order.orderId, order.permId)
        known = wrapper.trades.get(key)
        if known is not None and not order.whatIf and order.tif:
            known.order.tif = order.tif
        take(order_id, contract, order, state)

    return open_order
