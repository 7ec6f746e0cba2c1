"""A working order that a person changes in the broker's own program is followed, and told."""

from dataclasses import replace

import pytest

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.broker_account import BrokerOrder
from swarm_core.findings import FindingKind
from swarm_core.order_states import OrderState, WorkingTerms
from swarm_core.orders import Order
from swarm_core.reconciliation import ReconciliationRules, reconcile
from swarm_core.trading_state import TradingState
from tests.swarm_core.broker_accounts import FILLED, RULES, account, book_with, shown
from tests.swarm_core.builders import NOW_NS, make_fill, make_order

ORDER = make_order(lots=100, limit=9_000)
ID = ORDER.client_order_id


def works(
    lots: int, limit: int | None = 9_000, ending: OrderState | None = None, order: Order = ORDER
) -> BrokerOrder:
    return replace(shown(order, ending), terms=WorkingTerms(lots, limit, None))


def follow(book: Book, *orders: BrokerOrder, rules: ReconciliationRules = RULES) -> str:
    """Reconcile, book what was found, and return the kinds."""
    found = reconcile(book, account(*orders), rules)
    book.apply_all(found.events)
    assert not reconcile(book, account(*orders), rules).events
    return " ".join(f.kind.code for f in found.findings)


def test_a_smaller_order_is_followed_and_frees_what_it_no_longer_asks_for() -> None:
    """Its lost lots counted as open for ever, and later decisions were sized for them."""
    book = book_with(ORDER)

    assert follow(book, works(40)) == "order_changed"

    assert book.orders[ID].open_lots == 40
    book.apply(make_fill(ORDER, lots=40))
    assert book.orders[ID].state is FILLED


def test_one_that_is_changed_back_and_forth_is_followed_each_time() -> None:
    """The same terms may come again."""
    book = book_with(ORDER)
    events = list[str]()
    for time_ns, lots in enumerate((40, 100, 40), NOW_NS):
        told = replace(account(works(lots)), time_ns=time_ns)
        found = reconcile(book, told, RULES)
        events += [e.event_id for e in found.events]
        book.apply_all(found.events)
        assert book.orders[ID].order.quantity_lots == lots

    assert len(set(events)) == 3


def test_another_price_is_followed() -> None:
    """The gate values what works at the price at which it works."""
    book = book_with(ORDER)

    assert follow(book, works(100, 9_100)) == "order_changed"

    assert book.orders[ID].order.limit_price_ticks == 9_100


@pytest.mark.parametrize(
    ("adopts", "code", "mode"),
    [(False, "order_grown", TradingState.REDUCING), (True, "order_changed", TradingState.ACTIVE)],
)
def test_a_larger_order_is_counted_and_stops_new_risk(
    *, adopts: bool, code: str, mode: TradingState
) -> None:
    """The gate has not approved it: it is counted before it fills, and a person looks at it."""
    book, rules = book_with(ORDER), ReconciliationRules(adopt_foreign=adopts)
    found = reconcile(book, account(works(150)), rules)

    book.apply_all(found.events)

    assert ([f.kind.code for f in found.findings], found.mode) == ([code], mode)
    assert book.orders[ID].open_lots == 150


def test_an_order_that_was_made_smaller_and_filled_has_ended() -> None:
    """It was partly filled for ever, and nothing of the rest could come."""
    book = book_with(ORDER)
    book.apply(make_fill(ORDER, lots=40))
    told = account(works(40, ending=FILLED), fills=(make_fill(ORDER, lots=40),))

    found = reconcile(book, told, RULES)
    book.apply_all(found.events)

    assert book.orders[ID].state is OrderState.CANCELLED
    assert [f.kind for f in found.findings] == [FindingKind.MISSED_STATE]


def test_its_fills_may_be_told_after_that() -> None:
    """Until they are, its lots are open."""
    book = book_with(ORDER)

    follow(book, works(40, ending=FILLED))

    assert (book.orders[ID].state, book.orders[ID].open_lots) == (OrderState.CANCEL_PENDING, 40)
    book.apply(make_fill(ORDER, lots=40))
    assert book.orders[ID].state is OrderState.CANCELLED


def test_a_filled_order_whose_fills_are_not_told_yet_is_left_alone() -> None:
    """It filled whole, so its fills end it."""
    book = book_with(ORDER)

    assert follow(book, works(100, ending=FILLED)) == ""

    assert book.orders[ID].open_lots == 100


def test_a_change_of_ours_that_is_not_answered_is_left_to_it() -> None:
    """The broker may show the order before or after it."""
    book = book_with(ORDER)
    asked = ev.OrderModifyRequested(
        event_id="m", time_ns=NOW_NS, client_order_id=ID, number=1, quantity_lots=40,
        limit_price_ticks=9_000, stop_price_ticks=None, reference_ticks=9_000, value_micros=1,
    )  # fmt: skip
    book.apply(asked)

    assert follow(book, works(40)) == ""

    assert book.orders[ID].state is OrderState.MODIFY_PENDING


@pytest.mark.parametrize("told", [works(0), works(100, None), shown(ORDER)])
def test_terms_that_are_not_told_change_nothing(told: BrokerOrder) -> None:
    """Some gateways show no quantity, or no price."""
    assert follow(book_with(ORDER), told) == ""
