"""A trader that watches its market for a day holds no more at the end than after its first hour."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from swarm_core.book import Book
from swarm_core.market import Quote
from tests.simulation.faults import Faults, Life
from tests.simulation.world import IDS, SETTINGS, World, make_world
from trader.loop import Trader
from trader.ports import Intent, Item

_S = 10**9
GROWTH_BYTES_MAX = 64_000  # less than a byte for each item of a day


class Watcher:
    """An engine that looks at everything and decides nothing."""

    def on_market(self, item: Item, book: Book, time_ns: int) -> Intent | None:
        return None


class OneSession:
    """A market that never closes."""

    def session_at(self, time_ns: int) -> str:
        return "2024-01-01"

    def is_over(self, session: str, time_ns: int) -> bool:
        return False

    def is_open(self, time_ns: int) -> bool:
        return True


class SteadyFeed:
    """Quotes of every instrument, every few seconds; notes the memory in use each hour."""

    def __init__(self, world: World, hours: int) -> None:
        self.world, self.hours, self.used = world, hours, list[int]()

    async def stream(self) -> AsyncIterator[Item]:
        random = Random(1)
        for _ in range(self.hours):
            for _ in range(3_600 // 6):
                await asyncio.sleep(6)
                for instrument_id in IDS:
                    yield Quote(
                        instrument_id=instrument_id,
                        reference_ticks=random.randint(9_000, 11_000),
                        time_ns=self.world.loop.now_ns(),
                    )
            gc.collect()
            self.used.append(tracemalloc.get_traced_memory()[0])


def watch(home: Path, hours: int) -> list[int]:
    """Let a trader watch for so many simulated hours; return the bytes in use after each."""
    world = make_world(1, home)
    world.faults = Faults.none(Random(1))
    desk = world.desk(Life(world.faults))
    feed = SteadyFeed(world, hours)
    trader = Trader(
        desk,
        desk.broker,  # type: ignore[arg-type]  # a Line is a LiveBroker
        feed,
        Watcher(),
        SETTINGS,
        world.rules,
        hours=OneSession(),
    )
    tracemalloc.start()
    try:
        world.loop.run_until_complete(trader.run())
    finally:
        tracemalloc.stop()
        world.loop.close()
    assert trader.beat_count > hours * 600
    return feed.used


def test_some_hours_of_watching_leave_nothing_behind(tmp_path: Path) -> None:
    used = watch(tmp_path, 3)

    assert used[-1] - used[0] < GROWTH_BYTES_MAX, used


@pytest.mark.slow
def test_a_day_of_watching_leaves_nothing_behind(tmp_path: Path) -> None:
    used = watch(tmp_path, 24)

    assert used[-1] - used[0] < GROWTH_BYTES_MAX, used
