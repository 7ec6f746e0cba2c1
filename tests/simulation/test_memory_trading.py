"""A trader that trades for days holds no more at the end than after its first day.

`python -m tests.simulation.test_memory_trading HOURS` prints what it held, hour by hour.
"""

import asyncio
import gc
import sys
import tempfile
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from adapters.brokers.paper import PaperBroker
from adapters.brokers.simulated import SimulatedBroker
from adapters.stores.event_log_sqlite import SqliteEventLog
from swarm_core.book import Book, book_from_events
from swarm_core.market import Bar, Quote
from swarm_core.orders import OrderKind, TimeInForce, client_order_id
from swarm_core.reconciliation import ReconciliationRules
from swarm_core.sizing_settings import SizingSettings
from tests.simulation.virtual_time import VirtualLoop
from tests.swarm_core.builders import CASH, INSTRUMENTS, NOW_NS, Targeted, make_limits
from trader.desk import TradingDesk
from trader.kill_switch import KillSwitch
from trader.loop import Trader
from trader.ports import Intent, Item
from trader.settings import TraderSettings

_S = 10**9
IDS = tuple(INSTRUMENTS)
STEP_S = 30
# What is bounded by a day, and not by an hour, is the gate's memory of what was sent.
SENT_BYTES_MAX = 600  # kept whole, an order with its fill and decision was above 3,000
GROWTH_BYTES_MAX = 1_000_000  # the log keeps its newest 4,096 ids in memory, by turns
RSS_GROWTH_BYTES_MAX = 8_000_000
SETTINGS = TraderSettings(
    heartbeat_s=STEP_S, feed_silence_s_max=600.0, data_age_s_max=60.0, reconcile_every_s=300.0
)


class Churner:
    """Turns the whole book over at each step, by chance."""

    def __init__(self) -> None:
        self.decisions = 0

    def on_market(self, item: Item, book: Book, time_ns: int) -> Intent | None:
        if not isinstance(item, Quote) or item.instrument_id != IDS[-1]:
            return None
        self.decisions += 1
        random = Random(self.decisions)
        weights = tuple(round(random.uniform(-0.2, 0.2), 3) for _ in IDS)
        return Intent(targets=Targeted(f"d{self.decisions}", time_ns, IDS, weights))


class Days:
    """A market that is always open, in sessions of a day."""

    def session_at(self, time_ns: int) -> str:
        return datetime.fromtimestamp(time_ns / _S, UTC).date().isoformat()

    def is_over(self, session: str, time_ns: int) -> bool:
        return session < self.session_at(time_ns)

    def is_open(self, time_ns: int) -> bool:
        return True


@dataclass(slots=True)
class Held:
    """What was held at the end of an hour."""

    traced_bytes: int
    rss_bytes: int
    orders: int
    in_memory: int


class Market:
    """Bars that fill what waits, quotes to decide on; notes the memory in use each hour."""

    def __init__(self, loop: VirtualLoop, hours: int) -> None:
        self.loop, self.hours, self.held = loop, hours, list[Held]()
        self.desk: TradingDesk | None = None

    async def stream(self) -> AsyncIterator[Item]:
        random = Random(1)
        for _ in range(self.hours):
            for _ in range(3_600 // STEP_S):
                await asyncio.sleep(STEP_S)
                now_ns, ticks = self.loop.now_ns(), random.randint(9_900, 10_100)
                for instrument_id in IDS:
                    yield Bar(
                        instrument_id=instrument_id,
                        time_ns=now_ns,
                        open_ticks=ticks,
                        high_ticks=ticks,
                        low_ticks=ticks,
                        close_ticks=ticks,
                        volume_lots=10**7,
                    )
                for instrument_id in IDS:
                    yield Quote(
                        instrument_id=instrument_id,
                        reference_ticks=ticks,
                        time_ns=now_ns,
                        daily_volume_lots=10**7,
                        session_open=True,
                    )
            self._note()

    def _note(self) -> None:
        assert self.desk is not None
        client_order_id.cache_clear()  # bounded by a count, which a test does not reach
        gc.collect()
        book = self.desk.book
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4_096
        in_memory = len(book.orders)
        total = in_memory + book.retired_order_count
        self.held.append(Held(tracemalloc.get_traced_memory()[0], resident, total, in_memory))
        print(
            f"hour {len(self.held):3}: {total:7,} orders, {in_memory:4} in memory, "
            f"{self.held[-1].traced_bytes / 1e6:7.2f} MB traced, {resident / 1e6:7.1f} MB resident",
            flush=True,
        )


def trade(home: Path, hours: int) -> tuple[Book, list[Held]]:
    """Let a trader trade on paper for so many simulated hours; return its book and what it held."""
    loop = VirtualLoop(NOW_NS)
    log = SqliteEventLog(home / "events.db")
    log._db.execute("pragma synchronous=off")  # nothing dies here
    broker = PaperBroker(
        SimulatedBroker(INSTRUMENTS),
        (),
        base_currency="USD",
        starting_cash_minor=int(CASH) * 10**8,
        now_ns=loop.now_ns,
    )
    desk = TradingDesk(
        book=book_from_events((), "USD", CASH),
        log=log,
        broker=broker,
        switch=KillSwitch(home / "halt.json"),
        instruments=INSTRUMENTS,
        limits=make_limits(daily_loss_fraction_max=1.0, drawdown_fraction_max=1.0),
        now_ns=loop.now_ns,
        sizing=SizingSettings(kind=OrderKind.MARKET, time_in_force=TimeInForce.DAY),
    )
    feed = Market(loop, hours)
    feed.desk = desk

    def fill(item: Item) -> None:
        if isinstance(item, Bar):
            broker.on_bar(item)

    trader = Trader(
        desk,
        broker,
        feed,
        Churner(),
        SETTINGS,
        ReconciliationRules(),
        hours=Days(),
        before_item=fill,
    )
    tracemalloc.start()
    try:
        loop.run_until_complete(trader.run())
    finally:
        tracemalloc.stop()
        loop.close()
    assert desk.switch.find() is None, desk.switch.find()
    assert desk.book.ledger.find_imbalance() is None
    again = book_from_events(log.read(), "USD", CASH)
    assert again.ledger.cash == desk.book.ledger.cash
    assert again.orders.keys() == desk.book.orders.keys()
    log.close()
    return desk.book, feed.held


def test_some_hours_of_trading_leave_little_behind(tmp_path: Path) -> None:
    """An order that has ended costs what the gate remembers of a day, and no more."""
    book, held = trade(tmp_path, 4)

    first, last = held[1], held[-1]
    assert last.orders - first.orders > 500
    assert last.in_memory < 600
    assert book.retired_fill_count > 500
    grown = last.traced_bytes - first.traced_bytes
    assert grown < SENT_BYTES_MAX * (last.orders - first.orders), held


@pytest.mark.slow
def test_the_second_day_of_trading_leaves_nothing_behind(tmp_path: Path) -> None:
    _, held = trade(tmp_path, 50)

    first, last = held[24], held[-1]  # from the 25th hour to the 50th
    assert last.orders - first.orders > 5_000, held
    assert last.in_memory < 600
    assert last.traced_bytes - first.traced_bytes < GROWTH_BYTES_MAX, held
    assert last.rss_bytes - first.rss_bytes < RSS_GROWTH_BYTES_MAX, held


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        trade(Path(name), int(sys.argv[1]))
