"""A working order that a person changes in the broker's own program is followed, and told."""

from dataclasses import replace

import pytest

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.broker_account import BrokerOrder
from swarm_core.findings import FindingKind
from swarm_core.order_states import OrderState
from swarm_core.orders import ExitKind, Order, OrderKind, TimeInForce
from swarm_core.reconciliation import ReconciliationRules, reconcile
from swarm_core.trading_state import TradingState
from swarm_core.working_terms import WorkingTerms
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


def made(kind: OrderKind | str, **fields: object) -> BrokerOrder:
    """Return the order as the broker shows it after another hand was at it."""
    limit = 9_000 if isinstance(kind, OrderKind) and kind.has_limit else None
    return replace(works(100, limit), kind=kind, **fields)  # type: ignore[arg-type]  # a builder


@pytest.mark.parametrize(
    ("adopts", "code", "mode"),
    [(False, "order_unbound", TradingState.REDUCING), (True, "order_changed", TradingState.ACTIVE)],
)
def test_a_limit_order_that_was_made_a_market_order_is_followed_and_stops_new_risk(
    *, adopts: bool, code: str, mode: TradingState
) -> None:
    """The gate has approved it up to its limit; the book held it for a limit order for ever."""
    book, rules = book_with(ORDER), ReconciliationRules(adopt_foreign=adopts)
    found = reconcile(book, account(made(OrderKind.MARKET)), rules)

    book.apply_all(found.events)

    assert ([f.kind.code for f in found.findings], found.mode) == ([code], mode)
    order = book.orders[ID].order
    assert (order.kind, order.limit_price_ticks) == (OrderKind.MARKET, None)
    assert not reconcile(book, account(made(OrderKind.MARKET)), rules).events


def test_another_kind_with_a_price_bound_is_followed() -> None:
    """It may cost no more than was approved."""
    book = book_with(ORDER)
    shows = made(OrderKind.STOP_LIMIT, terms=WorkingTerms(100, 9_000, 9_100))

    assert follow(book, shows) == "order_changed"

    order = book.orders[ID].order
    assert (order.kind, order.stop_price_ticks) == (OrderKind.STOP_LIMIT, 9_100)


def test_another_time_in_force_is_followed() -> None:
    """A day order that a person made good till cancelled was taken for expired the next day."""
    book = book_with(ORDER)
    shows = made(OrderKind.LIMIT, time_in_force=TimeInForce.GOOD_TILL_CANCELLED)

    assert follow(book, shows) == "order_changed"
    assert follow(book, shows) == ""

    assert book.orders[ID].order.time_in_force is TimeInForce.GOOD_TILL_CANCELLED


def test_a_kind_that_no_order_of_ours_can_have_stops_new_risk_until_it_is_gone() -> None:
    book = book_with(ORDER)

    found = reconcile(book, account(made("TRAIL")), RULES)

    assert found.mode is TradingState.REDUCING
    assert "does as TRAIL: cancel it" in found.reason
    assert not found.events


def test_an_exit_keeps_its_kind_and_follows_its_price() -> None:
    """It was shown and guarded at the price of before; what it is for stays."""
    exit_order = replace(
        make_order(lots=100),
        kind=OrderKind.STOP,
        stop_price_ticks=8_000,
        parent_client_order_id=ID,
        exit_kind=ExitKind.STOP_LOSS,
        slice_index=1,
    )
    book, exit_id = book_with(exit_order), exit_order.client_order_id
    moved = replace(shown(exit_order), kind=OrderKind.STOP, terms=WorkingTerms(40, None, 8_500))

    assert follow(book, moved) == "order_changed"
    order = book.orders[exit_id].order
    assert (order.quantity_lots, order.stop_price_ticks) == (100, 8_500)
    other = replace(moved, kind=OrderKind.LIMIT, terms=WorkingTerms(40, 9_000, None))
    assert follow(book, other) == "order_strange"
    assert follow(book, replace(moved, kind=OrderKind.MARKET)) == ""  # its stop price has traded


def test_an_order_that_the_broker_holds_is_told_and_stays_open() -> None:
    book = book_with(ORDER)
    held = replace(works(100), held="it is inactive")

    found = reconcile(book, account(held), RULES)

    assert [str(f) for f in found.findings] == [f"order_held {ID}: it is inactive"]
    assert (found.mode, found.events) == (TradingState.ACTIVE, ())
