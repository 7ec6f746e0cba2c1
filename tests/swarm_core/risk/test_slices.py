"""Slices of one plan may be alike; whatever else is alike is a duplicate."""

from dataclasses import replace

import pytest

from swarm_core import events as ev
from swarm_core.execution.working import WorkingPlan, parent_order_id
from swarm_core.orders import Order
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.compiled import CompiledGate
from swarm_core.risk.gate import Approved, Denied
from tests.swarm_core.builders import NOW_NS, A, make_order
from tests.swarm_core.risk.test_gate import Desk

_S = 10**9


def make_plan(decision_id: str = "p", slices: int = 4) -> WorkingPlan:
    """Return a plan whose slices come two seconds after one another, the third one now."""
    return WorkingPlan(
        decision_id=decision_id,
        instrument_ids=(A,),
        start_weights=(0.0,),
        target_weights=(0.1,),
        moments_ns=tuple(NOW_NS + 2 * (n - 2) * _S for n in range(slices)),
        done_ppm=tuple(10**6 * (n + 1) // slices for n in range(slices)),
    )


def make_slice(number: int, decision_id: str = "p", **fields: object) -> Order:
    parent = parent_order_id(decision_id, A)
    fields = {"parent_client_order_id": parent, **fields}
    return make_order(decision_id=f"{decision_id}/{number}", **fields)  # type: ignore[arg-type]


def working(*sent: Order, plan: WorkingPlan | None = None) -> Desk:
    """Return a desk that works a plan and has sent some orders just now."""
    desk, plan = Desk(), plan or make_plan()
    desk.book.apply(ev.WorkingStarted(
        event_id="w", time_ns=NOW_NS, decision_id=plan.decision_id, plan=plan
    ))  # fmt: skip
    for order in sent:
        desk.send(order)
    return desk


def verdict(desk: Desk, order: Order) -> DenialCode | None:
    """Return why both gates deny an order, or None."""
    desk.order, context = order, desk.context()
    (compiled,), said = CompiledGate(context).check([order]), desk.check()
    assert compiled == said
    return said.code if isinstance(said, Denied) else None


def test_equal_slices_some_seconds_apart_pass() -> None:
    desk = working(make_slice(1), make_slice(2))
    assert verdict(desk, make_slice(3)) is None


@pytest.mark.parametrize(
    "order",
    [
        make_slice(2),  # itself: it was sent
        make_slice(4),  # its moment has not come
        make_slice(5),  # the plan has no such slice
        replace(make_slice(3), decision_id="p/03"),
        replace(make_slice(3), decision_id="p/3/again"),
        replace(make_slice(3), parent_client_order_id=""),
        replace(make_slice(3), parent_client_order_id=parent_order_id("p", "US.B")),
        make_slice(1, "q"),  # a plan that is not on record, or was ended for this one
        make_order(decision_id="other"),
    ],
)
def test_whatever_else_is_like_a_slice_that_left_is_a_duplicate(order: Order) -> None:
    desk = working(make_slice(1), make_slice(2))
    assert verdict(desk, order) is DenialCode.DUPLICATE_ORDER


def test_a_slice_that_is_like_another_decisions_order_is_a_duplicate() -> None:
    desk = working(make_order(decision_id="other"))
    assert verdict(desk, make_slice(1)) is DenialCode.DUPLICATE_ORDER


def test_a_strategy_that_begins_plan_after_plan_is_held_back() -> None:
    """Each new plan ends the one before: its first slice repeats what that one has sent."""
    desk = working(make_slice(1))
    plan = make_plan("q")
    desk.book.apply(ev.WorkingStarted(
        event_id="v", time_ns=NOW_NS, decision_id="q", plan=plan
    ))  # fmt: skip
    assert verdict(desk, make_slice(1, "q")) is DenialCode.DUPLICATE_ORDER


def test_slices_count_against_the_throttle_like_any_order() -> None:
    desk = working(*(make_slice(n) for n in (1, 2)))
    desk.limits = {"repeats_max": 2}
    assert verdict(desk, make_slice(3)) is DenialCode.THROTTLE


def test_slices_that_are_judged_together_may_be_alike_and_nothing_beside_them() -> None:
    orders = [make_slice(1), make_slice(2), make_order(decision_id="other"), make_slice(3)]
    told = CompiledGate(working().context()).check(orders)
    assert [isinstance(v, Approved) for v in told] == [True, True, False, True]
