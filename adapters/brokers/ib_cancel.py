"""A cancel of an order at Interactive Brokers, which only the client that placed it may ask for."""

from collections.abc import Iterable
from copy import copy

from ib_async import Trade

from adapters.brokers.ib_orders import ending_of
from adapters.brokers.ib_session import IbSession
from swarm_core.ports import OutOfReachError


def of_account(trade: Trade, account: str) -> bool:
    """Return whether an order is of an account; one login may have several."""
    return trade.order.account in ("", account)


async def ask_cancel(session: IbSession, order_id: str) -> None:
    """Ask for the cancel of what works under our order id.

    Raises OutOfReachError where another client has placed it: a cancel names an order by its
    client's number, so it would reach none, or another order of ours.
    """
    client, own = session.client, session.settings.client_id
    found = _named(client.trades(), session, order_id)
    if not found:
        found = _named(await session.ask(client.reqAllOpenOrdersAsync), session, order_id)
    # One that is inactive may come to life: the client would take it for over.
    working = [trade for trade in found if ending_of(trade) is None]
    ours = [trade for trade in working if trade.order.clientId == own]
    for trade in ours:
        asked = copy(trade.order)
        asked.transmit = True  # else the client calls it cancelled before the broker has spoken
        client.cancelOrder(asked)
    if working and not ours:
        placed_by = working[0].order.clientId
        raise OutOfReachError(
            f"client {placed_by} has placed it and client {own} cannot cancel it: "
            f"cancel it in TWS, or start with client_id {placed_by}"
        )


def _named(trades: Iterable[Trade], session: IbSession, order_id: str) -> list[Trade]:
    return [t for t in trades if t.order.orderRef == order_id and of_account(t, session.account)]
