"""Nights at a broker that keeps its own books: its account agrees around an action."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from swarm_core import events as ev
from swarm_core.actions.action import CorporateAction
from swarm_core.actions.dividends import CashDividend
from swarm_core.actions.splits import Split
from swarm_core.reconciliation import BrokerAccount, ReconciliationRules, reconcile
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import NOW_NS, A, make_decision
from tests.trader.desks import make_desk
from tests.trader.venue import FileVenue
from trader.desk import TradingDesk
from trader.overnight import NightBooks
from trader.session_keeper import SessionKeeper

SPLIT = Split(action_id="split", instrument_id=A, numerator=4, denominator=1)
DIVIDEND = CashDividend(
    action_id="paid", instrument_id=A, amount=Decimal("0.5"), currency="USD", pay_ns=0
)


class Told:
    """Actions that are all of the next session."""

    def __init__(self, *actions: CorporateAction) -> None:
        self.actions = actions

    def of_session(self, before: str, session: str):
        return self.actions if before else ()

    def announced(self, after: str, until_ns: int):
        return self.actions


class Days:
    def __init__(self) -> None:
        self.session = "2024-01-01"

    def session_at(self, time_ns: int) -> str:
        return self.session

    def is_over(self, session: str, time_ns: int) -> bool:
        return session < self.session

    def is_open(self, time_ns: int) -> bool:
        return True


def _held(home: Path, *actions: CorporateAction) -> tuple[TradingDesk, SessionKeeper, Days]:
    """Return a desk that has opened a session and then bought."""
    desk, days = make_desk(home, FileVenue(home / "venue")), Days()
    keeper = SessionKeeper(desk, days, NightBooks(desk, desk.broker, Told(*actions)))
    keeper.open_if_due(NOW_NS)
    desk.release(make_decision("d1", A=0.1))
    desk.take_in(desk.broker.heard())  # type: ignore[attr-defined]  # a FileVenue speaks
    assert desk.book.lots(A) > 0
    return desk, keeper, days


def _account(desk: TradingDesk, lots: int, cash_more: int = 0) -> BrokerAccount:
    ledger = desk.book.ledger
    return BrokerAccount(
        time_ns=NOW_NS + 1,
        fills=tuple(ledger.executions.values()),
        position_lots={A: lots},
        cash_minor={"USD": ledger.cash["USD"] + cash_more},
    )


def test_a_split_that_the_account_shows_before_the_opening_is_explained_once(
    tmp_path: Path,
) -> None:
    desk, keeper, days = _held(tmp_path, SPLIT)
    before = desk.book.lots(A)
    account = _account(desk, 4 * before)
    assert reconcile(desk.book, account, ReconciliationRules()).mode is TradingState.HALTED

    assert keeper.nights.explain(account, NOW_NS + 1)

    assert desk.book.lots(A) == 4 * before
    assert reconcile(desk.book, account, ReconciliationRules()).mode is TradingState.ACTIVE
    days.session = "2024-01-02"
    keeper.open_if_due(NOW_NS + 2)
    assert desk.book.lots(A) == 4 * before
    assert not keeper.nights.explain(account, NOW_NS + 3)


def test_a_position_that_no_action_makes_agree_is_not_explained(tmp_path: Path) -> None:
    desk, keeper, _ = _held(tmp_path, SPLIT)
    before = desk.book.lots(A)

    assert not keeper.nights.explain(_account(desk, 4 * before + 1), NOW_NS + 1)

    assert desk.book.lots(A) == before


def test_a_dividend_is_owed_from_its_date_and_paid_when_the_account_shows_it(
    tmp_path: Path,
) -> None:
    desk, keeper, days = _held(tmp_path, DIVIDEND)
    cash, nav = desk.book.ledger.cash["USD"], desk.book.ledger.find_nav_minor()
    assert nav is not None
    days.session = "2024-01-02"
    keeper.open_if_due(NOW_NS + 2)
    owed = desk.book.ledger.entitlements["paid"].amount_minor
    assert owed > 0
    assert desk.book.ledger.cash["USD"] == cash
    assert desk.book.ledger.find_nav_minor() == nav + owed
    lots, rules = desk.book.lots(A), ReconciliationRules()
    unpaid = reconcile(desk.book, _account(desk, lots), rules)
    assert (unpaid.mode, unpaid.events) == (TradingState.ACTIVE, ())

    paid = reconcile(desk.book, _account(desk, lots, owed), rules)
    assert [type(e) for e in paid.events] == [ev.EntitlementPaid]
    desk.take_in(paid.events)

    assert desk.book.ledger.cash["USD"] == cash + owed
    again = replace(_account(desk, lots))
    assert reconcile(desk.book, again, rules).events == ()
    taxed = reconcile(desk.book, _account(desk, lots, owed), rules)
    assert taxed.mode is TradingState.REDUCING  # paid is paid: more of it is no dividend
