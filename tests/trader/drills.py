"""A trader of one decision that runs while a test does things to it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from swarm_core.reconciliation import ReconciliationRules
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import A, make_decision, make_quote
from tests.trader.desks import make_desk
from tests.trader.sessions import ListFeed, PlannedEngine
from tests.trader.venue import FileVenue
from trader.loop import Trader
from trader.settings import TraderSettings


class Drill:
    """A trader that wants a tenth of its book in A, a thousand lots; `lines` is what it tells."""

    def __init__(self, home: Path, *, fills: bool = True) -> None:
        self.venue = FileVenue(home / "venue", fills=fills)
        self.desk = make_desk(home, self.venue)
        self.lines: list[str] = []
        self.trader = Trader(
            self.desk,
            self.venue,
            ListFeed([replace(make_quote(A), session_open=True)], then=60.0),
            PlannedEngine([make_decision("d1", A=0.1)]),
            TraderSettings(heartbeat_s=0.01, reconcile_every_s=3600),
            ReconciliationRules(),
            tell=self.lines.append,
        )

    @property
    def lots(self) -> int:
        return self.desk.book.lots(A)

    @property
    def working(self) -> int:
        return len(self.desk.book.working_orders())

    @property
    def is_halted(self) -> bool:
        return self.desk.book.trading_state is TradingState.HALTED

    def received(self, what: str) -> int:
        """Return how many messages of a kind ("order", "cancel") the venue has had."""
        return [kind for kind, _ in self.venue.received()].count(what)

    async def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(2_000):
            if holds():
                return
            await asyncio.sleep(0.005)
        raise AssertionError(
            f"must come to hold, were {self.lots} lots, {self.venue.received()}, {self.lines}"
        )

    async def rest(self) -> None:
        beats = self.trader.beat_count
        await self.until(lambda: self.trader.beat_count > beats + 5)

    async def end(self, task: "asyncio.Task[None]") -> None:
        self.trader.leave()
        await task
