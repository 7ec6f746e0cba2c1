"""What fills cost since the last decision comes from the log alone, and each thing counts once."""

from dataclasses import replace

import pytest

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.lineage import Lineage
from swarm_core.orders import ExitKind, Order, OrderKind, OrderSide, TimeInForce
from tests.swarm_core.builders import make_fill, make_order

REFERENCE = 10_000


def _approved(order: Order, ticks: int) -> list[ev.Event]:
    return [
        ev.OrderIntended(event_id=f"i{order.client_order_id}", time_ns=1, order=order),
        ev.OrderApproved(
            event_id=f"a{order.client_order_id}{ticks}",
            time_ns=1,
            client_order_id=order.client_order_id,
            attempt=1,
            reference_ticks=ticks,
            value_micros=1,
        ),
    ]


def _book(*orders: Order) -> Book:
    book = Book("USD", 10**14)
    for order in orders:
        book.apply_all(_approved(order, REFERENCE))
    return book


@pytest.mark.parametrize(("side", "price", "worse"), [("BUY", 10_010, 10), ("SELL", 10_010, -10)])
def test_a_fill_costs_what_it_is_worse_than_the_price_decided_on_and_its_commission(
    side: str, price: int, worse: int
) -> None:
    order = make_order(side=OrderSide[side], lots=7)
    book = _book(order)
    fill = make_fill(order, price_ticks=price)
    book.apply_all([fill, fill, replace(fill, event_id="told again")])
    assert book.realised.traded_minor == 7 * price * 10**6
    assert book.realised.paid_minor == worse * 7 * 10**6 + 50_000_000
    traded, paid = book.realised.fractions(1e6)
    assert traded == pytest.approx(7 * price * 1e-8)
    assert paid == pytest.approx((worse * 7 * 10**6 + 5e7) / 1e14)


def test_a_commission_told_apart_counts_once_whether_before_or_after_its_fill() -> None:
    order = make_order(lots=5)
    fill = replace(make_fill(order), commission_minor=None)
    told = ev.CommissionCharged(
        event_id="c", time_ns=3, execution_id=fill.execution_id, currency="USD", commission_minor=9
    )
    for events in ([fill, told, told], [told, fill, told]):
        book = _book(order)
        book.apply_all(events)
        assert book.realised.paid_minor == 9


def test_what_was_never_approved_or_has_no_rate_is_in_neither_sum() -> None:
    known, other = make_order(lots=5), make_order(decision_id="d2", lots=5)
    book = _book(known)
    book.apply_all([make_fill(other), replace(make_fill(known), currency="JPY")])
    assert (book.realised.traded_minor, book.realised.paid_minor) == (0, 0)


def test_a_decision_begins_anew_and_its_orders_before_may_still_fill() -> None:
    order = make_order(lots=10)
    book = _book(order)
    book.apply(make_fill(order, lots=4, price_ticks=10_010))
    lineage = Lineage(decision_id="d9", session="2020-01-02", colony_state_digest="x")
    taken = ev.DecisionTaken(
        event_id="t", time_ns=5, lineage=lineage, instrument_ids=(), target_weights=()
    )
    book.apply_all([taken, taken])
    assert book.realised.fractions(1e6) == (0.0, 0.0)
    book.apply(make_fill(order, lots=6, price_ticks=10_020, number=2))
    assert book.realised.paid_minor == 20 * 6 * 10**6 + 50_000_000


def test_slices_are_measured_from_where_their_parent_began() -> None:
    first, second = (
        replace(make_order(decision_id=f"d/{n}", lots=5), parent_client_order_id="P")
        for n in (1, 2)
    )
    book = Book("USD", 10**14)
    book.apply_all([*_approved(first, REFERENCE), *_approved(second, REFERENCE + 30)])
    book.apply(make_fill(second, price_ticks=REFERENCE + 30))
    assert book.realised.paid_minor == 30 * 5 * 10**6 + 50_000_000


def test_an_exit_and_an_order_that_an_action_has_changed_are_in_neither_sum() -> None:
    exit_, split = make_order(lots=5), make_order(decision_id="d2", lots=5)
    exit_ = replace(
        exit_, kind=OrderKind.STOP, stop_price_ticks=9_500, time_in_force=TimeInForce.DAY,
        exit_kind=ExitKind.STOP_LOSS, parent_client_order_id="P",
    )  # fmt: skip
    adjusted = ev.OrderAdjusted(
        event_id="s", time_ns=2, client_order_id=split.client_order_id, action_id="split",
        quantity_lots=10, limit_price_ticks=None, stop_price_ticks=None,
    )  # fmt: skip
    book = _book(exit_, split)
    book.apply_all([adjusted, make_fill(exit_), make_fill(split, price_ticks=REFERENCE // 2)])
    assert (book.realised.traded_minor, book.realised.paid_minor) == (0, 0)
