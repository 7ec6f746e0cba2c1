"""Reconciliation: whatever was missed is booked, whatever nobody can explain stops trading."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.findings import FindingKind
from swarm_core.instruments import to_minor
from swarm_core.order_states import OrderState
from swarm_core.orders import OrderSide
from swarm_core.reconciliation import BrokerAccount, BrokerOrder, ReconciliationRules, reconcile
from swarm_core.trading_state import TradingState
from tests.swarm_core.broker_accounts import LATER_NS, RULES, account, book_with, shown
from tests.swarm_core.builders import CASH, DAY_NS, NOW_NS, A, B, make_fill, make_order


def kinds(book: Book, told: BrokerAccount, rules: ReconciliationRules = RULES) -> list[FindingKind]:
    return [finding.kind for finding in reconcile(book, told, rules).findings]


def test_a_book_that_agrees_has_no_findings() -> None:
    """An order that works on both sides and empty hands: nothing to say."""
    order = make_order()

    found = reconcile(book_with(order), account(shown(order)), RULES)

    assert (found.findings, found.events, found.mode) == ((), (), TradingState.ACTIVE)


def test_a_fill_that_was_missed_is_booked_with_its_commission() -> None:
    """Filled while disconnected: the fill comes from the executions, trading goes on."""
    order, book = make_order(), book_with(make_order())
    told = account(shown(order, OrderState.FILLED), fills=(make_fill(order),))

    found = reconcile(book, told, RULES)
    book.apply_all(found.events)

    assert found.mode is TradingState.ACTIVE
    assert (book.lots(A), book.orders[order.client_order_id].state) == (10, OrderState.FILLED)
    assert book.ledger.find_imbalance() is None


def test_a_commission_that_came_late_is_booked_by_itself() -> None:
    """The fill was booked without it; it is an event of its own."""
    order, book = make_order(), book_with(make_order())
    fill = replace(make_fill(order), commission_minor=None)
    book.apply(fill)
    charge = ev.CommissionCharged(
        event_id="c",
        time_ns=LATER_NS,
        execution_id=fill.execution_id,
        currency="USD",
        commission_minor=7,
    )
    told = account(shown(order, OrderState.FILLED), fills=(fill,), commissions=(charge, charge))

    assert reconcile(book, told, RULES).events == (charge,)


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        (OrderState.CANCELLED, OrderState.CANCELLED),
        (OrderState.REJECTED, OrderState.REJECTED),
        (OrderState.EXPIRED, OrderState.EXPIRED),
    ],
)
def test_an_end_that_was_missed_is_booked(ending: OrderState, state: OrderState) -> None:
    """What the broker shows as ended ends in the book."""
    order, book = make_order(), book_with(make_order())

    book.apply_all(reconcile(book, account(shown(order, ending)), RULES).events)

    assert book.orders[order.client_order_id].state is state


def test_an_order_that_works_at_the_broker_unheard_is_accepted() -> None:
    """Sent, then disconnected: the account shows it, so it is there."""
    order, book = make_order(), book_with(make_order(), accepted=False)

    book.apply_all(reconcile(book, account(shown(order)), RULES).events)

    assert book.orders[order.client_order_id].state is OrderState.ACCEPTED


def test_an_unheard_order_that_the_broker_does_not_show_is_left_to_the_order_path() -> None:
    """It may be on its way; only the order path may say that it was lost."""
    assert kinds(book_with(make_order(), accepted=False), account()) == []


def test_an_accepted_order_that_is_nowhere_reduces() -> None:
    """The broker had it and shows it no more, on the same day: nobody knows."""
    found = reconcile(book_with(make_order()), account(), RULES)

    assert [f.kind for f in found.findings] == [FindingKind.ORDER_MISSING]
    assert found.mode is TradingState.REDUCING


def test_a_day_order_of_an_earlier_day_has_expired() -> None:
    """Brokers tell of what ended only for a day."""
    book = book_with(make_order())

    book.apply_all(reconcile(book, account(time_ns=NOW_NS + 2 * DAY_NS), RULES).events)

    assert not book.working_orders()


@pytest.mark.parametrize("ending", [None, OrderState.CANCELLED])
def test_a_copy_of_an_order_under_its_reference_is_not_the_order(
    ending: OrderState | None,
) -> None:
    """Made by hand or by another client: its end is none of ours, and its work is reported."""
    order, book = make_order(), book_with(make_order())
    ours = shown(order)
    copy = replace(ours, broker_order_id="77", ending=ending)
    accepted = ev.OrderAccepted(
        event_id="copy",
        time_ns=NOW_NS,
        client_order_id=order.client_order_id,
        broker_order_id="77",
    )
    assert book.knows(accepted)  # so it is never written again
    book.apply(accepted)

    found = reconcile(book, account(ours, copy), RULES)

    expected = [] if ending else [FindingKind.FOREIGN_ORDER]
    assert [f.kind for f in found.findings] == expected
    assert found.events == ()


@pytest.mark.parametrize(
    ("adopt", "kind", "mode"),
    [
        (False, FindingKind.FOREIGN_ORDER, TradingState.REDUCING),
        (True, FindingKind.ORDER_ADOPTED, TradingState.ACTIVE),
    ],
)
def test_an_order_placed_by_hand_is_reported_or_adopted(
    adopt: bool, kind: FindingKind, mode: TradingState
) -> None:
    """The rule says which; it has no reference of ours, only the broker's id."""
    by_hand = BrokerOrder(broker_order_id="77", client_order_id="", instrument_id=A)

    found = reconcile(book_with(), account(by_hand), ReconciliationRules(adopt_foreign=adopt))

    assert [f.kind for f in found.findings] == [kind]
    assert found.mode is mode


