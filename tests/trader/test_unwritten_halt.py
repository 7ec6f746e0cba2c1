"""A halt that no disk would take, and a clock that goes back: neither lets anything out again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import make_decision
from tests.trader.desks import LostLog, Timepiece, make_desk
from tests.trader.sessions import ListFeed, quotes
from tests.trader.test_loop import Stage
from trader.clocks import ClockWatch
from trader.heartbeat import Heartbeat, find_heartbeat
from trader.kill_switch import Halt, KillSwitch

S = 10**9


async def until(holds: Callable[[], bool], stage: Stage) -> None:
    for _ in range(2_000):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"must come to hold, was {dict(stage.trader.health())}")


async def beats(stage: Stage, count: int = 5) -> None:
    last = stage.trader.beat_count
    await until(lambda: stage.trader.beat_count > last + count, stage)


def test_a_halt_that_a_full_disk_did_not_take_stays_when_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the file nor the log has it: nobody has lifted it, so it is written down at last."""
    stage = Stage(tmp_path, ListFeed(quotes(1), then=60.0), [make_decision(A=0.1)], fills=False)
    switch, log = stage.desk.switch, stage.desk.log

    def full(halt: Halt) -> None:
        raise OSError(28, "No space left on device")

    async def trade() -> None:
        task = asyncio.create_task(stage.trader.run())
        await until(lambda: stage.orders == 1, stage)
        with monkeypatch.context() as broken:
            broken.setattr(switch, "_write", full)
            stage.desk.log = LostLog(log)  # type: ignore[assignment]  # it cannot be written
            switch.pull(Halt(reason="a drill", actor="anna"))
            await beats(stage)
            assert stage.state is TradingState.ACTIVE
        stage.desk.log = log
        await until(lambda: stage.state is TradingState.HALTED, stage)
        assert switch.path.exists()
        await beats(stage)
        assert stage.state is TradingState.HALTED
        stage.desk.resume(by="anna", reason="seen")
        await until(lambda: stage.trader.health()["halt"] is None, stage)
        stage.trader.leave()
        await task

    asyncio.run(asyncio.wait_for(trade(), 60))


def test_a_person_who_lifts_a_halt_does_not_lift_the_one_that_came_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lift is in the log; what a full disk did not take since then is known to nobody."""
    stage = Stage(tmp_path, ListFeed(quotes(1), then=60.0), [make_decision(A=0.1)], fills=False)
    switch = stage.desk.switch

    def full(halt: Halt) -> None:
        raise OSError(28, "No space left on device")

    async def trade() -> None:
        task = asyncio.create_task(stage.trader.run())
        await until(lambda: stage.orders == 1, stage)
        switch.pull(Halt(reason="a drill", actor="anna"))
        await until(lambda: stage.state is TradingState.HALTED, stage)
        await beats(stage)
        with monkeypatch.context() as broken:
            broken.setattr(switch, "_write", full)
            assert switch.pull(Halt(reason="another", actor="bert")) is not None
            make_desk(tmp_path, stage.venue).resume(by="carl", reason="seen the drill")
            await until(lambda: stage.trader.health()["halt"] == "another", stage)
        await beats(stage)
        assert stage.state is TradingState.HALTED
        assert switch.is_pulled
        stage.trader.leave()
        await task

    asyncio.run(asyncio.wait_for(trade(), 60))


def test_a_switch_keeps_what_was_pulled_since_it_was_lifted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = KillSwitch(tmp_path / "halt.json")
    first, second = Halt(reason="a drill", actor="anna"), Halt(reason="another", actor="bert")
    switch.pull(first)
    switch.path.unlink()
    with monkeypatch.context() as broken:
        broken.setattr(switch, "_write", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
        switch.pull(second)
    assert switch.find() == first

    switch.lift()
    assert switch.find() == second
    switch.pull(second)  # there is room again
    assert switch.path.exists()

    switch.path.unlink()
    switch.lift()
    assert switch.find() is None
    switch.path.touch()
    switch.lift()
    assert switch.find() is not None, "somebody pulled it at the moment of the lift"


@pytest.mark.parametrize(("back_s", "state"), [(3_600, "halted"), (2, "active")])
def test_a_clock_that_goes_back_halts(tmp_path: Path, back_s: int, state: str) -> None:
    """For an hour nothing that waits for an hour would happen: no watch, no reconciliation."""
    stage = Stage(tmp_path, ListFeed(quotes(1), then=60.0))
    clock = stage.desk.now_ns
    assert isinstance(clock, Timepiece)

    async def trade() -> None:
        task = asyncio.create_task(stage.trader.run())
        await beats(stage)
        clock.ns -= back_s * S
        await beats(stage, 10)
        assert stage.state.value == state
        if state == "halted":
            assert "went back 3600.0 s" in stage.desk.switch.path.read_text()
            clock.ns += 301 * S  # the watch goes on by the clock as it is now
            await until(lambda: stage.trader.account.reconciled_ns == clock.ns, stage)
        stage.trader.leave()
        await task

    asyncio.run(asyncio.wait_for(trade(), 60))


def test_a_clock_that_crept_back_is_seen_in_all() -> None:
    watch = ClockWatch()

    told = [watch.went_back_s(s * S) for s in (100, 98, 97, 94, 94, 93, 100)]

    assert told == [0.0, 2.0, 3.0, 6.0, 0.0, 1.0, 0.0]


def test_the_heartbeat_is_written_by_a_clock_that_went_back(tmp_path: Path) -> None:
    heartbeat = Heartbeat(tmp_path / "trader.json", S)
    heartbeat.beat(100 * S, {"state": "active"})
    heartbeat.beat(40 * S, {"state": "halted"})

    told = find_heartbeat(tmp_path / "trader.json")
    assert told is not None
    assert told["state"] == "halted"
