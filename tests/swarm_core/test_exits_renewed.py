"""Which exits of a position are renewed: those this desk cancelled, not what others ended twice."""

import pytest

from swarm_core import events as ev
from swarm_core.book import book_from_events
from swarm_core.exits import unprotected
from swarm_core.halting import cancel_all
from tests.swarm_core.bracket_rig import MINUTE_NS, Rig
from tests.swarm_core.builders import CASH, A


def _halt_and_lift(rig: Rig) -> None:
    cancel_all(book=rig.book, log=rig.log, broker=rig.venue, reason="drill", time_ns=rig.now_ns)
    assert not rig.book.working_orders()
    rig.now_ns += MINUTE_NS
    rig.guard()


def test_exits_are_renewed_after_every_halt_that_was_lifted() -> None:
    rig = Rig()
    rig.decide(A=0.1)
    rig.bar(100.0)
    seen = {r.order.client_order_id for r in rig.book.working_orders()}
    for _ in range(3):
        _halt_and_lift(rig)
        working = {r.order.client_order_id for r in rig.book.working_orders()}
        assert len(working) == 2
        assert not working & seen
        seen |= working
        rig.book = book_from_events(rig.log.read(), "USD", CASH)
    assert unprotected(rig.book) == []
    rig.bar(94.0)
    assert rig.book.lots(A) == 0
    rig.check()


def test_exits_that_the_broker_ends_are_renewed_once_after_a_halt_too() -> None:
    rig = Rig()
    rig.decide(A=0.1)
    rig.bar(100.0)
    _halt_and_lift(rig)
    for record in rig.book.working_orders():
        rig.tell(
            ev.OrderCancelled(
                event_id=ev.make_event_id("told", record.order.client_order_id),
                time_ns=rig.now_ns,
                client_order_id=record.order.client_order_id,
                reason="the venue",
            )
        )
    rig.guard()
    assert not rig.book.working_orders()
    assert unprotected(rig.book) == [A]


@pytest.mark.parametrize("halts", [0, 1])
def test_exits_that_a_person_cancelled_are_not_renewed(halts: int) -> None:
    rig = Rig()
    rig.decide(A=0.1)
    rig.bar(100.0)
    for _ in range(halts):
        _halt_and_lift(rig)
    order_id = rig.book.working_orders()[0].order.client_order_id
    rig.tell(
        ev.PersonInstructed(
            event_id="told",
            time_ns=rig.now_ns,
            client_order_id=order_id,
            instruction="cancel",
            actor="anna",
            reason="it runs",
        )
    )
    _halt_and_lift(rig)
    assert not rig.book.working_orders()
