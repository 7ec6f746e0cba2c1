"""Executions that the broker corrects: booked once, at the price that it told last."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.findings import FindingKind
from swarm_core.instruments import to_minor
from swarm_core.orders import OrderSide
from swarm_core.reconciliation import reconcile
from swarm_core.trading_state import TradingState
from tests.swarm_core.broker_accounts import FILLED, LATER_NS, RULES, account, book_with, shown
from tests.swarm_core.builders import CASH, A, make_fill, make_order


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


@pytest.mark.parametrize("lots", [7, 12])
def test_a_correction_of_the_quantity_is_booked(lots: int) -> None:
    """Part of a trade is taken back, or added: position, cash and order are as the account's."""
    order = make_order(lots=20)
    fill, book = make_fill(order, 10), book_with(order)
    book.apply(fill)
    cash = book.ledger.cash["USD"]
    other = corrected(fill, 10_020, lots=lots)
    paid = (lots * 10_020 - 10 * 10_000) * fill.lot_tick_minor
    fields = {
        "cash_minor": {"USD": cash - paid},
        "corrections": (other,),
        "position_lots": {A: lots},
    }

    found = reconcile(book, account(shown(order), fills=(fill,), **fields), RULES)
    book.apply_all(found.events)
    again = reconcile(book, account(shown(order), fills=(fill,), **fields), RULES)

    assert [f.kind for f in found.findings] == [FindingKind.FILL_CORRECTED]
    assert (found.mode, again.findings, again.events) == (TradingState.ACTIVE, (), ())
    record = book.orders[order.client_order_id]
    assert (book.lots(A), record.filled_lots, record.open_lots) == (lots, lots, 20 - lots)
    assert book.ledger.cash["USD"] == cash - paid
    assert book.strategies["colony"].positions[A].lots == lots
    assert book.ledger.find_imbalance() is None


@pytest.mark.parametrize("sold", [0, 4])
def test_an_execution_that_is_taken_back_whole_is_booked_out_and_halts_once(sold: int) -> None:
    """What was sold of it meanwhile is short then; it may stand again, in a later word."""
    order = make_order(lots=10)
    fill, book = make_fill(order), book_with(order)
    book.apply(fill)
    if sold:
        sale = make_order(lots=sold, side=OrderSide.SELL, decision_id="s")
        book.apply(ev.OrderIntended(event_id="sale", time_ns=LATER_NS, order=sale))
        book.apply(make_fill(sale, number=9))
    cash = book.ledger.cash["USD"]
    paid = 10 * fill.price_ticks * fill.lot_tick_minor
    told = account(
        shown(order, FILLED),
        corrections=(corrected(fill, 0, lots=0),),
        position_lots={A: -sold} if sold else {},
        cash_minor={"USD": cash + paid},
    )

    found = reconcile(book, told, RULES)
    book.apply_all([*found.events, *found.events])
    again = reconcile(book, told, RULES)

    assert found.mode is TradingState.HALTED
    assert [f.kind for f in found.findings] == [FindingKind.FILL_TAKEN_BACK]
    assert (again.mode, again.findings, again.events) == (TradingState.ACTIVE, (), ())
    record = book.orders[order.client_order_id]
    assert (book.lots(A), record.filled_lots, record.open_lots) == (-sold, 0, 0)
    assert book.ledger.cash["USD"] == cash + paid
    assert book.ledger.find_imbalance() is None
    assert book.strategies["colony"].positions[A].lots == book.lots(A)

    book.apply(corrected(fill, 9_990, revision=3, lots=10))
    assert book.lots(A) == 10 - sold
    assert book.ledger.cash["USD"] == cash + paid - 10 * 9_990 * fill.lot_tick_minor
    assert book.ledger.find_imbalance() is None


def test_two_corrections_that_are_told_at_once_are_paid_once() -> None:
    """In whatever order they come, the highest revision is what the account shows."""
    order = make_order(lots=10)
    fill = make_fill(order)
    second, third = corrected(fill, 10_050, lots=8), corrected(fill, 9_990, revision=3, lots=9)
    for both in ((second, third), (third, second)):
        book = book_with(order)
        book.apply(fill)
        paid = (9 * 9_990 - 10 * 10_000) * fill.lot_tick_minor
        told = account(
            shown(order, FILLED),
            fills=(fill,),
            corrections=both,
            position_lots={A: 9},
            cash_minor={"USD": book.ledger.cash["USD"] - paid},
        )

        found = reconcile(book, told, RULES)
        book.apply_all(found.events)

        assert found.mode is TradingState.ACTIVE, found.reason
        assert reconcile(book, told, RULES).findings == ()


@given(
    st.lists(st.integers(-9, 9).filter(bool), min_size=1, max_size=6),
    st.integers(9_000, 11_000),
    st.integers(-8, 8),
)
def test_the_books_balance_whatever_is_corrected_when(
    trades: list[int], price: int, change: int
) -> None:
    """Shares and futures: each execution is corrected at the end, when some of it was closed."""
    for is_margined in (False, True):
        book, fills = Book("USD", to_minor(CASH)), list[ev.OrderFilled]()
        for number, lots in enumerate(trades):
            side = OrderSide.BUY if lots > 0 else OrderSide.SELL
            order = make_order(lots=abs(lots), side=side, decision_id=f"d{number}")
            fills.append(replace(make_fill(order, number=number), is_margined=is_margined))
        book.apply_all(fills)
        nav = book.ledger.find_nav_minor()
        more = 0
        for fill in fills:
            lots = max(0, fill.lots + change)
            book.apply(corrected(fill, price, lots=lots))
            assert book.ledger.find_imbalance() is None
            paid = lots * (price - 10_000) - fill.lots * (fill.price_ticks - 10_000)
            more += fill.side.sign * paid * fill.lot_tick_minor  # valued at the mark of 10_000
        assert nav is not None
        assert book.ledger.find_nav_minor() == nav - more
        assert book.lots(A) == sum(f.side.sign * max(0, f.lots + change) for f in fills)
