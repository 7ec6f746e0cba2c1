"""A halt while another process holds the log: the broker hears at once, the log catches up."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from swarm_core.order_states import OrderState
from swarm_core.reconciliation import ReconciliationRules
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import A, make_decision, make_fill, make_quote
from tests.trader.desks import make_desk
from tests.trader.sessions import ListFeed, PlannedEngine
from tests.trader.venue import FileVenue
from trader.kill_switch import Halt
from trader.loop import Trader
from trader.settings import TraderSettings

HALT = Halt(reason="a drill", actor="anna")


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the log as a process that writes to it, or copies it, does."""
    with sqlite3.connect(home / "events.db", isolation_level=None) as holder:
        holder.execute("begin immediate")
        try:
            yield
        finally:
            holder.execute("rollback")
    holder.close()


class Busy:
    """A trader with one working order, and a venue that keeps it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.venue = FileVenue(home / "venue", fills=False)
        self.desk = make_desk(home, self.venue)
        self.lines: list[str] = []
        quote = replace(make_quote(A), session_open=True)
        self.trader = Trader(
            self.desk,
            self.venue,
            ListFeed([quote], then=60.0),
            PlannedEngine([make_decision("d1", A=0.1)]),
            TraderSettings(heartbeat_s=0.01, reconcile_every_s=3600),
            ReconciliationRules(),
            tell=self.lines.append,
        )

    def cancels(self) -> int:
        return [what for what, _ in self.venue.received()].count("cancel")

    async def until(self, holds: str) -> None:
        for _ in range(2_000):
            if eval(holds, {}, {"self": self}):
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"must come to hold: {holds}; {self.venue.received()}, {self.lines}")

    async def end(self, task: "asyncio.Task[None]") -> None:
        self.trader.leave()
        await task


def test_cancels_go_out_while_the_log_is_locked(tmp_path: Path) -> None:
    """The halt itself waits for the log: its cancel has gone before."""
    busy = Busy(tmp_path)

    async def trade() -> None:
        task = asyncio.create_task(busy.trader.run())
        await busy.until("len(self.desk.book.working_orders()) == 1")
        with locked(tmp_path):
            busy.desk.switch.pull(HALT)
            began = time.monotonic()
            await busy.until("self.cancels() == 1")
            assert time.monotonic() - began < 5
            assert busy.desk.book.trading_state is TradingState.ACTIVE
        await busy.until("self.desk.book.trading_state.value == 'halted'")
        await busy.until("not self.desk.book.working_orders()")
        await busy.end(task)

    asyncio.run(asyncio.wait_for(trade(), 60))

    assert busy.cancels() == 1
    assert {r.state for r in busy.desk.book.orders.values()} == {OrderState.CANCELLED}
    assert busy.desk.log.verify().sound  # type: ignore[attr-defined]


def test_cancels_go_out_beside_an_act_that_waits_for_the_log(tmp_path: Path) -> None:
    """Something else of the trader's waits already: the halt does not stand behind it."""
    busy = Busy(tmp_path)

    async def trade() -> None:
        task = asyncio.create_task(busy.trader.run())
        await busy.until("len(self.desk.book.working_orders()) == 1")
        order = next(iter(busy.desk.book.orders.values())).order
        with locked(tmp_path):
            busy.venue._unheard.append(make_fill(order, 500, number=1))  # it is to be written
            await asyncio.sleep(0.5)
            busy.desk.switch.pull(HALT)
            began = time.monotonic()
            await busy.until("self.cancels() == 1")
            assert time.monotonic() - began < 5
        await busy.until("self.desk.book.trading_state.value == 'halted'")
        await busy.until("not self.desk.book.working_orders()")
        await busy.end(task)

    asyncio.run(asyncio.wait_for(trade(), 60))

    assert any("1 orders cancelled at the broker" in line for line in busy.lines), busy.lines
    record = next(iter(busy.desk.book.orders.values()))
    assert record.filled_lots == 500 < record.order.quantity_lots


def test_a_log_that_stays_locked_is_told(tmp_path: Path) -> None:
    """The kill switch works on the broker, and says that the log has not heard of it."""
    busy = Busy(tmp_path)
    busy.desk.log._db.execute("pragma busy_timeout = 200")  # type: ignore[attr-defined]

    async def trade() -> None:
        task = asyncio.create_task(busy.trader.run())
        await busy.until("len(self.desk.book.working_orders()) == 1")
        with locked(tmp_path):
            busy.desk.switch.pull(HALT)
            await busy.until("any('must be writable' in line for line in self.lines)")
            assert busy.cancels() >= 1
        await busy.until("self.desk.book.trading_state.value == 'halted'")
        await busy.end(task)

    asyncio.run(asyncio.wait_for(trade(), 60))


def test_a_halt_without_a_trader_cancels_before_it_waits_for_the_log(tmp_path: Path) -> None:
    busy = Busy(tmp_path)
    busy.desk.release(make_decision("d1", A=0.1))
    busy.desk.log._db.execute("pragma busy_timeout = 200")  # type: ignore[attr-defined]

    with locked(tmp_path):
        report = busy.desk.halt(HALT)

    assert (busy.cancels(), report.cancelled_count) == (1, 1)
    assert "must be writable" in report.failures[0]


def test_a_trader_that_leaves_cancels_before_it_waits_for_the_log(tmp_path: Path) -> None:
    """TERM while somebody holds the log, for longer than is waited: nothing is left working."""
    busy = Busy(tmp_path)
    busy.desk.log._db.execute("pragma busy_timeout = 200")  # type: ignore[attr-defined]

    async def trade() -> None:
        task = asyncio.create_task(busy.trader.run())
        await busy.until("len(self.desk.book.working_orders()) == 1")
        with locked(tmp_path):
            await busy.end(task)

    asyncio.run(asyncio.wait_for(trade(), 60))

    assert busy.cancels() >= 1
