"""Cash that an action brings at a broker: owed at its mark, paid at the broker's own price."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from swarm_core import events as ev
from swarm_core.actions.exchanges import CashOut
from swarm_core.reconciliation import BrokerAccount, ReconciliationRules, reconcile
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import NOW_NS, A, make_fill, make_order
from tests.trader.test_nights_at_a_broker import (
    DIVIDEND,
    SPLIT,
    account_of,
    held_overnight,
    pass_night,
)
from trader.desk import TradingDesk

REVERSE = replace(SPLIT, numerator=1, denominator=7)
LAX = ReconciliationRules(estimate_fraction_max=0.1)


def test_a_reverse_split_pays_its_fraction_and_books_what_is_left(tmp_path: Path) -> None:
    desk, keeper, _ = held_overnight(tmp_path, REVERSE)
    before, nav = desk.book.lots(A), desk.book.ledger.find_nav_minor()
    rest = before % 7
    assert rest
    assert nav is not None
    account = account_of(desk, before // 7, rest * 100 * 10**8)
    assert reconcile(desk.book, account, ReconciliationRules()).mode is TradingState.HALTED

    assert keeper.nights.explain(account, NOW_NS + 1)

    assert desk.book.lots(A) == before // 7
    assert desk.book.ledger.find_nav_minor() == nav
    _book_paid(desk, account, ReconciliationRules(), "split:cash", rest * 100 * 10**8)
    assert desk.book.ledger.find_nav_minor() == nav


@pytest.mark.parametrize("apart", [0.91, 1.09])
def test_a_fraction_is_owed_until_the_broker_pays_it_at_its_own_price(
    apart: float, tmp_path: Path
) -> None:
    """Days after the split, and with a dividend of the same night."""
    desk, keeper, days = held_overnight(tmp_path, REVERSE, replace(DIVIDEND, amount=Decimal(2)))
    before, cash = desk.book.lots(A), desk.book.ledger.cash["USD"]
    pass_night(desk, days)
    keeper.open_if_due(desk.now_ns())
    lots, estimate = before // 7, before % 7 * 100 * 10**8
    nav, dividend = desk.book.ledger.find_nav_minor(), lots * 200_000_000
    assert nav is not None
    assert desk.book.ledger.cash["USD"] == cash
    assert desk.book.ledger.owed == {"USD": estimate + dividend}
    assert reconcile(desk.book, account_of(desk, lots), LAX).findings == ()
    told = int(estimate * apart)
    account = account_of(desk, lots, told + dividend)

    assert reconcile(desk.book, account, ReconciliationRules()).mode is TradingState.REDUCING
    far = account_of(desk, lots, int(estimate * 1.2) + dividend)
    assert reconcile(desk.book, far, LAX).mode is TradingState.REDUCING
    _book_paid(desk, account, LAX, "split:cash", told, "paid")

    assert desk.book.ledger.cash["USD"] == cash + told + dividend
    assert desk.book.ledger.owed == {"USD": 0}
    assert desk.book.ledger.find_nav_minor() == nav + told - estimate
    assert reconcile(desk.book, account_of(desk, lots, 1), LAX).mode is TradingState.REDUCING


def test_a_dividend_that_an_estimate_was_taken_to_include_is_booked_when_it_is_paid(
    tmp_path: Path,
) -> None:
    """The fraction brings a little more than estimated, which a dividend would explain better."""
    desk, keeper, days = held_overnight(tmp_path, REVERSE, replace(DIVIDEND, amount=Decimal("0.1")))
    cash = desk.book.ledger.cash["USD"]
    pass_night(desk, days)
    keeper.open_if_due(desk.now_ns())
    lots = desk.book.lots(A)
    dividend = lots * 10_000_000
    estimate = desk.book.ledger.owed["USD"] - dividend
    assert 0 < dividend < estimate // 10
    fraction = estimate + dividend - 1_000

    account = account_of(desk, lots, fraction)
    _book_paid(desk, account, LAX, "split:cash", fraction - dividend, "paid")
    both = account_of(desk, lots, dividend)
    assert reconcile(desk.book, both, ReconciliationRules()).mode is TradingState.REDUCING
    found = reconcile(desk.book, both, LAX)

    assert [type(e) for e in found.events] == [ev.EntitlementAccrued, ev.EntitlementPaid]
    assert found.mode is TradingState.ACTIVE
    desk.take_in(found.events)
    assert desk.book.ledger.cash["USD"] == cash + fraction + dividend
    assert desk.book.ledger.owed == {"USD": 0}
    assert desk.book.ledger.find_imbalance() is None
    once_more = account_of(desk, lots, dividend)
    assert reconcile(desk.book, once_more, LAX).mode is TradingState.REDUCING


@pytest.mark.parametrize("price", [Decimal(110), None])
def test_a_stated_price_is_paid_to_the_unit_and_no_other(
    price: Decimal | None, tmp_path: Path
) -> None:
    out = CashOut(action_id="out", instrument_id=A, price=price)
    desk, keeper, days = held_overnight(tmp_path, out)
    pass_night(desk, days)
    keeper.open_if_due(desk.now_ns())
    owed = desk.book.ledger.owed["USD"]
    apart = reconcile(desk.book, account_of(desk, 0, owed * 95 // 100), LAX)

    assert apart.mode is (TradingState.ACTIVE if price is None else TradingState.REDUCING)
    paid = reconcile(desk.book, account_of(desk, 0, owed), LAX)
    assert [type(e) for e in paid.events] == [ev.EntitlementPaid]
    assert paid.mode is TradingState.ACTIVE


def test_what_a_fraction_brought_is_known_when_the_fees_are(tmp_path: Path) -> None:
    desk, keeper, days = held_overnight(tmp_path, REVERSE)
    pass_night(desk, days)
    keeper.open_if_due(desk.now_ns())
    order = make_order(lots=1, decision_id="d9")
    desk.note(replace(make_fill(order, 1), commission_minor=None))
    told = desk.book.ledger.owed["USD"] + 3 * 10**8
    account = account_of(desk, desk.book.lots(A), told)

    waiting = reconcile(desk.book, account, LAX)
    assert (waiting.mode, waiting.events) == (TradingState.ACTIVE, ())

    (execution_id,) = set(desk.book.ledger.executions) - set(desk.book.ledger.commissions)
    charge = ev.CommissionCharged(
        event_id="charge",
        time_ns=NOW_NS,
        execution_id=execution_id,
        currency="USD",
        commission_minor=10**8,
    )
    desk.note(charge)
    _book_paid(desk, account, LAX, "split:cash", told + 10**8)


def _book_paid(
    desk: TradingDesk,
    account: BrokerAccount,
    rules: ReconciliationRules,
    action_id: str,
    amount_minor: int,
    *others: str,
) -> None:
    """Reconcile, and look that an estimate was paid so much, others as they were owed."""
    found = reconcile(desk.book, account, rules)
    assert found.mode is TradingState.ACTIVE
    amounts = {e.action_id: e.amount_minor for e in found.events}  # type: ignore[attr-defined]
    assert amounts == {action_id: amount_minor, **dict.fromkeys(others)}
    desk.take_in(found.events)
    again = reconcile(desk.book, account, rules)
    assert (again.mode, again.events) == (TradingState.ACTIVE, ())
    assert desk.book.ledger.find_imbalance() is None
