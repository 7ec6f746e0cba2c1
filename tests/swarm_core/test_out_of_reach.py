"""A halt names the orders that it can never cancel; what it may yet cancel it asks for again."""

import pytest

from swarm_core.halting import HaltReport, halt
from swarm_core.ports import OutOfReachError
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import NOW_NS, make_decision
from tests.swarm_core.trading_desk import Desk


def halt_it(desk: Desk, failure: OSError, monkeypatch: pytest.MonkeyPatch) -> HaltReport:
    """Halt with one working order that the broker does not cancel."""
    desk.release(make_decision(A=0.05))

    def refuse(*_: object) -> tuple[()]:
        raise failure

    monkeypatch.setattr(desk.broker, "cancel", refuse)
    return halt(
        book=desk.book(),
        log=desk.log,
        broker=desk.broker,
        reason="drill",
        actor="anna",
        by_person=True,
        time_ns=NOW_NS + 1,
    )


def test_what_this_process_cannot_cancel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on filling while trading is halted: somebody must be told."""
    desk = Desk()

    report = halt_it(desk, OutOfReachError("client 7 has placed it"), monkeypatch)

    (record,) = desk.book().working_orders()
    assert report.failures == (
        f"{record.order.client_order_id} must be cancelled by hand: client 7 has placed it",
    )
    assert desk.book().trading_state is TradingState.HALTED


def test_what_the_broker_hears_later_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is away comes back, and the cancel is asked for again."""
    desk = Desk()

    report = halt_it(desk, ConnectionError("no route to the broker"), monkeypatch)

    assert report.failures == ()
