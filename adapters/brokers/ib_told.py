"""All that the gateway tells of orders, read to its end over one unbroken connection."""

from dataclasses import dataclass
from functools import partial

from ib_async import Fill, Trade

from adapters.brokers import ib_orders
from adapters.brokers.ib_cancel import of_account
from adapters.brokers.ib_session import IbSession


@dataclass(frozen=True, slots=True)
class Told:
    """Orders and executions; `over` are the lasting ids of those that stand as completed."""

    trades: tuple[Trade, ...]
    fills: tuple[Fill, ...]
    over: frozenset[int] = frozenset()

    def reference(self, fill: Fill) -> str:
        """Return whose fill it is; by the lasting id, since order ids repeat."""
        execution = fill.execution
        by_id = {t.order.permId: t.order.orderRef for t in self.trades if t.order.permId}
        found = execution.orderRef or by_id.get(execution.permId, "")
        return ib_orders.reference_of(found, execution.permId)

    def is_over(self, trade: Trade) -> bool:
        return trade.order.permId in self.over


def is_ours(fill: Fill, account: str) -> bool:
    return fill.execution.acctNumber in ("", account)


async def read_told(session: IbSession) -> Told:
    """Read open orders, completed orders and executions; OSError where not all could be."""
    client, before = session.client, session.connection_count
    opened = await session.ask(client.reqAllOpenOrdersAsync)
    completed = await session.ask(partial(client.reqCompletedOrdersAsync, False))
    told = await session.read(client.reqExecutionsAsync())
    # What is told again comes without its commission: that stands where it was told first.
    first: dict[str, Fill] = {fill.execution.execId: fill for fill in client.fills()}
    fills: list[Fill] = [first.get(fill.execution.execId) or fill for fill in told]
    if session.client is not client or session.connection_count != before:
        raise ConnectionResetError("the connection broke while the account was read")
    by_id = {t.order.permId or id(t): t for t in (*opened, *completed)}
    # What this client placed is known beside, with its errors; it is not told how others end.
    own, account = session.settings.client_id, session.account
    placed = {t.order.permId: t for t in client.trades() if t.order.clientId == own}
    # An end whose word was lost stands among the completed alone.
    over = frozenset(t.order.permId for t in completed)
    known: dict[int, Trade] = by_id | {
        i: t for i, t in placed.items() if i in by_id and (i not in over or ib_orders.ending_of(t))
    }
    trades = [t for i, t in known.items() if of_account(by_id[i], account)]
    return Told(tuple(trades), tuple(fill for fill in fills if is_ours(fill, account)), over)
