"""The trader: it trades, it watches itself, and it goes on after any death."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from swarm_core.book import Book
from swarm_core.market import Bar, Quote
from swarm_core.order_states import OrderState
from swarm_core.reconciliation import ReconciliationRules
from swarm_core.sizing import Targets
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import NOW_NS, A, B, make_decision
from tests.trader.desks import Timepiece, make_desk
from tests.trader.sessions import PLAN, ListFeed, PlannedEngine, quotes
from tests.trader.venue import FileVenue
from trader.desk import TradingDesk
from trader.kill_switch import Halt
from trader.loop import Trader
from trader.opening import note_halt
from trader.ports import Intent, Item
from trader.settings import TraderSettings
from trader.signals import obey_signals


class Stage:
    """A trader on a venue of its own, and what its feed will tell."""

    def __init__(
        self, home: Path, feed: ListFeed, plan: Sequence[Targets | None] = (), *, fills: bool = True
    ) -> None:
        self.venue = FileVenue(home / "venue", fills=fills)
        self.desk: TradingDesk = make_desk(home, self.venue)
        settings = TraderSettings(heartbeat_s=0.005)
        self.trader = Trader(
            self.desk, self.venue, feed, PlannedEngine(plan), settings, ReconciliationRules()
        )

    def run(self) -> None:
        asyncio.run(self.trader.run())

    @property
    def orders(self) -> int:
        return [what for what, _ in self.venue.received()].count("order")

    @property
    def state(self) -> TradingState:
        return self.desk.book.trading_state


def test_decisions_become_fills_and_the_account_agrees(tmp_path: Path) -> None:
    """Quotes come, the engine decides, orders are filled and booked."""
    stage = Stage(tmp_path, ListFeed(quotes(4)), PLAN)

    stage.run()

    assert stage.state is TradingState.ACTIVE
    assert stage.orders == 4
    assert {r.state for r in stage.desk.book.orders.values()} == {OrderState.FILLED}
    assert (stage.desk.book.lots(A), stage.desk.book.lots(B)) == (499, 999)  # NAV less fees


def test_a_broken_feed_halts(tmp_path: Path) -> None:
    """The feed raises: what works is cancelled and nothing more leaves."""

    class BreakingFeed(ListFeed):
        async def stream(self) -> AsyncIterator[Bar | Quote]:
            for item in self.items:
                yield item
            while stage.orders < 2:
                await asyncio.sleep(0.005)
            raise ConnectionResetError("reset by peer")

    stage = Stage(tmp_path, BreakingFeed(quotes(2)), PLAN, fills=False)

    async def trade() -> None:
        task = asyncio.create_task(stage.trader.run())
        while stage.state is not TradingState.HALTED:
            await asyncio.sleep(0.005)
        stage.trader.leave()
        await task

    asyncio.run(asyncio.wait_for(trade(), 20))

    assert {r.state for r in stage.desk.book.orders.values()} == {OrderState.CANCELLED}
    assert "reset by peer" in stage.desk.switch.path.read_text()


def test_a_silent_feed_halts(tmp_path: Path) -> None:
    """Nothing was said for longer than the limit."""
    stage = Stage(tmp_path, ListFeed(quotes(1), then=30.0))
    clock = stage.desk.now_ns
    assert isinstance(clock, Timepiece)

    async def trade() -> None:
        task = asyncio.create_task(stage.trader.run())
        while stage.trader.beat_count < 3:
            await asyncio.sleep(0.005)
        clock.ns += 31 * 10**9
        while stage.state is not TradingState.HALTED:
            await asyncio.sleep(0.005)
        stage.trader.leave()
        await task

    asyncio.run(asyncio.wait_for(trade(), 20))

    assert "was silent" in stage.desk.switch.path.read_text()


@pytest.mark.parametrize("shift_s", [-61, 2], ids=["stale", "of the future"])
def test_data_of_another_time_halts(tmp_path: Path, shift_s: int) -> None:
    """A quote that is too old, or that cannot be yet, decides nothing."""
    quote = replace(quotes(1)[0], time_ns=NOW_NS + shift_s * 10**9)
    stage = Stage(tmp_path, ListFeed([quote]), [make_decision(A=0.1)])

    stage.run()

    assert (stage.state, stage.orders) == (TradingState.HALTED, 0)


def test_a_position_that_nobody_explains_halts_at_the_start(tmp_path: Path) -> None:
    """The venue holds what the log does not know: nothing is traded on top of it."""
    stranger = Stage(tmp_path, ListFeed(quotes(2)), [make_decision(A=0.1)])
    stranger.run()
    (tmp_path / "events.db").unlink()
    for left in tmp_path.glob("events.db-*"):
        left.unlink()
    stage = Stage(tmp_path, ListFeed(quotes(2)), [make_decision("d9", B=0.1)])

    stage.run()

    assert (stage.state, stage.orders) == (TradingState.HALTED, 1)


def test_without_a_whole_account_nothing_is_released(tmp_path: Path) -> None:
    """A reconciliation that cannot be done is none."""
    stage = Stage(tmp_path, ListFeed(quotes(1)), [make_decision(A=0.1)])
    stage.venue.unreadable = True

    stage.run()

    assert stage.orders == 0
    assert "must be readable" in stage.desk.book.blocked["d1"]


def test_an_engine_that_fails_halts(tmp_path: Path) -> None:
    """A bug is a reason to stop, not to go on or to vanish."""

    class Broken(PlannedEngine):
        def on_market(self, item: Item, book: Book, time_ns: int) -> Intent | None:
            raise ZeroDivisionError("by zero")

    stage = Stage(tmp_path, ListFeed(quotes(1)))
    stage.trader.engine = Broken(())

    stage.run()

    assert stage.state is TradingState.HALTED


@pytest.mark.parametrize("flatten", [False, True])
def test_a_signal_halts(tmp_path: Path, flatten: bool) -> None:
    """USR1 halts; USR2 closes what is held as well."""
    stage = Stage(tmp_path, ListFeed(quotes(2), then=30.0), PLAN)

    async def trade() -> None:
        task = asyncio.create_task(stage.trader.run())
        obey_signals(stage.trader)
        while stage.orders < 2:
            await asyncio.sleep(0.005)
        os.kill(os.getpid(), signal.SIGUSR2 if flatten else signal.SIGUSR1)
        while stage.state is not TradingState.HALTED:
            await asyncio.sleep(0.005)
        os.kill(os.getpid(), signal.SIGTERM)
        await task

    asyncio.run(asyncio.wait_for(trade(), 20))

    assert (stage.desk.book.lots(A) == 0) is flatten
    assert stage.trader.health()["state"] == "halted"


def test_a_halt_that_a_person_lifted_elsewhere_is_over(tmp_path: Path) -> None:
    """The command writes the log and removes the file; the running trader trades on."""
    stage = Stage(tmp_path, ListFeed(quotes(1), then=30.0))

    async def trade() -> None:
        task = asyncio.create_task(stage.trader.run())
        stage.desk.switch.pull(Halt(reason="drill", actor="anna"))
        while stage.state is not TradingState.HALTED:
            await asyncio.sleep(0.005)
        make_desk(tmp_path, stage.venue).resume(by="ben", reason="all clear")
        while stage.state is not TradingState.ACTIVE or stage.desk.switch.is_pulled:
            await asyncio.sleep(0.005)
        stage.trader.leave()
        await task

    asyncio.run(asyncio.wait_for(trade(), 20))

    assert stage.trader.health()["halt"] is None


def test_a_halt_that_only_the_log_knows_cancels_what_works(tmp_path: Path) -> None:
    """Another home that shares the log halted: its file is not seen here, and orders went on."""
    stage = Stage(tmp_path, ListFeed(quotes(2), then=30.0), PLAN, fills=False)

    async def trade() -> None:
        task = asyncio.create_task(stage.trader.run())
        while stage.orders < 2:
            await asyncio.sleep(0.005)
        note_halt(Halt(reason="drill", actor="anna"), stage.desk.log, "USD", lambda: NOW_NS)
        while stage.desk.book.working_orders():
            await asyncio.sleep(0.005)
        assert stage.state is TradingState.HALTED
        assert not stage.desk.switch.is_pulled  # or `apiary resume` there would not lift it here
        stage.trader.leave()
        await task

    asyncio.run(asyncio.wait_for(trade(), 20))

    assert {r.state for r in stage.desk.book.orders.values()} == {OrderState.CANCELLED}


def test_killed_anywhere_it_sends_nothing_twice_and_loses_no_fill(tmp_path: Path) -> None:
    """kill -9 before and after every append and every order, each in a real process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.trader.sessions", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 20
