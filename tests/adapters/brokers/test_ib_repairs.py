"""What the adapter mends of the client library: times of executions, times in force, rates."""

import logging
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from ib_async import IB, AccountValue, Contract, OrderState, Trade
from ib_async import Order as IbOrder

from adapters.brokers.ib import IbBroker
from adapters.brokers.ib_account import cash_of, rate_of
from adapters.brokers.ib_repairs import mend
from tests.adapters.brokers.gateway_double import GatewayDouble

NOW_S = 1_700_000_000.0


def told(time: str, told_zones: set[str]) -> list[Any]:
    """Return the executions that a client takes in of a message with such a time."""
    client, heard = IB(), list[Any]()
    client.client.decoder.serverVersion = 176
    mend(client, lambda: NOW_S, told_zones)
    client.wrapper.execDetails = lambda *words: heard.append(words[-1])  # type: ignore[method-assign]
    fields = ["11", "-1", "3", "7", "A", "STK", "", "0", "", "", "NYSE", "USD", "A", "A"]
    fields += ["0001.01.01", time, "DU1", "NYSE", "BOT", "10", "100.5", "70", "1", "0"]
    fields += ["10", "100.5", "ref", "", "", "", "2"]
    client.client.decoder.interpret(fields)
    return heard


@pytest.mark.parametrize(
    "time",
    ["20231114 22:00:00 Middle/Earth", "20231114 22:00:00 PST", "garbage", "20991231 00:00:00 UTC"],
)
def test_an_execution_whose_time_cannot_be_believed_is_taken_in_at_the_moment(
    time: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It was dropped, the account could not be read any more, and a line told so for ever."""
    zones = set[str]()
    with caplog.at_level(logging.WARNING, "ib_async"):
        (first,), (again,) = told(time, zones), told(time, zones)

    assert first.time == again.time == datetime.fromtimestamp(NOW_S, UTC)
    assert (first.shares, first.execId) == (10, "0001.01.01")
    assert sum("time of an execution" in r.getMessage() for r in caplog.records) == 1


def test_an_execution_with_a_zone_that_is_known_keeps_its_time() -> None:
    (execution,) = told("20231114 16:00:00 US/Eastern", set())

    assert execution.time == datetime(2023, 11, 14, 21, 0, tzinfo=UTC)


def test_a_time_in_force_that_another_hand_has_changed_is_noted() -> None:
    """The client notes quantity, prices and kind of an order that it knows, and nothing else."""
    client = IB()
    mend(client, lambda: NOW_S, set())
    own = IbOrder(clientId=1, orderId=3, permId=70, tif="DAY", totalQuantity=10)
    client.wrapper.trades[(1, 3)] = trade = Trade(order=own)
    shown = IbOrder(clientId=1, orderId=3, permId=70, tif="GTC", totalQuantity=10)

    client.wrapper.openOrder(3, Contract(), shown, OrderState())

    assert trade.order.tif == "GTC"


def test_rates_that_are_no_positive_numbers_are_not_told() -> None:
    words = {
        "USD": "1.00",
        "EUR": "1.0850",
        "BASE": "1.00",
        "CHF": "",
        "GBP": "nan",
        "JPY": "-0.0067",
        "SEK": "0",
        "NOK": "1.7976931348623157E308",
        "DKK": "inf",
    }
    told = {c: rate_of(AccountValue("DU1", "ExchangeRate", w, c, "")) for c, w in words.items()}

    assert {c: rate for c, rate in told.items() if rate is not None} == {
        "USD": Decimal("1.00"),
        "EUR": Decimal("1.0850"),
    }
    assert rate_of(AccountValue("DU1", "CashBalance", "5", "EUR", "")) is None


@pytest.mark.parametrize("word", ["NaN", "", "1.7976931348623157E308", "abc", "-inf"])
def test_cash_that_is_no_number_leaves_the_account_unread(word: str) -> None:
    """It halted the trader as a failure of its own, or was a difference of 300 digits."""
    values = [AccountValue("DU1", "CashBalance", word, "USD", "")]

    with pytest.raises(ConnectionError, match="cash in USD must be a number"):
        cash_of([], values)


def test_rates_are_those_that_were_heard_and_of_our_account(
    gateway: GatewayDouble, broker: IbBroker
) -> None:
    """The client keeps a value for as long as it is connected."""
    for account, rate in (("DU1", "1.10"), ("DU2", "1.20")):
        gateway.tell("accountValueEvent", AccountValue(account, "ExchangeRate", rate, "EUR", ""))

    (told,) = broker.account().rates.items()

    assert (told[0], told[1].rate) == ("EUR", Decimal("1.10"))
