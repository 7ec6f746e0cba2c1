"""A broker's cash that is late is told; any other difference stops new risk as before."""

from dataclasses import replace

import pytest

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.findings import FindingKind
from swarm_core.instruments import to_minor
from swarm_core.orders import OrderSide
from swarm_core.reconciliation import BrokerAccount, ReconciliationRules, reconcile
from swarm_core.trading_state import TradingState
from tests.swarm_core.broker_accounts import account
from tests.swarm_core.builders import CASH, NOW_NS, A, make_fill, make_order

NS = 10**9
LAG = ReconciliationRules(cash_lag_ns=200 * NS)
BEFORE = to_minor(CASH)


def traded(*, is_margined: bool = False) -> tuple[Book, list[ev.OrderFilled]]:
    """Return a book that bought ten lots and sold four a second later, each for a fee of 1."""
    book, fills = Book("USD", BEFORE), list[ev.OrderFilled]()
    for number, (side, lots) in enumerate(((OrderSide.BUY, 10), (OrderSide.SELL, 4))):
        order = make_order(lots=lots, side=side, decision_id=f"d{number}")
        fill = replace(
            make_fill(order, lots=lots, number=number),
            time_ns=NOW_NS + number * NS,
            commission_minor=to_minor(1),
            is_margined=is_margined,
        )
        fills.append(fill)
    book.apply_all(fills)
    return book, fills


def shown(fills: list[ev.OrderFilled], cash_minor: int, after_s: int = 60) -> BrokerAccount:
    told = account(fills=tuple(fills), cash_minor={"USD": cash_minor})
    return replace(told, time_ns=NOW_NS + after_s * NS, position_lots={A: 6})


def cash_findings(
    book: Book, told: BrokerAccount, rules: ReconciliationRules = LAG
) -> list[FindingKind]:
    found = reconcile(book, told, replace(rules, adopt_foreign=True))
    return [f.kind for f in found.findings if f.subject == "USD"]


@pytest.mark.parametrize("left_out", [1, 2])
def test_cash_of_before_the_newest_fills_is_late(left_out: int) -> None:
    """It stopped new risk until a person had looked, at each reconciliation just after a fill."""
    book, fills = traded()
    first = Book("USD", BEFORE)
    first.apply_all(fills[: 2 - left_out])
    told = shown(fills, first.ledger.cash["USD"])
    found = reconcile(book, told, replace(LAG, adopt_foreign=True))

    assert cash_findings(book, told) == [FindingKind.CASH_LATE]
    assert (found.mode, found.events) == (TradingState.ACTIVE, ())
    assert f"before the last {left_out} executions" in str(found.findings[0])


def test_a_fill_that_is_missed_at_once_with_late_cash_is_booked() -> None:
    """What is booked by the same comparison counts as if it stood in the book."""
    _, fills = traded()
    book = Book("USD", BEFORE)
    found = reconcile(book, shown(fills, BEFORE), replace(LAG, adopt_foreign=True))

    assert found.mode is TradingState.ACTIVE
    assert [e for e in found.events if isinstance(e, ev.OrderFilled)] == fills
    assert FindingKind.CASH_LATE in {f.kind for f in found.findings}


@pytest.mark.parametrize(
    ("off_minor", "after_s", "rules"),
    [
        (1, 60, LAG),  # not to the minor unit
        (0, 300, LAG),  # too old to be late
        (0, 60, ReconciliationRules()),  # a broker whose cash is never late
    ],
)
def test_what_lateness_does_not_explain_differs(
    off_minor: int, after_s: int, rules: ReconciliationRules
) -> None:
    """A real difference is told as one, however recent the fills."""
    book, fills = traded()
    told = shown(fills, BEFORE + off_minor, after_s)
    assert cash_findings(book, told, rules) == [FindingKind.CASH_DIFFERS]


def test_late_cash_within_the_tolerance_is_not_booked() -> None:
    """It would be booked, and taken back as soon as the cash is told."""
    book, fills = traded()
    told = shown(fills, BEFORE)
    assert cash_findings(book, told, replace(LAG, cash_tolerance_minor=BEFORE)) == [
        FindingKind.CASH_LATE
    ]


def test_fills_of_futures_explain_nothing() -> None:
    """They move no cash but their profit."""
    book, fills = traded(is_margined=True)
    lost = book.ledger.cash["USD"] - to_minor(1)
    assert cash_findings(book, shown(fills, lost)) == [FindingKind.CASH_DIFFERS]
