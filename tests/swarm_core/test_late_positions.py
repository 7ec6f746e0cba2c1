"""A position that is late is told, and keeps releases back for a moment; any other one halts."""

from dataclasses import replace

import pytest

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.findings import FindingKind
from swarm_core.instruments import to_minor
from swarm_core.orders import OrderSide
from swarm_core.reconciliation import ReconciliationRules, reconcile
from tests.swarm_core.broker_accounts import account
from tests.swarm_core.builders import CASH, NOW_NS, A, make_fill, make_order

NS = 10**9
LAG = ReconciliationRules(position_lag_ns=10 * NS, adopt_foreign=True)


def traded() -> tuple[Book, list[ev.OrderFilled]]:
    """Return a book that bought ten lots and sold four a second later."""
    book, fills = Book("USD", to_minor(CASH)), list[ev.OrderFilled]()
    for number, (side, lots) in enumerate(((OrderSide.BUY, 10), (OrderSide.SELL, 4))):
        order = make_order(lots=lots, side=side, decision_id=f"d{number}")
        fill = make_fill(order, lots=lots, number=number)
        fills.append(replace(fill, time_ns=NOW_NS + number * NS))
    book.apply_all(fills)
    return book, fills


def judged(shown_lots: int, after_s: int = 2, rules: ReconciliationRules = LAG) -> set[FindingKind]:
    """Return what a position is taken for so long after the first fill."""
    book, fills = traded()
    told = account(fills=tuple(fills), position_lots={A: shown_lots} if shown_lots else {})
    found = reconcile(book, replace(told, time_ns=NOW_NS + after_s * NS), rules)
    return {f.kind for f in found.findings if f.subject == A}


@pytest.mark.parametrize("shown_lots", [0, 10])
def test_a_position_of_before_the_newest_fills_is_late(shown_lots: int) -> None:
    """A reconciliation just after a fill halted until a person had looked."""
    assert judged(shown_lots) == {FindingKind.POSITION_LATE}


@pytest.mark.parametrize(
    ("shown_lots", "after_s", "rules"),
    [(9, 2, LAG), (-4, 2, LAG), (10, 12, LAG), (10, 2, replace(LAG, position_lag_ns=0))],
    ids=["another", "without an earlier one", "too old", "not awaited"],
)
def test_any_other_difference_halts(
    shown_lots: int, after_s: int, rules: ReconciliationRules
) -> None:
    """Fills are left out from the newest on, and only for so long."""
    assert judged(shown_lots, after_s, rules) == {FindingKind.POSITION_DIFFERS}


def test_a_position_that_agrees_is_not_asked_about() -> None:
    """What has filled is in it."""
    assert not judged(6)
