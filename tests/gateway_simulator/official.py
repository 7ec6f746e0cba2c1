"""The official client as tests use it: it writes down whatever it is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.order import Order
from ibapi.wrapper import EWrapper

from tests.gateway_simulator.gateways import wait_until

_HEARD = (
    "nextValidId managedAccounts error contractDetails contractDetailsEnd openOrder "
    "orderStatus execDetails commissionAndFeesReport execDetailsEnd openOrderEnd "
    "completedOrder completedOrdersEnd position positionEnd updateAccountValue "
    "accountDownloadEnd updatePortfolio currentTime accountSummary accountSummaryEnd pnl "
    "pnlSingle symbolSamples marketRule securityDefinitionOptionParameter "
    "securityDefinitionOptionParameterEnd tickPrice tickSize tickGeneric tickString "
    "tickOptionComputation tickSnapshotEnd marketDataType tickReqParams tickByTickAllLast "
    "tickByTickBidAsk tickByTickMidPoint realtimeBar historicalData historicalDataEnd "
    "historicalDataUpdate headTimestamp historicalNews historicalNewsEnd newsProviders "
    "newsArticle historicalTicks historicalTicksLast historicalTicksBidAsk "
    "historicalSchedule familyCodes userInfo connectionClosed updateMktDepth "
    "scannerParameters scannerData scannerDataEnd histogramData"
)


class Official(EWrapper, EClient):
    """The official client; `heard` holds what it was told, by the name of the callback."""

    def __init__(self) -> None:
        EClient.__init__(self, self)
        self.heard: list[tuple[str, tuple[Any, ...]]] = []

    def told(self, name: str) -> list[tuple[Any, ...]]:
        return [words for heard, words in list(self.heard) if heard == name]

    def wait(self, name: str, count: int = 1) -> list[tuple[Any, ...]]:
        """Wait until something was told so often, and return it."""
        wait_until(lambda: len(self.told(name)) >= count, f"{name} must be told, was not")
        return self.told(name)

    def error_codes(self, request_id: int) -> list[int]:
        return [words[2] for words in self.told("error") if words[0] == request_id]


def _write_down(name: str) -> Any:
    def write(self: Official, *words: Any) -> None:
        self.heard.append((name, words))

    return write


for _name in _HEARD.split():
    setattr(Official, _name, _write_down(_name))


@contextmanager
def official(port: int, client_id: int = 5) -> Iterator[Official]:
    """Connect the official client for as long as the block lasts."""
    client = Official()
    client.connect("127.0.0.1", port, client_id)
    reader = threading.Thread(target=client.run, daemon=True)
    reader.start()
    try:
        yield client
    finally:
        client.disconnect()
        reader.join(5)


def stock(symbol: str = "A") -> Contract:
    contract = Contract()
    contract.symbol, contract.secType = symbol, "STK"
    contract.exchange, contract.currency = "SMART", "USD"
    return contract


def order(action: str = "BUY", quantity: int = 10, kind: str = "MKT", **fields: object) -> Order:
    made = Order()
    made.action, made.totalQuantity, made.orderType = action, quantity, kind
    for name, value in fields.items():
        setattr(made, name, value)
    return made
