"""The order path: what is sent, what is not, and that nothing is sent twice."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from swarm_core import events as ev
from swarm_core.halting import cancel_all, change_trading_state
from swarm_core.market import Quote
from swarm_core.order_states import OrderState
from swarm_core.orders import OrderSide
from swarm_core.risk.codes import DenialCode
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import (
    DAY_NS,
    NOW_NS,
    A,
    B,
    Targeted,
    make_decision,
    make_limits,
    make_quote,
)
from tests.swarm_core.trading_desk import Desk


def test_target_weights_become_orders_in_whole_lots() -> None:
    desk = Desk()

    report = desk.release(make_decision(A=0.10004, B=-0.05))

    assert [(o.instrument_id, o.signed_lots) for o in report.orders] == [(A, 1000), (B, -500)]
    assert set(report.states.values()) == {OrderState.ACCEPTED}
    assert (report.sent_count, report.blocked) == (2, False)


def test_the_same_decision_again_sends_nothing() -> None:
    desk = Desk()
    first = desk.release(make_decision(A=0.1))
    length = desk.log.last_sequence()

    again = desk.release(make_decision(A=0.1), time_ns=NOW_NS + 5)

    assert (again.orders, again.states) == (first.orders, first.states)
    assert again.sent_count == 0
    assert len(desk.broker.received) == 1
    assert desk.log.last_sequence() == length


def test_a_decision_told_again_with_other_weights_sends_nothing_more() -> None:
    desk = Desk()
    desk.release(make_decision(A=0.1))

    desk.release(make_decision(A=0.2, B=0.2))

    assert len(desk.broker.received) == 1


def test_a_failed_check_releases_nothing_and_leaves_its_reason() -> None:
    desk = Desk()
    desk.passed = False

    report = desk.release(make_decision(A=0.1))

    assert report.blocked_reason == "gaps in bars of 2024-01-02"
    assert desk.broker.received == []
    assert [type(r.event) for r in desk.log.read()] == [ev.ReleaseBlocked]


def test_a_decision_held_back_is_released_once_its_checks_pass() -> None:
    desk = Desk()
    desk.passed = False
    desk.release(make_decision(A=0.1))
    desk.passed = True

    assert desk.release(make_decision(A=0.1)).sent_count == 1


@pytest.mark.parametrize(
    "weights", [(float("nan"), 0.1), (float("inf"), 0.1), (0.1,), (0.1, 0.1, 0.1)]
)
def test_a_decision_that_is_not_sound_trades_nothing(weights: tuple[float, ...]) -> None:
    desk = Desk()

    report = desk.release(Targeted("d1", NOW_NS, (A, B), weights))

    assert report.blocked_reason.startswith("target")
    assert desk.broker.received == []


def test_weights_may_come_as_an_array() -> None:
    desk = Desk()
    decision = Targeted("d1", NOW_NS, (A, B), np.array([0.1, 0.2]))  # type: ignore[arg-type]  # an array

    assert desk.release(decision).sent_count == 2


def test_a_target_without_a_quote_is_denied_and_the_rest_is_sent() -> None:
    desk = Desk()
    del desk.quotes[B]

    report = desk.release(make_decision(A=0.1, B=0.1, X=0.1))

    assert report.denied == {B: DenialCode.NO_QUOTE, "US.X": DenialCode.UNKNOWN_INSTRUMENT}
    assert [o.instrument_id for o in desk.broker.received] == [A]


def test_a_stale_quote_denies() -> None:
    desk = Desk()
    desk.quotes[A] = make_quote(A, time_ns=NOW_NS - 3 * DAY_NS)

    assert desk.release(make_decision(A=0.1)).denied == {A: DenialCode.STALE_QUOTE}


def test_dust_is_not_traded_but_an_exit_is() -> None:
    desk = Desk()
    desk.release(make_decision("d1", A=0.001))
    desk.fill()
    for quote in (A, B):
        desk.quotes[quote] = make_quote(quote, time_ns=NOW_NS + DAY_NS)

    dust = desk.release(make_decision("d2", A=0.0012), time_ns=NOW_NS + DAY_NS)
    exit_ = desk.release(make_decision("d3", A=0.0), time_ns=NOW_NS + DAY_NS)

    assert dust.orders == ()
    assert [(o.side, o.quantity_lots) for o in exit_.orders] == [(OrderSide.SELL, 10)]


def test_what_works_at_the_broker_counts_as_done() -> None:
    desk = Desk()
    desk.release(make_decision("d1", A=0.1))

    assert desk.release(make_decision("d2", A=0.1)).orders == ()


def test_an_approved_order_counts_against_the_next_ones_limits() -> None:
    desk = Desk()
    desk.limits = make_limits(gross_fraction_max=0.15)

    report = desk.release(make_decision(A=0.1, B=0.1))

    assert sorted(report.states.values(), key=str) == [OrderState.ACCEPTED, OrderState.DENIED]
    assert set(report.denied.values()) == {DenialCode.GROSS_EXPOSURE}


def test_a_halt_lets_nothing_out_but_cancels() -> None:
    desk = Desk()
    desk.release(make_decision("d1", A=0.1))
    change_trading_state(
        TradingState.HALTED,
        book=desk.book(),
        log=desk.log,
        reason="drill",
        actor="ann",
        by_person=True,
        time_ns=NOW_NS,
    )

    report = desk.release(make_decision("d2", A=0.2, B=0.1), time_ns=NOW_NS + 1)
    count = cancel_all(
        book=desk.book(), log=desk.log, broker=desk.broker, reason="halt", time_ns=NOW_NS + 2
    )

    assert set(report.denied.values()) == {DenialCode.HALTED}
    assert len(desk.broker.received) == 1
    assert count == 1
    assert {r.state for r in desk.book().orders.values()} == {
        OrderState.CANCELLED,
        OrderState.DENIED,
    }


def test_only_a_person_lifts_a_halt() -> None:
    desk = Desk()
    for state in (TradingState.REDUCING, TradingState.HALTED):
        change_trading_state(
            state,
            book=desk.book(),
            log=desk.log,
            reason="feed lost",
            actor="watchdog",
            by_person=False,
            time_ns=NOW_NS,
        )
    with pytest.raises(ValueError, match="must be lifted by a person"):
        change_trading_state(
            TradingState.ACTIVE,
            book=desk.book(),
            log=desk.log,
            reason="feed back",
            actor="watchdog",
            by_person=False,
            time_ns=NOW_NS,
        )
    assert desk.book().trading_state is TradingState.HALTED


def test_a_quote_from_the_future_denies() -> None:
    desk = Desk()
    desk.quotes[A] = Quote(instrument_id=A, reference_ticks=10_000, time_ns=NOW_NS + 1)

    assert desk.release(make_decision(A=0.1)).denied == {A: DenialCode.STALE_QUOTE}


def test_a_decision_is_on_disk_with_its_verdicts_in_one_append() -> None:
    """Each append waits for the disk: only the one that says what leaves comes after it."""
    desk = Desk()
    desk.release(make_decision("d0", A=0.05))  # from here on what is held is marked, too
    appended: list[list[str]] = []
    append = desk.log.append

    def noted(events: Sequence[ev.Event], **more: Any) -> Sequence[ev.RecordedEvent]:
        appended.append([type(event).__name__ for event in events])
        return append(events, **more)

    desk.log.append = noted  # type: ignore[method-assign]
    desk.release(make_decision("d1", A=0.1, B=-0.05), time_ns=NOW_NS + 60 * 10**9)

    plan = next(kinds for kinds in appended if "DecisionTaken" in kinds)
    assert plan == [
        "DecisionTaken",
        "ReferencesTaken",
        *["OrderIntended"] * 2,
        "ReleasePlanned",
        *["OrderApproved"] * 2,
    ]
    assert appended[appended.index(plan) + 1] == ["OrderSubmitted"]
    assert [] not in appended
