"""Nights at a broker that keeps its own books: its account agrees around an action."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from swarm_core import events as ev
from swarm_core.actions.action import CorporateAction
from swarm_core.actions.dividends import CashDividend
from swarm_core.actions.exchanges import StockMerger
from swarm_core.actions.splits import Split
from swarm_core.orders import Order, OrderSide
from swarm_core.reconciliation import BrokerAccount, ReconciliationRules, reconcile
from swarm_core.risk.codes import DenialCode
from swarm_core.sizing_settings import ExitSettings
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import (
    DAY_NS,
    NOW_NS,
    A,
    B,
    make_decision,
    make_fill,
    make_order,
    make_quote,
)
from tests.trader.desks import make_desk
from tests.trader.sessions import ListFeed, PlannedEngine
from tests.trader.venue import FileVenue
from trader.desk import TradingDesk
from trader.kill_switch import Halt
from trader.loop import Trader
from trader.overnight import NightBooks
from trader.session_keeper import SessionKeeper
from trader.settings import TraderSettings

_S = 10**9
SPLIT = Split(action_id="split", instrument_id=A, numerator=4, denominator=1)
DIVIDEND = CashDividend(
    action_id="paid", instrument_id=A, amount=Decimal("0.5"), currency="USD", pay_ns=0
)
DIVIDEND_OF_B = replace(DIVIDEND, action_id="paid too", instrument_id=B)


class Told:
    """Actions that are all of the next session."""

    def __init__(self, *actions: CorporateAction) -> None:
        self.actions = actions

    def of_session(self, before: str, session: str):
        return self.actions if before else ()

    def announced(self, after: str, until_ns: int):
        return self.actions

    def halted(self, start_ns: int, end_ns: int):
        return frozenset()


class Days:
    def __init__(self) -> None:
        self.over_ns = NOW_NS + DAY_NS

    def session_at(self, time_ns: int) -> str:
        return "2024-01-01" if time_ns <= self.over_ns else "2024-01-02"

    def is_over(self, session: str, time_ns: int) -> bool:
        return time_ns > self.over_ns

    def is_open(self, time_ns: int) -> bool:
        return True


def held_overnight(
    home: Path, *actions: CorporateAction
) -> tuple[TradingDesk, SessionKeeper, Days]:
    """Return a desk that has opened a session and then bought."""
    desk, days = make_desk(home, FileVenue(home / "venue")), Days()
    keeper = SessionKeeper(desk, days, NightBooks(desk, desk.broker, Told(*actions), hours=days))
    keeper.open_if_due(NOW_NS)
    desk.release(make_decision("d1", A=0.1))
    desk.take_in(desk.broker.heard())  # type: ignore[attr-defined]  # a FileVenue speaks
    assert desk.book.lots(A) > 0
    return desk, keeper, days


def account_of(desk: TradingDesk, lots: int, cash_more: int = 0) -> BrokerAccount:
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
    desk, keeper, days = held_overnight(tmp_path, SPLIT)
    before = desk.book.lots(A)
    account = account_of(desk, 4 * before)
    assert reconcile(desk.book, account, ReconciliationRules()).mode is TradingState.HALTED

    assert keeper.nights.explain(account, NOW_NS + 1)

    assert desk.book.lots(A) == 4 * before
    assert reconcile(desk.book, account, ReconciliationRules()).mode is TradingState.ACTIVE
    pass_night(desk, days)
    keeper.open_if_due(desk.now_ns())
    assert desk.book.lots(A) == 4 * before
    assert not keeper.nights.explain(account, NOW_NS + 3)


def test_a_position_that_no_action_makes_agree_is_not_explained(tmp_path: Path) -> None:
    desk, keeper, _ = held_overnight(tmp_path, SPLIT)
    before = desk.book.lots(A)

    assert not keeper.nights.explain(account_of(desk, 4 * before + 1), NOW_NS + 1)

    assert desk.book.lots(A) == before


def test_a_merger_that_the_account_shows_is_explained_and_the_holding_converted(
    tmp_path: Path,
) -> None:
    merger = StockMerger(
        action_id="merged", instrument_id=A, to_instrument_id=B, ratio=Decimal("0.5")
    )
    desk, keeper, days = held_overnight(tmp_path, merger)
    before = desk.book.lots(A)
    account = replace(account_of(desk, 0), position_lots={B: before // 2})
    assert reconcile(desk.book, account, ReconciliationRules()).mode is TradingState.HALTED

    assert keeper.nights.explain(account, NOW_NS + 1)

    assert (desk.book.lots(A), desk.book.lots(B)) == (0, before // 2)
    assert A not in desk.quotes
    pass_night(desk, days)
    keeper.open_if_due(desk.now_ns())
    assert desk.book.lots(B) == before // 2


def test_a_dividend_is_owed_from_its_date_and_paid_when_the_account_shows_it(
    tmp_path: Path,
) -> None:
    desk, keeper, days = held_overnight(tmp_path, DIVIDEND)
    cash, nav = desk.book.ledger.cash["USD"], desk.book.ledger.find_nav_minor()
    assert nav is not None
    pass_night(desk, days)
    keeper.open_if_due(desk.now_ns())
    owed = desk.book.ledger.entitlements["paid"].amount_minor
    assert owed > 0
    assert desk.book.ledger.cash["USD"] == cash
    assert desk.book.ledger.find_nav_minor() == nav + owed
    lots, rules = desk.book.lots(A), ReconciliationRules()
    unpaid = reconcile(desk.book, account_of(desk, lots), rules)
    assert (unpaid.mode, unpaid.events) == (TradingState.ACTIVE, ())

    paid = reconcile(desk.book, account_of(desk, lots, owed), rules)
    assert [type(e) for e in paid.events] == [ev.EntitlementPaid]
    desk.take_in(paid.events)

    assert desk.book.ledger.cash["USD"] == cash + owed
    again = replace(account_of(desk, lots))
    assert reconcile(desk.book, again, rules).events == ()
    taxed = reconcile(desk.book, account_of(desk, lots, owed), rules)
    assert taxed.mode is TradingState.REDUCING  # paid is paid: more of it is no dividend


def test_what_splits_overnight_is_not_traded_before_the_opening_has_booked_it(
    tmp_path: Path,
) -> None:
    """The account, the book and a quote may each be of before or after: nothing leaves on them."""
    desk, keeper, days = held_overnight(tmp_path, SPLIT, DIVIDEND_OF_B)
    desk.unsettled, sent = keeper.unsettled, len(_received(desk))
    before = desk.book.lots(A)
    assert keeper.unsettled() == frozenset()

    pass_night(desk, days)
    assert keeper.unsettled() == {A}
    report = desk.release(make_decision("d2", A=0.05, B=0.05))

    assert report.denied == {A: DenialCode.NO_QUOTE}
    assert [order.instrument_id for order in report.orders] == [B]
    told = desk.halt(Halt(reason="a drill", actor="a person", flatten=True)).failures
    assert len(told) == 1
    assert f"{A}: NO_QUOTE" in told[0]
    assert A not in {o.instrument_id for o in _received(desk)[sent:]}
    nav = desk.book.ledger.find_nav_minor()
    desk.quotes[A] = replace(make_quote(A), reference_ticks=2_500)
    desk.mark(desk.now_ns())
    assert desk.book.ledger.find_nav_minor() == nav

    keeper.open_if_due(desk.now_ns())
    assert desk.book.lots(A) == 4 * before
    assert keeper.unsettled() == frozenset()


def test_exits_of_what_splits_overnight_wait_for_the_opening(tmp_path: Path) -> None:
    desk, keeper, days = held_overnight(tmp_path, SPLIT)
    desk.unsettled = keeper.unsettled
    desk.sizing = replace(
        desk.sizing, exits=ExitSettings(take_profit_fraction=0.1, stop_loss_fraction=0.05)
    )
    desk.release(make_decision("d2", A=0.2))
    desk.take_in(desk.broker.heard())  # type: ignore[attr-defined]
    for record in desk.book.working_orders():
        desk.cancel(record.order.client_order_id, "lost overnight")
    before, sent = desk.book.lots(A), len(_received(desk))

    pass_night(desk, days)
    desk.guard_exits()
    assert len(_received(desk)) == sent, "they would be of other lots, at other prices"

    keeper.open_if_due(desk.now_ns())
    desk.guard_exits()
    assert len(_received(desk)) == sent, "no quote of the new lots is known yet"
    desk.quotes[A] = replace(make_quote(A), reference_ticks=2_500, session_open=True)
    desk.guard_exits()

    exits = _received(desk)[sent:]
    assert [order.quantity_lots for order in exits] == [4 * before, 4 * before]
    assert [o.limit_price_ticks or o.stop_price_ticks for o in exits] == [2_750, 2_375]


def test_a_session_that_closes_late_is_valued_at_its_own_quotes(tmp_path: Path) -> None:
    desk, keeper, days = held_overnight(tmp_path, SPLIT)
    nav = desk.book.ledger.find_nav_minor()
    days.over_ns = NOW_NS + 5
    desk.quotes[A] = replace(make_quote(A, time_ns=NOW_NS + 6), reference_ticks=2_500)
    desk.now_ns.ns = NOW_NS + 7  # type: ignore[attr-defined]  # a Timepiece

    keeper.close(NOW_NS + 7)

    assert desk.book.ledger.find_nav_minor() == nav


def pass_night(desk: TradingDesk, days: Days) -> None:
    days.over_ns = NOW_NS + 10 * _S  # later than what was bought
    desk.now_ns.ns = NOW_NS + 20 * _S  # type: ignore[attr-defined]  # a Timepiece


def _received(desk: TradingDesk) -> list[Order]:
    assert isinstance(desk.broker, FileVenue)
    return list(desk.broker.orders().values())


@pytest.mark.parametrize("side", [OrderSide.BUY, OrderSide.SELL])
def test_a_dividend_that_is_booked_late_is_of_what_was_held_before_its_date(
    side: OrderSide, tmp_path: Path
) -> None:
    """The opening met fills of its own day: they are told, and no dividend is owed on them."""
    desk, keeper, days = held_overnight(tmp_path, DIVIDEND)
    before, cash = desk.book.lots(A), desk.book.ledger.cash["USD"]
    order = make_order(lots=before, side=side, decision_id="d9")
    desk.note(replace(make_fill(order, before), time_ns=NOW_NS + 15 * _S))
    assert desk.book.lots(A) == before + side.sign * before
    paid = desk.book.ledger.cash["USD"] - cash

    pass_night(desk, days)
    keeper.open_if_due(desk.now_ns())

    owed = desk.book.ledger.entitlements["paid"].amount_minor
    assert owed == before * 50_000_000
    assert desk.book.ledger.cash["USD"] == cash + paid
    assert desk.book.ledger.find_imbalance() is None


def test_what_was_filled_stays_in_memory_until_the_night_is_booked(tmp_path: Path) -> None:
    desk, keeper, days = held_overnight(tmp_path, DIVIDEND)
    settings = TraderSettings(retire_after_s=1.0)
    assert isinstance(desk.broker, FileVenue)
    trader = Trader(
        desk,
        desk.broker,
        ListFeed([]),
        PlannedEngine([]),
        settings,
        ReconciliationRules(),
        hours=days,
        nights=keeper.nights,
    )
    pass_night(desk, days)
    trader._watch()
    assert desk.book.ledger.executions

    trader._keep_session()
    assert "paid" in desk.book.ledger.entitlements
    trader.account.reconcile()
    assert not desk.book.ledger.executions


@pytest.mark.parametrize("differs_minor", [0, 7 * 10**8])
def test_a_dividend_that_was_paid_while_the_trader_was_away_is_booked_at_its_start(
    tmp_path: Path, differs_minor: int
) -> None:
    """Its cash stood in the account before the night was booked, and stopped new risk."""
    desk, keeper, days = held_overnight(tmp_path, DIVIDEND)
    owed = desk.book.lots(A) * 50_000_000
    account = account_of(desk, desk.book.lots(A), owed + differs_minor)
    desk.broker.account = lambda: account  # type: ignore[method-assign]
    trader = Trader(
        desk,
        desk.broker,  # type: ignore[arg-type]  # a FileVenue
        ListFeed([]),
        PlannedEngine([]),
        TraderSettings(),
        ReconciliationRules(),
        hours=days,
        nights=keeper.nights,
    )
    pass_night(desk, days)
    trader._watch()
    assert desk.book.trading_state is TradingState.ACTIVE
    assert trader._why_not() == "the night before the session must be booked first"

    trader._keep_session()

    reduced = desk.book.trading_state is TradingState.REDUCING
    assert reduced == bool(differs_minor)
    assert ("paid" in desk.book.ledger.paid) == (not differs_minor)
    assert not trader.account.is_put_off


def test_a_book_whose_first_session_opens_after_a_split_of_what_it_holds_books_it(
    tmp_path: Path,
) -> None:
    """On the day that it was bought no session could be opened: its account was not read."""
    desk, days = make_desk(tmp_path, FileVenue(tmp_path / "venue")), Days()
    nights = NightBooks(desk, desk.broker, Told(SPLIT), hours=days)
    keeper = SessionKeeper(desk, days, nights)
    desk.release(make_decision("d1", A=0.1))
    desk.take_in(desk.broker.heard())  # type: ignore[attr-defined]  # a FileVenue speaks
    before, nav = desk.book.lots(A), desk.book.ledger.find_nav_minor()
    assert (before > 0, desk.book.session, nights.since) == (True, "", "2024-01-01")

    pass_night(desk, days)
    assert keeper.unsettled() == {A}
    desk.quotes[A] = replace(make_quote(A), reference_ticks=2_500)
    keeper.open_if_due(desk.now_ns())

    assert desk.book.session == "2024-01-02"
    assert desk.book.lots(A) == 4 * before
    assert desk.book.ledger.find_nav_minor() == nav
