"""The log tells the whole story: causes stand in it, and a replay gives the same again."""

from dataclasses import replace

import pytest

from swarm_core import events as ev
from swarm_core.replay import replay
from tests.swarm_core.builders import (
    CASH,
    DAY_NS,
    NOW_NS,
    A,
    B,
    make_decision,
    make_quote,
)
from tests.swarm_core.trading_desk import Desk


def test_decisions_and_orders_stand_in_the_log_with_their_causes() -> None:
    desk = Desk()
    desk.release(make_decision(A=0.1))

    by_id = {r.event.event_id: r.event for r in desk.log.read()}
    accepted = desk.events(ev.OrderAccepted)[0]
    approved = next(e for e in by_id.values() if isinstance(e, ev.OrderApproved))
    intended = by_id[approved.causation_id]
    decision = by_id[intended.causation_id]

    assert accepted.correlation_id == "d1"
    assert isinstance(intended, ev.OrderIntended)
    assert isinstance(decision, ev.DecisionTaken)
    assert decision.lineage.decision_id == "d1"


def test_replay_reproduces_orders_and_verdicts() -> None:
    desk = Desk()
    desk.release(make_decision("d1", A=0.1, B=-0.2))
    desk.fill()
    desk.quotes = {i: make_quote(i, 101.0, NOW_NS + DAY_NS) for i in (A, B)}
    desk.release(make_decision("d2", A=-0.1, X=0.3), time_ns=NOW_NS + DAY_NS)

    report = replay(desk.log.read(), "USD", CASH)

    assert report.first_difference is None
    assert (report.order_count, report.verdict_count) == (3, 3)
    assert report.book_digest == replay(desk.log.read(), "USD", CASH).book_digest


def _changed(event: ev.Event) -> ev.Event:
    """Return the event with one thing about it changed."""
    if isinstance(event, ev.OrderIntended):
        return replace(event, order=replace(event.order, quantity_lots=7))
    if isinstance(event, ev.OrderApproved):
        return replace(event, value_micros=event.value_micros + 1)
    if isinstance(event, ev.ReferencesTaken):
        quotes = tuple(replace(q, reference_ticks=q.reference_ticks + 9) for q in event.quotes)
        return replace(event, quotes=quotes)
    return event


@pytest.mark.parametrize("kind", [ev.OrderIntended, ev.OrderApproved, ev.ReferencesTaken])
def test_replay_names_the_first_difference(kind: type[ev.Event]) -> None:
    desk = Desk()
    desk.release(make_decision(A=0.1))
    records = [
        r._replace(event=_changed(r.event)) if isinstance(r.event, kind) else r
        for r in desk.log.read()
    ]

    assert replay(records, "USD", CASH).first_difference is not None
