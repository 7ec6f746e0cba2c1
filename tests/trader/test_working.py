"""Working a decision in slices: parents, children, leftovers, halts, kill -9 between slices."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.execution.impact import PRIOR_PRECISION
from swarm_core.execution.schedules import ScheduleKind
from swarm_core.execution.working import (
    ParentOrder,
    WorkingSettings,
    parent_order_id,
    plan_working,
)
from swarm_core.order_states import OrderState
from swarm_core.replay import book_digest, replay
from tests.swarm_core.builders import make_decision
from tests.trader.drills import Drill
from tests.trader.homes import (
    PLAN,
    book_of,
    log_of,
    make_home,
    run_to_end,
    trader_process,
    wait_for,
    write_targets,
)
from tests.trader.sessions import PlannedEngine
from trader.working import Worker

TWAP = {"kind": "twap", "slices": 4, "minutes": 20}


def children(book: Book, instrument_id: str) -> list[Any]:
    return [r for r in book.orders.values() if r.order.instrument_id == instrument_id]


def ends(config: Path) -> list[str]:
    return [r.event.reason for r in log_of(config) if isinstance(r.event, ev.WorkingEnded)]


def make_working_home(folder: Path, **trade: Any) -> Path:
    """Write a home whose first target is worked over twenty minutes of the first day."""
    config = make_home(folder, **{"working": TWAP, **trade})
    write_targets(folder, PLAN[:1])
    return config


def test_a_parent_is_worked_in_equal_slices(tmp_path: Path) -> None:
    """Each slice is a child of one parent with an id of its own; together they are the target."""
    config = make_working_home(tmp_path)

    run_to_end(config)

    book = book_of(config)
    (decision_id,) = book.worked
    ants = children(book, "US.ANT")
    assert {r.order.parent_client_order_id for r in ants} == {
        parent_order_id(decision_id, "US.ANT")
    }
    assert len({r.order.client_order_id for r in ants}) == 4
    assert {r.state for r in ants} == {OrderState.FILLED}
    lots = [r.order.quantity_lots for r in ants]
    assert sum(lots) == book.lots("US.ANT") == pytest.approx(2_490, abs=5)
    assert max(lots) - min(lots) <= 5  # the price moves a cent a slice
    assert ends(config) == ["done"]
    assert book.working_plan is None
    assert replay(log_of(config), "USD", 1_000_000).first_difference is None


def test_each_order_takes_the_way_that_costs_least_and_its_fills_teach_the_impact(
    tmp_path: Path,
) -> None:
    """The plan is on record with what it was expected to cost; the log gives the same again."""
    costs = {"risk_aversion": 0.0, "volatility_bps": 10.0}
    working = {**TWAP, "kind": "auto", "costs": costs}
    config = make_working_home(tmp_path, working=working)

    run_to_end(config)

    book = book_of(config)
    (started,) = [r.event for r in log_of(config) if isinstance(r.event, ev.WorkingStarted)]
    assert {f.schedule for f in started.plan.forecasts} == {"twap"}
    assert all(f.impact > 0 and f.touch > 0 for f in started.plan.forecasts)
    assert len(children(book, "US.ANT")) == 4
    assert book.impact.precision > PRIOR_PRECISION
    assert book.impact.coefficient > 1.0  # every price went up a cent a bar
    again = book_of(config).impact
    assert (again.mean, again.precision) == (book.impact.mean, book.impact.precision)
    assert replay(log_of(config), "USD", 1_000_000).first_difference is None


def test_a_price_that_runs_away_is_not_waited_for(tmp_path: Path) -> None:
    costs = {"risk_aversion": 0.01, "volatility_bps": 1_000.0}
    config = make_working_home(tmp_path, working={**TWAP, "kind": "auto", "costs": costs})
    run_to_end(config)
    lots = [r.order.quantity_lots for r in children(book_of(config), "US.ANT")]
    assert max(lots) > 0.9 * sum(lots)


def test_orders_leave_whole_where_nothing_is_to_be_worked(tmp_path: Path) -> None:
    config = make_working_home(tmp_path, working={**TWAP, "kind": "none"})
    run_to_end(config)
    book = book_of(config)
    assert not book.worked
    assert len(children(book, "US.ANT")) == 1


def test_a_new_decision_takes_the_place_of_what_is_worked(tmp_path: Path) -> None:
    """The slices of the first that were still to come are never sent."""
    config = make_working_home(tmp_path, working={**TWAP, "minutes": 200, "slices": 40})
    write_targets(tmp_path, PLAN[:2])

    run_to_end(config)

    first, second = ends(config)
    assert first.endswith("took its place")
    assert second == "done"
    started = [r.event for r in log_of(config) if isinstance(r.event, ev.WorkingStarted)]
    slices = [d for d in book_of(config).planned if d.startswith(started[0].decision_id)]
    assert len(slices) == 3  # at 10, 15 and 20 minutes; at 25 the second begins


def test_killed_between_slices_it_goes_on_with_the_next(tmp_path: Path) -> None:
    """kill -9 after the second slice: no slice twice, and the book ends as if undisturbed."""
    whole = make_working_home(tmp_path / "whole")
    run_to_end(whole)
    config = make_working_home(tmp_path / "killed")
    text = config.read_text()
    config.write_text(text.replace("speed: 0.0", "speed: 2000"))

    with trader_process(config) as process:
        wait_for(config, lambda _: len(children(book_of(config), "US.ANT")) == 2, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    config.write_text(text)
    run_to_end(config)

    assert book_digest(book_of(config)) == book_digest(book_of(whole))
    assert len(children(book_of(config), "US.ANT")) == 4


def test_a_halt_cancels_the_children_and_ends_the_parent(tmp_path: Path) -> None:
    """After the halt is lifted the rest of the parent is not sent by itself."""
    config = make_working_home(tmp_path, order_kind="market_on_close")
    text = config.read_text()
    config.write_text(text.replace("speed: 0.0", "speed: 600"))
    with trader_process(config) as process:
        wait_for(config, lambda told: told["working_orders"] > 0, process)
        process.send_signal(signal.SIGUSR1)
        wait_for(config, lambda told: told["state"] == "halted", process)
        wait_for(config, lambda _: bool(ends(config)), process)

    book = book_of(config)
    assert ends(config) == ["trading was halted"]
    assert not book.working_orders()
    assert book.working_plan is None


def test_a_decision_that_is_not_sound_is_blocked_before_it_is_planned(tmp_path: Path) -> None:
    """It ended in an error of arithmetic, without the reason in the log."""
    drill = Drill(tmp_path)
    drill.trader._worker = Worker(drill.desk, WorkingSettings(slices=2, minutes=1))
    drill.trader.engine = PlannedEngine([make_decision("d1", A=float("nan"))])

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: drill.is_halted)
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))

    said = "target weight of US.A must be finite, was nan"
    (blocked,) = [r.event for r in drill.desk.log.read() if isinstance(r.event, ev.ReleaseBlocked)]
    assert (blocked.decision_id, blocked.reason) == ("d1", said)
    halt = drill.desk.switch.find()
    assert halt is not None
    assert halt.reason == f"a decision must be sound: {said}"


def make_parent(**changes: Any) -> ParentOrder:
    """Return an order of a twentieth of what its instrument trades in the hour, at ten dollars."""
    fields: dict[str, Any] = {
        "lots": 7_700,
        "arrival_ticks": 1_000,
        "lot_value": 10.0,
        "daily_volume_lots": 10**6,
    }
    return ParentOrder(**(fields | changes))


shares = st.lists(st.floats(0.01, 10), min_size=6, max_size=6).map(tuple)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.none() | st.sampled_from(ScheduleKind),
    lots=st.integers(0, 10_000),
    volume=st.none() | st.integers(0, 10**6),
    profile=shares | st.just(()),
    kappa=st.floats(0, 5),
)
def test_every_schedule_ends_at_the_target_and_never_turns_back(
    kind: ScheduleKind | None,
    lots: int,
    volume: int | None,
    profile: tuple[float, ...],
    kappa: float,
) -> None:
    working = WorkingSettings(kind=kind, slices=6, volume_profile=profile, kappa=kappa)

    plan = plan_working(
        "d",
        ("US.A", "US.B"),
        (0.1, 0.0),
        (0.3, -0.2),
        parents={"US.A": make_parent(lots=lots, daily_volume_lots=volume)},
        settings=working,
        start_ns=0,
    )

    weights = [plan.targets(number).target_weights for number in range(6)]
    first, second = zip(*weights, strict=True)
    assert list(first) == sorted(first)
    assert list(second) == sorted(second, reverse=True)
    assert weights[-1] == pytest.approx((0.3, -0.2), abs=1e-12)
    assert len({plan.targets(number).decision_id for number in range(6)}) == 6


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"slices": 0}, "slices must be in 1..1000, was 0"),
        ({"minutes": 0}, r"minutes must be in \(0, 10080\], was 0"),
        ({"participation": 2}, r"participation must be in \(0, 1\], was 2"),
        ({"kappa": -1}, r"kappa must be in \[0, 100\], was -1"),
        ({"volume_profile": (1.0,)}, "volume_profile must have 6 positive shares"),
    ],
)
def test_settings_out_of_bounds_give_one_line(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WorkingSettings(**fields)
