"""A short trading session in a folder, and its killing at every point where a process may die."""

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.market import Bar, Quote
from swarm_core.orders import Order
from swarm_core.ports import EventLog
from swarm_core.reconciliation import ReconciliationRules
from swarm_core.sizing import Targets
from tests.swarm_core.builders import A, B, make_decision, make_quote
from tests.trader.desks import make_desk
from tests.trader.venue import FileVenue
from trader.loop import Trader
from trader.ports import Intent, Item, Moment
from trader.settings import TraderSettings

SETTINGS = TraderSettings(heartbeat_s=0.01)


class ListFeed:
    """A feed that tells a list and then ends, breaks or stays silent."""

    def __init__(self, items: Sequence[Quote], *, then: OSError | float | None = None) -> None:
        self.items, self.then = items, then

    async def stream(self) -> AsyncIterator[Bar | Quote]:
        for item in self.items:
            yield item
        if isinstance(self.then, OSError):
            raise self.then
        if self.then is not None:
            await asyncio.sleep(self.then)


class PlannedEngine:
    """Decides what a plan says at each quote; the plan does not depend on who runs it."""

    def __init__(self, plan: Sequence[Targets | None]) -> None:
        self.plan = iter(plan)

    def on_market(self, item: Item, book: Book, time_ns: int) -> Intent | None:
        targets = None if isinstance(item, Moment) else next(self.plan, None)
        return None if targets is None else Intent(targets=targets)


def quotes(count: int) -> list[Quote]:
    return [replace(make_quote((A, B)[n % 2]), session_open=True) for n in range(count)]


PLAN = (None, make_decision("d1", A=0.1, B=-0.1), None, make_decision("d2", A=0.05, B=0.1))


class MortalLog:
    """The log of a process that dies before or after an append."""

    def __init__(self, log: EventLog, death: "Death") -> None:
        self.log, self.death = log, death

    def append(self, events: Sequence[ev.Event], *, expected_sequence: int | None = None):
        self.death.pass_point()
        recorded = self.log.append(events, expected_sequence=expected_sequence)
        self.death.pass_point()
        return recorded

    def read(self, after_sequence: int = 0):
        return self.log.read(after_sequence)


class MortalVenue(FileVenue):
    """The line of a process that dies before or after an order has left."""

    death: "Death"

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]:
        self.death.pass_point()
        said = super().submit(order, time_ns)
        self.death.pass_point()
        return said


class Death:
    """kill -9 at the given point, and nothing at the others."""

    def __init__(self, point: int) -> None:
        self.left = point

    def pass_point(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def live(home: Path, point: int) -> None:
    """Trade the session once, from what the log says, and die at the point (0: live on)."""
    venue = MortalVenue(home / "venue")
    venue.death = Death(point)
    desk = make_desk(home, venue)
    desk.log = MortalLog(desk.log, venue.death)
    trader = Trader(
        desk, venue, ListFeed(quotes(4)), PlannedEngine(PLAN), SETTINGS, ReconciliationRules()
    )
    asyncio.run(trader.run())


def in_child(home: Path, point: int) -> bool:
    """Live in a process of its own; return whether it was killed."""
    pid = os.fork()
    if not pid:
        try:
            live(home, point)
        except BaseException:  # noqa: BLE001  # the child must not return into the test
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "a life must end by itself or be killed"
    return False


def kill_everywhere(folder: Path) -> int:
    """Kill one life at each point in turn, restart, and check; return how many points there are."""
    point = 0
    while True:
        point += 1
        home = folder / str(point)
        home.mkdir()
        if not in_child(home, point):
            return point - 1
        in_child(home, 0)
        check(home, f"killed at point {point}")


def check(home: Path, when: str) -> None:
    """No order twice, no fill lost, no difference left."""
    venue = FileVenue(home / "venue")
    desk = make_desk(home, venue)
    received = [order_id for what, order_id in venue.received() if what == "order"]
    assert len(received) == len(set(received)) == 4, f"{when}: orders must arrive once: {received}"
    told = {fill.execution_id for fill in venue.account().fills}
    assert set(desk.book.ledger.executions) == told, f"{when}: every fill must be booked"
    assert desk.book.trading_state.value == "active", f"{when}: must be active"
    assert desk.book.ledger.find_imbalance() is None, when
    assert {i: p.lots for i, p in desk.book.ledger.positions.items()} == dict(
        venue.account().position_lots
    ), f"{when}: positions must agree"


if __name__ == "__main__":
    print(kill_everywhere(Path(sys.argv[1])))