def test_an_adopted_fill_moves_the_position() -> None:
    """Bought by hand: the book holds it afterwards, and agrees."""
    book, fill = book_with(), make_fill(make_order(decision_id="by-hand"))
    rules = ReconciliationRules(adopt_foreign=True)

    book.apply_all(reconcile(book, account(fills=(fill,)), rules).events)

    assert book.lots(A) == 10
    assert kinds(book, account(fills=(fill,)), rules) == []


def test_a_foreign_fill_halts_through_the_position_it_made() -> None:
    """Not adopted: the fill is reported, and the position differs."""
    fill = make_fill(make_order(decision_id="by-hand"))

    found = reconcile(book_with(), account(fills=(fill,)), RULES)

    assert {f.kind for f in found.findings} == {
        FindingKind.FOREIGN_FILL,
        FindingKind.POSITION_DIFFERS,
    }
    assert (found.events, found.mode) == ((), TradingState.HALTED)


def test_an_execution_told_with_other_contents_halts() -> None:
    """One id, two prices: a correction that a person must look at."""
    order, book = make_order(), book_with(make_order())
    book.apply(make_fill(order, price_ticks=10_000))
    told = account(shown(order, OrderState.FILLED), fills=(make_fill(order, price_ticks=10_001),))

    found = reconcile(book, told, RULES)

    assert FindingKind.FILL_CONFLICT in [f.kind for f in found.findings]
    assert found.mode is TradingState.HALTED


def test_a_fill_beyond_the_order_halts() -> None:
    """More than was asked for is booked, and nothing more may leave."""
    order = make_order(lots=10)
    told = account(shown(order), fills=(make_fill(order, lots=11),))

    assert FindingKind.OVERFILLED in kinds(book_with(order), told)


@pytest.mark.parametrize(
    ("difference", "mode", "booked"),
    [(5, TradingState.ACTIVE, 1), (-5, TradingState.ACTIVE, 1), (6, TradingState.REDUCING, 0)],
)
def test_cash_is_booked_within_the_tolerance_and_reduces_beyond(
    difference: int, mode: TradingState, booked: int
) -> None:
    """Interest and dividends are small; what is large is somebody's error."""
    told = account(cash_minor={"USD": to_minor(CASH) + difference})

    found = reconcile(book_with(), told, ReconciliationRules(cash_tolerance_minor=5))

    assert (found.mode, len(found.events)) == (mode, booked)


