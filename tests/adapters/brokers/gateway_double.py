"""A gateway behind ib_async's client interface: it keeps its orders while clients come and go.

It answers with ib_async's own objects; the wire is not part of it.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from eventkit import Event
from ib_async import (
    AccountValue,
    CommissionReport,
    Contract,
    ContractDetails,
    Execution,
    Fill,
    OrderStatus,
    Position,
    Trade,
    TradeLogEntry,
)
from ib_async import Order as IbOrder

START = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


@dataclass
class GatewayDouble:
    """What lasts behind the connections, and the faults that a test asks for."""

    accounts: list[str] = field(default_factory=lambda: ["DU1"])
    open: list[Trade] = field(default_factory=list)
    completed: list[Trade] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    lookups: int = 0
    next_perm_id: int = 1_000
    next_order_id: int = 1
    silent: set[str] = field(default_factory=set)  # requests that are never answered
    loses_acknowledgements: bool = False
    loses_orders: bool = False
    rejects: bool = False
    clients: list["ClientDouble"] = field(default_factory=list)

    def make_client(self) -> "ClientDouble":
        self.clients.append(ClientDouble(self))
        return self.clients[-1]

    def fill(self, reference: str, shares: float, price: float, exec_id: str) -> Fill:
        """Fill an order; the client hears of it if it is connected."""
        trade = next(t for t in self.open if t.order.orderRef == reference)
        execution = Execution(
            execId=exec_id,
            time=START + timedelta(seconds=len(self.fills)),
            acctNumber=self.accounts[0],
            side="BOT" if trade.order.action == "BUY" else "SLD",
            shares=shares,
            price=price,
            permId=trade.order.permId,
            orderRef=reference,
        )
        fill = Fill(trade.contract, execution, CommissionReport(), execution.time)
        self.fills.append(fill)
        trade.fills.append(fill)
        if trade.filled() >= float(trade.order.totalQuantity):
            self._end(trade, "Filled")
        self.tell("execDetailsEvent", trade, fill)
        return fill

    def charge(self, fill: Fill, commission: float) -> None:
        """Tell the commission of a fill, whenever that may be."""
        report = fill.commissionReport
        report.execId, report.commission, report.currency = fill.execution.execId, commission, "USD"
        trade = Trade(order=IbOrder(orderRef=fill.execution.orderRef))
        self.tell("commissionReportEvent", trade, fill, report)

    def _end(self, trade: Trade, status: str) -> None:
        trade.orderStatus.status = status
        self.open.remove(trade)
        self.completed.append(trade)

    def tell(self, event: str, *words: object) -> None:
        for client in self.clients:
            if client.isConnected():
                getattr(client, event).emit(*words)

    def restart(self) -> None:
        """Drop every connection, and begin again with the first order id."""
        self.next_order_id = 1
        for client in self.clients:
            asyncio.run_coroutine_threadsafe(client.drop(), client.loop).result(5)


class ClientDouble:
    """The part of ib_async.IB that the adapter uses."""

    def __init__(self, gateway: GatewayDouble) -> None:
        self.gateway, self._connected = gateway, False
        self._mine: list[Trade] = []
        self.client = SimpleNamespace(clientId=1, decoder=SimpleNamespace(handlers={}))
        self.wrapper = SimpleNamespace(openOrder=lambda *_: None)
        for name in (
            "errorEvent",
            "disconnectedEvent",
            "openOrderEvent",
            "orderStatusEvent",
            "execDetailsEvent",
            "commissionReportEvent",
            "accountValueEvent",
        ):
            setattr(self, name, Event(name))

    async def connectAsync(self, *_: object, **__: object) -> "ClientDouble":  # noqa: N802  # ib_async's name
        if "connect" in self.gateway.silent:
            raise ConnectionRefusedError("the gateway is away")
        self._connected, self.loop = True, asyncio.get_running_loop()
        return self

    async def drop(self) -> None:
        self.disconnect()

    def managedAccounts(self) -> list[str]:  # noqa: N802  # ib_async's name
        return self.gateway.accounts

    def isConnected(self) -> bool:  # noqa: N802  # ib_async's name
        return self._connected

    def disconnect(self) -> None:
        if self._connected:
            self._connected = False
            self.disconnectedEvent.emit()  # type: ignore[attr-defined]  # set by name

    async def _answer(self, name: str, answer: list[Any]) -> list[Any]:
        if name in self.gateway.silent:
            await asyncio.sleep(3_600)
        return answer

    def reqAllOpenOrdersAsync(self) -> Coroutine[Any, Any, list[Trade]]:  # noqa: N802  # ib_async's name
        return self._answer("open", list(self.gateway.open))

    async def reqCurrentTimeAsync(self) -> datetime:  # noqa: N802  # ib_async's name
        await self._answer("time", [])
        return datetime.now(UTC)

    def reqCompletedOrdersAsync(self, _: bool) -> Coroutine[Any, Any, list[Trade]]:  # noqa: N802  # ib_async's name
        return self._answer("completed", list(self.gateway.completed))

    def reqExecutionsAsync(self) -> Coroutine[Any, Any, list[Fill]]:  # noqa: N802  # ib_async's name
        return self._answer("executions", list(self.gateway.fills))

    def reqPositionsAsync(self) -> Coroutine[Any, Any, list[Position]]:  # noqa: N802  # ib_async's name
        lots: dict[int, float] = {}
        contracts = {f.contract.conId: f.contract for f in self.gateway.fills}
        for fill in self.gateway.fills:
            sign = 1 if fill.execution.side == "BOT" else -1
            con_id = fill.contract.conId
            lots[con_id] = lots.get(con_id, 0.0) + sign * fill.execution.shares
        account = self.gateway.accounts[0]
        held = [Position(account, contracts[i], n, 0.0) for i, n in lots.items()]
        return self._answer("positions", held)

    def reqAccountUpdatesAsync(self, _: str) -> Coroutine[Any, Any, list[Any]]:  # noqa: N802  # ib_async's name
        return self._answer("account", [])

    def accountValues(self, account: str) -> list[AccountValue]:  # noqa: N802  # ib_async's name
        spent = sum(
            f.execution.shares * f.execution.price * (1 if f.execution.side == "BOT" else -1)
            + f.commissionReport.commission
            for f in self.gateway.fills
        )
        return [AccountValue(account, "CashBalance", str(1_000_000 - spent), "USD", "")]

    def reqContractDetailsAsync(self, asked: Contract) -> Coroutine[Any, Any, list[Any]]:  # noqa: N802  # ib_async's name
        self.gateway.lookups += 1
        names = {"NONE": 0, "TWO": 2}
        found = [
            ContractDetails(
                contract=Contract(
                    conId=sum(asked.symbol.encode()) + number,
                    symbol=asked.symbol,
                    secType=asked.secType,
                    currency=asked.currency,
                    exchange="NASDAQ",
                )
            )
            for number in range(names.get(asked.symbol, 1))
        ]
        return self._answer("details", found)

    def fills(self) -> list[Fill]:
        return list(self.gateway.fills)

    def trades(self) -> list[Trade]:
        return list(self._mine)

    def placeOrder(self, contract: Contract, order: IbOrder) -> Trade:  # noqa: N802  # ib_async's name
        gateway = self.gateway
        order.orderId, gateway.next_order_id = gateway.next_order_id, gateway.next_order_id + 1
        order.clientId = 1  # as the adapter's settings have it
        trade = Trade(contract, order, OrderStatus(orderId=order.orderId, status="PendingSubmit"))
        if gateway.loses_orders:
            return trade
        gateway.received.append(order.orderRef)
        self._mine.append(trade)
        gateway.next_perm_id += 1
        if gateway.loses_acknowledgements:
            held = IbOrder(orderRef=order.orderRef, permId=gateway.next_perm_id)
            held.action, held.totalQuantity = order.action, order.totalQuantity
            gateway.open.append(Trade(contract, held, OrderStatus(status="Submitted")))
            return trade
        order.permId = gateway.next_perm_id
        if gateway.rejects:
            trade.log.append(TradeLogEntry(START, "Cancelled", "no shares", errorCode=201))
            trade.orderStatus.status = "Cancelled"
            gateway.completed.append(trade)
            return trade
        trade.orderStatus.status = "Submitted"
        gateway.open.append(trade)
        return trade

    def cancelOrder(self, order: IbOrder) -> None:  # noqa: N802  # ib_async's name
        for trade in list(self.gateway.open):
            if trade.order.permId == order.permId:
                self.gateway._end(trade, "Cancelled")
                self.gateway.tell("orderStatusEvent", trade)

    def reqGlobalCancel(self) -> None:  # noqa: N802  # ib_async's name
        for trade in list(self.gateway.open):
            self.cancelOrder(trade.order)


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread brings about; it fails where that does not come."""
    for _ in range(1_000):
        if holds():
            return
        time.sleep(0.005)
    raise AssertionError("it must hold at last, and did not")
