"""Reconciliation: whatever was missed is booked, whatever nobody can explain stops trading."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.instruments import to_minor
from swarm_core.order_states import OrderState
from swarm_core.orders import Order, OrderSide
from swarm_core.reconciliation import (
    BrokerAccount,
    BrokerOrder,
    FindingKind,
    ReconciliationRules,
    reconcile,
)
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import CASH, DAY_NS, NOW_NS, A, B, make_fill, make_order

FILLED = OrderState.FILLED
LATER_NS = NOW_NS + 10**9
RULES = ReconciliationRules()


def book_with(*orders: Order, accepted: bool = True) -> Book:
    """Return a book whose orders were sent, and accepted by the broker or never heard of."""
    book = Book("USD", to_minor(CASH))
    for order in orders:
        order_id = order.client_order_id
        fields = {"client_order_id": order_id, "time_ns": NOW_NS}
        book.apply(ev.OrderIntended(event_id=f"i{order_id}", order=order, time_ns=NOW_NS))
        book.apply(
            ev.OrderApproved(
                event_id="v", attempt=1, reference_ticks=10_000, value_micros=1, **fields
            )
        )
        book.apply(ev.OrderSubmitted(event_id="s", attempt=1, **fields))
        if accepted:
            book.apply(ev.OrderAccepted(event_id="a", broker_order_id=f"P{order_id}", **fields))
    return book


def shown(order: Order, ending: OrderState | None = None) -> BrokerOrder:
    return BrokerOrder(
        broker_order_id=f"P{order.client_order_id}",
        client_order_id=order.client_order_id,
        instrument_id=order.instrument_id,
        ending=ending,
    )


def account(
    *orders: BrokerOrder, fills: tuple[ev.OrderFilled, ...] = (), **fields: object
) -> BrokerAccount:
    lots: dict[str, int] = {}
    for fill in fills:
        lots[fill.instrument_id] = lots.get(fill.instrument_id, 0) + fill.side.sign * fill.lots
    values: dict[str, object] = {"position_lots": lots, "time_ns": LATER_NS, **fields}
    return BrokerAccount(orders=orders, fills=fills, **values)  # type: ignore[arg-type]  # a builder


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


def corrected(fill: ev.OrderFilled, price_ticks: int, revision: int = 2, lots: int | None = None):
    return ev.ExecutionCorrected(
        event_id=f"c{revision}",
        time_ns=LATER_NS,
        execution_id=fill.execution_id,
        revision=revision,
        lots=fill.lots if lots is None else lots,
        price_ticks=price_ticks,
    )


def test_a_corrected_execution_is_booked_once_at_its_new_price() -> None:
    """The broker tells the old price, the new one or both; the correction is told twice."""
    order = make_order(lots=10)
    fill, book = make_fill(order), book_with(order)
    book.apply(fill)
    cash, new = book.ledger.cash["USD"], replace(fill, price_ticks=10_050)
    paid = 10 * 50 * fill.lot_tick_minor
    fields = {"cash_minor": {"USD": cash - paid}, "corrections": (corrected(fill, 10_050),)}
    for told in (fill, new):
        found = reconcile(book, account(shown(order, FILLED), fills=(told,), **fields), RULES)
        assert (found.mode, len(found.events)) == (TradingState.ACTIVE, 1)
    book.apply_all([*found.events, *found.events])
    again = reconcile(book, account(shown(order, FILLED), fills=(fill,), **fields), RULES)

    position = book.ledger.positions[A]
    assert (again.findings, again.events) == ((), ())
    assert (book.ledger.cash["USD"], position.lots) == (cash - paid, 10)
    assert position.cost_minor == 10 * 10_050 * fill.lot_tick_minor
    assert book.ledger.find_imbalance() is None
    own = book.strategies["colony"]
    assert own.positions[A].cost_minor == position.cost_minor


def test_a_correction_of_what_was_missed_is_booked_after_it() -> None:
    order = make_order(lots=10)
    fill, book = make_fill(order), book_with(order)
    both = (corrected(fill, 10_050), corrected(fill, 9_990, revision=3))
    book.apply_all(
        reconcile(
            book, account(shown(order, FILLED), fills=(fill,), corrections=both), RULES
        ).events
    )

    assert book.ledger.executions[fill.execution_id].price_ticks == 9_990
    assert book.knows(both[0])  # the highest revision counts
    assert book.ledger.find_imbalance() is None


def test_a_correction_of_the_quantity_halts() -> None:
    order = make_order(lots=10)
    fill, book = make_fill(order), book_with(order)
    book.apply(fill)
    other = corrected(fill, 10_000, lots=9)
    found = reconcile(
        book, account(shown(order, FILLED), fills=(fill,), corrections=(other,)), RULES
    )
    book.apply(other)

    assert found.mode is TradingState.HALTED
    assert FindingKind.FILL_CONFLICT in {f.kind for f in found.findings}
    assert book.lots(A) == 10


@given(
    st.lists(st.integers(-9, 9).filter(bool), min_size=1, max_size=6), st.integers(9_000, 11_000)
)
def test_the_books_balance_whatever_is_corrected_when(trades: list[int], price: int) -> None:
    """Shares and futures: each execution is corrected at the end, when some of it was closed."""
    for is_margined in (False, True):
        book, fills = Book("USD", to_minor(CASH)), list[ev.OrderFilled]()
        for number, lots in enumerate(trades):
            side = OrderSide.BUY if lots > 0 else OrderSide.SELL
            order = make_order(lots=abs(lots), side=side, decision_id=f"d{number}")
            fills.append(replace(make_fill(order, number=number), is_margined=is_margined))
        book.apply_all(fills)
        nav = book.ledger.find_nav_minor()
        for fill in fills:
            book.apply(corrected(fill, price))
            assert book.ledger.find_imbalance() is None
        more = sum(f.side.sign * f.lots * (price - f.price_ticks) * f.lot_tick_minor for f in fills)
        assert nav is not None
        assert book.ledger.find_nav_minor() == nav - more
        assert book.lots(A) == sum(trades)
