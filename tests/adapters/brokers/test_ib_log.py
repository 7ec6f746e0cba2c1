"""What ib_async logs: whole in a file, short for a person, and never in the way."""

import logging
from pathlib import Path

import pytest
from ib_async import LimitOrder, OrderStatus, Stock, Trade, TradeLogEntry
from ib_async.ib import IB

from adapters.brokers.ib_log import library_log

HELD = "Order Message:\nBUY 1 AAPL NASDAQ.NMS\nWarning: your order will not be placed until 09:30"


def _client_with_an_order() -> tuple[IB, int]:
    client = IB()
    order = LimitOrder("BUY", 1, 100.0, orderId=7, clientId=0)
    trade = Trade(Stock("AAPL", "SMART", "USD"), order, OrderStatus(7, "Submitted"))
    trade.log.append(TradeLogEntry(client.wrapper.lastTime, "Submitted", "", 0))
    client.wrapper.clientId = 0
    client.wrapper.trades[0, 7] = trade
    return client, 7


def test_a_warning_is_told_in_a_line_and_kept_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client, order_id = _client_with_an_order()
    told: list[str] = []
    path = tmp_path / "control" / "ib.log"

    with library_log(path, told.append):
        client.wrapper.error(order_id, 399, HELD, "")
        client.wrapper.error(order_id, 399, HELD, "")
        client.wrapper.error(order_id, 201, "Order rejected - reason: no margin", "")

    assert told == [
        "the broker's client says 399: Order Message: BUY 1 AAPL NASDAQ.NMS Warning: "
        "your order will not be placed until 09:30",
        "the broker's client says 201: Order rejected - reason: no margin",
    ]
    kept = path.read_text()
    assert kept.count("IBKR API validation warning: Trade(contract=Stock(") == 2
    assert "Canceled order: Trade(" in kept
    assert capsys.readouterr() == ("", "")


def test_without_a_teller_it_is_kept_alone_and_a_full_disk_costs_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client, _ = _client_with_an_order()
    with library_log(tmp_path / "ib.log", None):
        client.wrapper.error(-1, 162, "Historical data: none", "")
    assert "Error 162, reqId -1: Historical data: none" in (tmp_path / "ib.log").read_text()

    with library_log(Path("/dev/full"), None):
        client.wrapper.error(-1, 162, "Historical data: none", "")

    assert capsys.readouterr() == ("", "")
    assert logging.getLogger("ib_async").propagate
    assert not logging.getLogger("ib_async").handlers


def test_a_message_that_cannot_be_read_is_told_by_its_fields_and_its_reason(tmp_path: Path) -> None:
    """A whole traceback was put in one line, and told for each number of a question anew."""
    client, told = IB(), list[str]()

    with library_log(tmp_path / "ib.log", told.append):
        for number in ("3", "4"):
            client.client.decoder.interpret(["61", number, "DU1", "x"])

    (line,) = told
    assert line.startswith(
        "the broker's client says Error handling fields: ['61', '3', 'DU1', 'x']"
    )
    assert "ValueError: not enough values" in line
    assert "Traceback" not in line
    assert "Traceback" in (tmp_path / "ib.log").read_text()