LIVES = st.lists(
    st.tuples(
        st.integers(1, 20),  # lots ordered
        st.lists(st.integers(1, 20), max_size=4),  # lots of each fill
        st.integers(0, 4),  # how many fills the book has heard of
        st.booleans(),  # whether the broker shows the order as cancelled at the end
        st.booleans(),  # whether the broker was ever heard of
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(lives=LIVES, data=st.data())
def test_what_was_missed_is_booked_once_whatever_was_missed(
    lives: list[tuple[int, list[int], int, bool, bool]], data: st.DataObject
) -> None:
    """Any part of the story missed, told twice and in any order: book and account then agree."""
    orders = [
        make_order(
            A if n % 2 else B, lots=life[0], decision_id=f"d{n}", side=list(OrderSide)[n % 2]
        )
        for n, life in enumerate(lives)
    ]
    book = Book("USD", to_minor(CASH))
    seen: list[BrokerOrder] = []
    fills: list[ev.OrderFilled] = []
    for order, (lots, wanted, heard, cancelled, accepted) in zip(orders, lives, strict=True):
        part = book_with(order, accepted=accepted)
        book.orders |= part.orders
        book._working |= part._working
        left, mine = lots, list[ev.OrderFilled]()
        for number, size in enumerate(wanted):
            if size <= left:
                left -= size
                mine.append(make_fill(order, lots=size, number=number))
        fills += mine
        book.apply_all(mine[:heard])
        end = OrderState.FILLED if not left else OrderState.CANCELLED if cancelled else None
        seen.append(shown(order, end))
    told = account(*seen, fills=tuple(fills))
    told = replace(told, fills=tuple(data.draw(st.permutations([*fills, *fills]))))

    found = reconcile(book, told, RULES)
    book.apply_all(found.events)
    again = reconcile(book, told, RULES)

    assert found.mode is TradingState.ACTIVE
    assert (again.findings, again.events) == ((), ())
    assert book.ledger.find_imbalance() is None
    assert {i: p.lots for i, p in book.ledger.positions.items()} == dict(told.position_lots)
    for order, shown_order in zip(orders, seen, strict=True):
        is_over = book.orders[order.client_order_id].state.is_final
        assert is_over is (shown_order.ending is not None)


@settings(max_examples=50, deadline=None)
@given(lots=st.integers(-5, 5).filter(bool))
def test_a_position_that_nothing_explains_halts(lots: int) -> None:
    """Whatever the size: the book and the broker disagree on what is held."""
    found = reconcile(book_with(), account(position_lots={A: lots}), RULES)

    assert found.mode is TradingState.HALTED
    assert f"{lots} at the broker" in found.reason


@pytest.mark.parametrize("ending", [OrderState.CANCELLED, OrderState.EXPIRED])
@pytest.mark.parametrize("is_shown", [True, False])
def test_an_order_that_waits_for_fills_ends_with_what_the_whole_account_shows(
    ending: OrderState, is_shown: bool
) -> None:
    order = make_order(lots=10)
    book, order_id = book_with(order), order.client_order_id
    head = {"event_id": "end", "time_ns": NOW_NS, "client_order_id": order_id}
    told = (
        ev.OrderCancelled(**head, reason="told", filled_lots=6)
        if ending is OrderState.CANCELLED
        else ev.OrderExpired(**head, unfilled_lots=4)
    )
    book.apply(told)
    assert book.orders[order_id].awaits_fills
    fill = make_fill(order, 4)
    shows = account(*([shown(order, ending)] if is_shown else []), fills=(fill,))

    found = reconcile(book, shows, RULES)
    assert found.mode is TradingState.ACTIVE
    book.apply_all(found.events)

    assert (book.orders[order_id].state, book.lots(A)) == (ending, 4)
    assert reconcile(book, shows, RULES).events == ()
