"""A halt while another process holds the log: the broker hears at once, the log catches up."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from swarm_core.order_states import OrderState
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import make_decision, make_fill
from tests.trader.drills import Drill
from trader.kill_switch import Halt

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


class Busy(Drill):
    """A trader with one working order at a venue that keeps it; its home's log may be locked."""

    def __init__(self, home: Path, *, log_patience_ms: int | None = None) -> None:
        super().__init__(home, fills=False)
        if log_patience_ms is not None:
            patience = f"pragma busy_timeout = {log_patience_ms}"
            self.desk.log._db.execute(patience)  # type: ignore[attr-defined]  # the embedded log

    @property
    def cancels(self) -> int:
        return self.received("cancel")

    def trade(self, then: Callable[["asyncio.Task[None]"], Awaitable[None]]) -> None:
        """Run the trader, and what happens to it once its order works."""

        async def play() -> None:
            task = asyncio.create_task(self.trader.run())
            await self.until(lambda: self.working == 1)
            await then(task)

        asyncio.run(asyncio.wait_for(play(), 60))


def test_cancels_go_out_while_the_log_is_locked(tmp_path: Path) -> None:
    """The halt itself waits for the log: its cancel has gone before."""
    busy = Busy(tmp_path)

    async def then(task: "asyncio.Task[None]") -> None:
        with locked(tmp_path):
            busy.desk.switch.pull(HALT)
            began = time.monotonic()
            await busy.until(lambda: busy.cancels >= 1)
            assert time.monotonic() - began < 5
            assert busy.desk.book.trading_state is TradingState.ACTIVE
        await busy.until(lambda: busy.is_halted)
        await busy.until(lambda: not busy.working)
        await busy.end(task)

    busy.trade(then)

    assert busy.cancels <= 2  # twice where an act of the beat stood before the log as well
    assert {r.state for r in busy.desk.book.orders.values()} == {OrderState.CANCELLED}
    assert busy.desk.log.verify().sound  # type: ignore[attr-defined]


def test_cancels_go_out_beside_an_act_that_waits_for_the_log(tmp_path: Path) -> None:
    """Something else of the trader's waits already: the halt does not stand behind it."""
    busy = Busy(tmp_path)

    async def then(task: "asyncio.Task[None]") -> None:
        order = next(iter(busy.desk.book.orders.values())).order
        with locked(tmp_path):
            busy.venue._unheard.append(make_fill(order, 500, number=1))  # it is to be written
            await asyncio.sleep(0.5)
            busy.desk.switch.pull(HALT)
            began = time.monotonic()
            await busy.until(lambda: busy.cancels >= 1)
            assert time.monotonic() - began < 5
        await busy.until(lambda: busy.is_halted)
        await busy.until(lambda: not busy.working)
        await busy.end(task)

    busy.trade(then)

    assert any("1 orders cancelled at the broker" in line for line in busy.lines), busy.lines
    record = next(iter(busy.desk.book.orders.values()))
    assert record.filled_lots == 500 < record.order.quantity_lots


def test_a_log_that_stays_locked_is_told(tmp_path: Path) -> None:
    """The kill switch works on the broker, and says that the log has not heard of it."""
    busy = Busy(tmp_path, log_patience_ms=200)

    async def then(task: "asyncio.Task[None]") -> None:
        with locked(tmp_path):
            busy.desk.switch.pull(HALT)
            await busy.until(lambda: any("must be writable" in line for line in busy.lines))
            assert busy.cancels >= 1
        await busy.until(lambda: busy.is_halted)
        await busy.end(task)

    busy.trade(then)


def test_a_halt_without_a_trader_cancels_before_it_waits_for_the_log(tmp_path: Path) -> None:
    busy = Busy(tmp_path, log_patience_ms=200)
    busy.desk.release(make_decision("d1", A=0.1))

    with locked(tmp_path):
        report = busy.desk.halt(HALT)

    assert (busy.cancels, report.cancelled_count) == (1, 1)
    assert "must be writable" in report.failures[0]


def test_a_trader_that_leaves_cancels_before_it_waits_for_the_log(tmp_path: Path) -> None:
    """TERM while somebody holds the log, for longer than is waited: nothing is left working."""
    busy = Busy(tmp_path, log_patience_ms=200)

    async def then(task: "asyncio.Task[None]") -> None:
        with locked(tmp_path):
            await busy.end(task)

    busy.trade(then)

    assert busy.cancels >= 1
