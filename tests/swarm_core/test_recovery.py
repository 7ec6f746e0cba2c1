"""After a lost connection or a restart: what is uncertain is looked up, never sent on a guess."""

from collections.abc import Sequence

import pytest

from adapters.brokers.simulated import SimulatedBroker
from swarm_core import events as ev
from swarm_core.halting import ask_again, cancel_all, change_trading_state
from swarm_core.order_states import OrderState
from swarm_core.replay import replay
from swarm_core.trading import recover
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import (
    CASH,
    DAY_NS,
    NOW_NS,
    A,
    make_bar,
    make_decision,
)
from tests.swarm_core.trading_desk import Desk


def test_a_connection_lost_in_submission_is_looked_up_and_not_sent_again() -> None:
    desk = Desk()
    desk.broker.fails = ConnectionResetError("reset by peer")
    report = desk.release(make_decision(A=0.1))
    assert set(report.states.values()) == {OrderState.UNKNOWN}

    desk.broker.fails = None
    SimulatedBroker.submit(desk.broker, report.orders[0], NOW_NS)  # it had arrived after all
    report = desk.release(make_decision(A=0.1))

    assert set(report.states.values()) == {OrderState.ACCEPTED}
    assert len(desk.broker.received) == 1


def test_an_order_that_the_broker_never_got_is_judged_and_sent_again() -> None:
    desk = Desk()
    desk.broker.fails = ConnectionResetError("reset by peer")
    desk.release(make_decision(A=0.1))
    desk.broker.fails = None

    report = desk.release(make_decision(A=0.1), time_ns=NOW_NS + 1)

    assert set(report.states.values()) == {OrderState.ACCEPTED}
    assert len(desk.broker.received) == 2
    assert len(desk.broker.working_order_ids()) == 1


def test_a_lost_order_is_not_sent_into_a_halt() -> None:
    desk = Desk()
    desk.broker.fails = ConnectionResetError("reset by peer")
    desk.release(make_decision(A=0.1))
    desk.broker.fails = None
    change_trading_state(
        TradingState.HALTED,
        book=desk.book(),
        log=desk.log,
        reason="reconciliation failed",
        actor="watchdog",
        by_person=False,
        time_ns=NOW_NS,
    )

    report = desk.release(make_decision(A=0.1), time_ns=NOW_NS + 1)

    assert set(report.states.values()) == {OrderState.DENIED}
    assert len(desk.broker.received) == 1


def test_an_order_cancelled_before_it_was_known_to_arrive_is_never_sent_again() -> None:
    desk = Desk()
    desk.broker.fails = ConnectionResetError("reset by peer")
    desk.release(make_decision(A=0.1))
    desk.broker.fails = None
    cancel_all(book=desk.book(), log=desk.log, broker=desk.broker, reason="halt", time_ns=NOW_NS)
    desk.broker.is_away = True
    recover(book=desk.book(), log=desk.log, broker=desk.broker, time_ns=NOW_NS)
    assert {r.state for r in desk.book().orders.values()} == {OrderState.CANCEL_PENDING}
    desk.broker.is_away = False

    report = desk.release(make_decision(A=0.1), time_ns=NOW_NS + 1)
    recover(book=desk.book(), log=desk.log, broker=desk.broker, time_ns=NOW_NS)

    assert {r.state for r in desk.book().orders.values()} == {OrderState.CANCELLED}
    assert (report.sent_count, len(desk.broker.received)) == (0, 1)


def test_an_order_stays_unknown_while_the_broker_cannot_be_asked() -> None:
    desk = Desk()
    desk.broker.fails = ConnectionResetError("reset by peer")
    desk.release(make_decision(A=0.1))
    desk.broker.fails, desk.broker.is_away = None, True

    for i in range(3):
        report = desk.release(make_decision(A=0.1), time_ns=NOW_NS + i)
        recover(book=desk.book(), log=desk.log, broker=desk.broker, time_ns=NOW_NS + i)

    assert set(report.states.values()) == {OrderState.UNKNOWN}
    assert len(desk.broker.received) == 1


def test_fills_missed_while_away_are_recovered_once() -> None:
    desk = Desk()
    desk.release(make_decision(A=0.1))
    missed = desk.broker.on_bars([make_bar(A, NOW_NS + DAY_NS, 100.0)], NOW_NS + DAY_NS)
    assert len(missed) == 1

    recovered = [
        recover(book=desk.book(), log=desk.log, broker=desk.broker, time_ns=NOW_NS + DAY_NS)
        for _ in range(2)
    ]

    assert recovered == [1, 0]
    assert desk.book().lots(A) == 1000
    assert desk.book().ledger.find_imbalance() is None


def test_an_uncertain_order_that_the_broker_has_is_found() -> None:
    desk = Desk()
    report = desk.release(make_decision(A=0.1))
    order_id = report.orders[0].client_order_id
    desk.log.append(
        [
            ev.OrderStateUnknown(
                event_id="lost", time_ns=NOW_NS, client_order_id=order_id, reason="1100"
            )
        ]
    )

    recover(book=desk.book(), log=desk.log, broker=desk.broker, time_ns=NOW_NS)

    assert desk.book().orders[order_id].state is OrderState.ACCEPTED


def test_a_log_that_others_write_to_meanwhile_is_read_on() -> None:
    desk = Desk()
    plain, count = desk.log.append, [0]

    def disturbed(events: Sequence[ev.Event], *, expected_sequence: int | None = None):
        count[0] += 1
        if count[0] in (2, 4):
            plain(
                [
                    ev.DataCheckFailed(
                        event_id=f"other-{count[0]}",
                        time_ns=NOW_NS,
                        session="s",
                        check_name="c",
                        reason="r",
                    )
                ]
            )
        return plain(events, expected_sequence=expected_sequence)

    desk.log.append = disturbed  # type: ignore[method-assign]  # a fault

    report = desk.release(make_decision(A=0.1, B=0.1))

    assert set(report.states.values()) == {OrderState.ACCEPTED}
    assert len(desk.broker.received) == 2
    assert replay(desk.log.read(), "USD", CASH).first_difference is None


@pytest.mark.parametrize("by_time", [False, True])
def test_a_cancel_that_never_reached_the_broker_is_asked_for_again(by_time: bool) -> None:
    """The kill switch was pulled while the line was down: what works still is cancelled later."""
    desk = Desk()
    desk.release(make_decision(A=0.1))
    cancel, asked = desk.broker.cancel, 0

    def broken(client_order_id: str, time_ns: int) -> Sequence[ev.Event]:
        nonlocal asked
        asked += 1
        raise ConnectionResetError("reset by peer")

    desk.broker.cancel = broken  # type: ignore[method-assign]
    book = desk.book()
    cancel_all(book=book, log=desk.log, broker=desk.broker, reason="halted", time_ns=NOW_NS)
    assert [r.state for r in book.working_orders()] == [OrderState.CANCEL_PENDING]
    desk.broker.cancel = cancel  # type: ignore[method-assign]

    later = {"broker": desk.broker, "book": book, "log": desk.log}
    assert ask_again(**later, time_ns=NOW_NS + 9 * 10**9) == 0  # it may be on its way
    if by_time:
        assert ask_again(**later, time_ns=NOW_NS + 11 * 10**9) == 1
    else:
        recover(**later, time_ns=NOW_NS)

    assert asked == 1
    assert not book.working_orders()
    assert desk.broker.working_order_ids() == ()
