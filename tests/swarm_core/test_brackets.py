"""Brackets over the order path: an order and its two exits leave together and close once."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.brokers.simulated import SimulatedBroker
from swarm_core import events as ev
from swarm_core.book import book_from_events
from swarm_core.brackets import check_bracket, exits_for
from swarm_core.exits import unprotected
from swarm_core.fills import FillSettings
from swarm_core.halting import cancel_all
from swarm_core.order_states import OrderState
from swarm_core.orders import ExitKind, Order, OrderKind, OrderSide
from swarm_core.risk.codes import DenialCode
from swarm_core.trading import recover
from swarm_core.trading_state import TradingState
from tests.swarm_core.bracket_rig import EXITS, MINUTE_NS, Rig
from tests.swarm_core.builders import (
    CASH,
    INSTRUMENTS,
    NOW_NS,
    A,
    make_bar,
    make_fill,
    make_limits,
    make_order,
)


def test_an_order_leaves_with_a_take_profit_and_a_stop() -> None:
    rig = Rig()
    report = rig.decide(A=0.1)

    entry, profit, stop = report.orders
    assert report.sent_count == 3
    assert (entry.side, profit.side, stop.side) == (
        OrderSide.BUY, OrderSide.SELL, OrderSide.SELL,
    )  # fmt: skip
    assert entry.quantity_lots == profit.quantity_lots == stop.quantity_lots
    assert (profit.limit_price_ticks, stop.stop_price_ticks) == (11_000, 9_500)
    assert {o.parent_client_order_id for o in (profit, stop)} == {entry.client_order_id}
    rig.check()


@pytest.mark.parametrize(
    ("price", "filled", "cancelled"),
    [(112.0, "take_profit", "stop_loss"), (94.0, "stop_loss", "take_profit")],
)
def test_one_exit_cancels_the_other(price: float, filled: str, cancelled: str) -> None:
    rig = Rig()
    rig.decide(A=0.1)
    rig.bar(100.0)
    assert rig.book.lots(A) == 1_000
    rig.bar(price)

    states = rig.states()
    assert (states[filled], states[cancelled]) == (OrderState.FILLED, OrderState.CANCELLED)
    assert rig.book.lots(A) == 0
    rig.check()


def test_exits_sleep_until_their_order_has_filled() -> None:
    rig = Rig()
    rig.decide(A=0.1)
    rig.bar(94.0)  # the bar that fills the order would also trigger the stop
    assert rig.book.lots(A) == 1_000
    assert rig.states()["stop_loss"] is OrderState.ACCEPTED
    rig.check()


def test_exits_do_not_count_as_exposure() -> None:
    rig = Rig(gross_fraction_max=0.101)
    report = rig.decide(A=0.1)
    assert report.sent_count == 3


def test_an_order_whose_exit_is_denied_does_not_leave() -> None:
    rig = Rig(messages_max=2)
    report = rig.decide(A=0.1)

    assert report.sent_count == 0
    assert set(rig.states().values()) == {OrderState.DENIED}
    assert sorted(code.value for code in report.denied.values()) == [
        "bracket", "bracket", "message_rate",
    ]  # fmt: skip
    rig.check()


def test_exits_of_a_denied_order_do_not_leave() -> None:
    rig = Rig(order_value_max=Decimal(1))
    report = rig.decide(A=0.1)
    assert report.sent_count == 0
    assert DenialCode.ORDER_VALUE in report.denied.values()
    rig.check()


@pytest.mark.parametrize("weight", [0.2, 0.0])
def test_a_denied_order_leaves_the_exits_before_it_in_charge(weight: float) -> None:
    """They protect what is held, and are taken back where less is held than they would close."""
    rig = Rig()
    rig.decide(A=0.1)
    rig.bar(100.0)
    rig.limits = make_limits(order_value_max=Decimal(1))
    report = rig.decide("d2", A=weight)
    assert DenialCode.ORDER_VALUE in report.denied.values()
    assert len(rig.venue.working_order_ids()) == 2
    assert unprotected(rig.book) == []

    rig.guard()
    assert len(rig.venue.working_order_ids()) == 2
    rig.tell(make_fill(make_order(A, 400, side=OrderSide.SELL, decision_id="by hand")))
    rig.guard()

    assert rig.book.lots(A) == 600
    assert all(r.open_lots <= 600 for r in rig.book.working_orders() if r.order.is_exit)
    rig.bar(94.0)
    assert rig.book.lots(A) >= 0


def test_exits_of_a_position_that_was_filled_in_part_are_renewed_for_what_is_held() -> None:
    rig = Rig()
    rig.decide(A=0.1)
    rig.bar(100.0, volume=1_000.0)  # an order at the open lives one bar, and gets a share of it
    held = rig.book.lots(A)
    assert 0 < held < 1_000
    assert rig.states()["stop_loss"] is OrderState.CANCELLED
    rig.guard()

    working = [r.order for r in rig.book.working_orders()]
    assert {(o.exit_kind, o.quantity_lots) for o in working} == {
        (ExitKind.TAKE_PROFIT, held), (ExitKind.STOP_LOSS, held),
    }  # fmt: skip
    count = len(rig.book.orders)
    rig.guard()
    assert len(rig.book.orders) == count, "exits are renewed once"
    rig.bar(94.0)
    assert rig.book.lots(A) == 0
    rig.check()


def test_a_new_decision_takes_the_place_of_earlier_exits() -> None:
    rig = Rig()
    rig.decide(A=0.1)
    rig.bar(100.0)
    rig.decide("d2", A=0.05)
    working = [(r.order.decision_id, r.order.exit_kind) for r in rig.book.working_orders()]
    assert {decision for decision, _ in working} == {"d2"}
    assert len(working) == 3
    rig.bar(100.0)
    held = rig.book.lots(A)
    exits = [r.order.quantity_lots for r in rig.book.working_orders()]
    assert 0 < held <= 500
    assert exits == [held, held]
    rig.bar(94.0)
    assert rig.book.lots(A) == 0
    rig.check()


def test_an_order_sized_before_an_exit_filled_is_denied() -> None:
    """The cancel of the exits comes too late: what was sized for another position stays."""
    rig = Rig()
    rig.decide(A=0.1)
    rig.bar(100.0)
    cancel = rig.venue.cancel

    def too_late(client_order_id: str, time_ns: int):
        if rig.book.lots(A):
            rig.now_ns += MINUTE_NS
            return rig.venue.on_bars([make_bar(A, rig.now_ns, 94.0)], rig.now_ns)
        return cancel(client_order_id, time_ns)

    rig.venue.cancel = too_late  # type: ignore[method-assign]
    report = rig.decide("d2", A=0.05)

    assert report.sent_count == 0
    assert set(report.denied.values()) == {DenialCode.BRACKET}
    assert rig.book.lots(A) == 0
    rig.check()


def test_the_kill_switch_cancels_an_order_and_its_exits() -> None:
    rig = Rig()
    rig.decide(A=0.1)
    cancel_all(book=rig.book, log=rig.log, broker=rig.venue, reason="drill", time_ns=rig.now_ns)
    assert set(rig.states().values()) == {OrderState.CANCELLED}
    assert rig.venue.working_order_ids() == ()


def test_exits_that_got_lost_among_the_three_are_sent_after_their_order() -> None:
    """The process died between the order and its exits, at a venue that takes one by one."""
    rig = Rig()

    class Killed(BaseException):
        pass

    def die_between(orders: list[Order], time_ns: int):
        rig.venue.submit(orders[0], time_ns)
        raise Killed

    together = rig.venue.submit_together
    rig.venue.submit_together = die_between  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        rig.decide(A=0.1)
    rig.venue.submit_together = together  # type: ignore[method-assign]
    rig.book = book_from_events(rig.log.read(), "USD", CASH)  # a new process
    recover(book=rig.book, log=rig.log, broker=rig.venue, time_ns=rig.now_ns)
    assert rig.states()["entry"] is OrderState.ACCEPTED
    assert rig.states()["stop_loss"] is OrderState.APPROVED
    rig.guard()

    assert set(rig.states().values()) == {OrderState.ACCEPTED}
    rig.bar(100.0)
    rig.bar(94.0)
    assert rig.book.lots(A) == 0
    rig.check()


def test_exits_do_not_leave_while_nobody_knows_whether_their_order_arrived() -> None:
    """All three got lost: without their order, exits would close what other orders hold."""
    rig = Rig()
    together, find = rig.venue.submit_together, rig.venue.find

    def broken(*_: object):
        raise ConnectionResetError("the line broke")

    rig.venue.submit_together = broken  # type: ignore[method-assign]
    entry, _, stop = rig.decide(A=0.1).orders
    rig.venue.submit_together = together  # type: ignore[method-assign]
    rig.venue.find = lambda i: broken() if i == entry.client_order_id else find(i)  # type: ignore[method-assign]
    recover(book=rig.book, log=rig.log, broker=rig.venue, time_ns=rig.now_ns)
    assert rig.states()["entry"] is OrderState.UNKNOWN
    assert rig.states()["stop_loss"] is OrderState.APPROVED
    rig.guard()
    assert rig.venue.find(stop.client_order_id) is None

    rig.venue.find = find  # type: ignore[method-assign]
    recover(book=rig.book, log=rig.log, broker=rig.venue, time_ns=rig.now_ns)
    rig.decide(A=0.1)
    assert set(rig.states().values()) == {OrderState.ACCEPTED}


def test_exits_are_sent_while_reducing_and_none_while_halted() -> None:
    rig = Rig()
    rig.decide(A=0.1)
    rig.bar(100.0, volume=1_000.0)
    rig.book.trading_state = TradingState.HALTED
    rig.guard()
    assert not rig.book.working_orders()
    rig.book.trading_state = TradingState.REDUCING
    rig.guard()
    assert len(rig.book.working_orders()) == 2


@settings(deadline=None, max_examples=60)  # a shared machine stalls
@given(
    moves=st.lists(st.integers(85, 118), min_size=1, max_size=8),
    weight=st.sampled_from((0.1, -0.1, 0.02)),
    volume=st.sampled_from((500.0, 5_000.0, 1e7)),
)
def test_a_bracket_closes_its_position_at_most_once(
    moves: list[int], weight: float, volume: float
) -> None:
    """Whatever prices and volumes come, exits never turn a position over."""
    rig = Rig()
    rig.venue = SimulatedBroker(INSTRUMENTS, fills=FillSettings())
    rig.decide(A=weight)
    sign = 1 if weight > 0 else -1
    for price in moves:
        rig.bar(float(price), volume)
        rig.guard()
        assert rig.book.lots(A) * sign >= 0
    rig.check()


def test_orders_that_are_no_bracket_are_refused() -> None:
    entry = make_order()
    profit, stop = exits_for(entry, 10, 10_000, EXITS)
    check_bracket([entry, profit, stop])
    check_bracket([profit, stop])
    for orders in ([entry], [entry, stop, profit], [profit], [entry, entry, profit, stop]):
        with pytest.raises(ValueError, match="must"):
            check_bracket(orders)
    other = make_order(decision_id="d2")
    with pytest.raises(ValueError, match="must name"):
        check_bracket([other, profit, stop])


def test_an_exit_without_parent_or_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="must name its parent"):
        make_order(exit_kind=ExitKind.STOP_LOSS)
    with pytest.raises(ValueError, match="must be a stop order"):
        make_order(exit_kind=ExitKind.STOP_LOSS, parent_client_order_id="A1", kind=OrderKind.MARKET)


def test_the_events_of_a_bracket_are_read_back() -> None:
    profit, _ = exits_for(make_order(), 10, 10_000, EXITS)
    event = ev.OrderIntended(event_id="e", time_ns=1, order=profit)
    assert ev.decode(ev.encode(event)) == event


def test_exits_are_taken_back_where_less_is_held_than_their_order_knew() -> None:
    """A fill of earlier exits is told late: those of the next order would close too much."""
    rig = Rig()
    rig.decide(A=0.1)
    rig.bar(100.0)
    profit = next(r.order for r in rig.book.orders.values() if r.order.exit_kind)
    rig.decide("d2", A=0.05)
    late = make_fill(profit, 900)
    rig.log.append([late])
    rig.book.apply_all(rig.log.read(rig.book.sequence))
    rig.guard()
    newest = [r for r in rig.book.orders.values() if r.order.decision_id == "d2"]
    assert [r.state for r in newest[1:]] == [OrderState.CANCELLED, OrderState.CANCELLED]


def test_exits_wait_for_the_fills_that_a_cancel_counts() -> None:
    """A cancel is told before the last fill of its order: exits of the rest would turn it over."""
    rig = Rig()
    rig.venue.submit_together = lambda orders, time_ns: []  # type: ignore[method-assign]
    entry = rig.decide(A=-0.1).orders[0]
    for order in rig.book.working_orders():
        filled = 800 if order.order == entry else 0
        rig.tell(_cancelled(order.order, filled))
    rig.tell(make_fill(entry, 500))
    rig.guard()
    assert [r.order for r in rig.book.working_orders()] == [entry], "its fills are not all booked"
    assert rig.book.working_orders()[0].open_lots == 300

    rig.tell(make_fill(entry, 300, number=2))
    rig.guard()
    working = [(r.order.exit_kind, r.order.quantity_lots) for r in rig.book.working_orders()]
    assert sorted(working, key=str) == [(ExitKind.STOP_LOSS, 800), (ExitKind.TAKE_PROFIT, 800)]


def test_a_decision_counts_the_fills_that_a_cancel_counts() -> None:
    rig = Rig()
    rig.venue.submit_together = lambda orders, time_ns: []  # type: ignore[method-assign]
    entry = rig.decide(A=0.1).orders[0]
    for record in rig.book.working_orders():
        rig.tell(_cancelled(record.order, 600 if record.order == entry else 0))

    again = rig.decide("d2", A=0.1).orders[0]
    assert (entry.quantity_lots, again.quantity_lots) == (1_000, 400)


def test_a_release_that_is_blocked_sends_no_exit() -> None:
    rig = Rig()
    rig.decide(A=0.1)
    rig.bar(100.0, volume=1_000.0)
    assert not rig.book.working_orders()

    assert rig.decide("d2", passed=False, A=0.1).blocked_reason == "gaps"

    assert not rig.book.working_orders()


def _cancelled(order: Order, filled_lots: int) -> ev.OrderCancelled:
    return ev.OrderCancelled(
        event_id=f"c{order.client_order_id}",
        time_ns=NOW_NS,
        client_order_id=order.client_order_id,
        reason="told",
        filled_lots=filled_lots,
    )
