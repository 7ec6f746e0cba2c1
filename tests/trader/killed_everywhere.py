"""A session killed at every single write: each statement of the log, the anchor, and the wire.

`python -m tests.trader.killed_everywhere FOLDER HOW` counts the writes of the undisturbed session,
kills a process at each of them, starts it again, and compares. It prints the count. HOW is filled,
halted, bracketed, flattened (by a halt, whose orders work on) or sliced.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from adapters.stores.event_log_anchor import Anchor
from adapters.stores.event_log_sqlite import SqliteEventLog
from swarm_core.book import Book
from swarm_core.execution.working import WorkingSettings
from swarm_core.orders import Order
from swarm_core.reconciliation import ReconciliationRules
from swarm_core.replay import book_digest, replay
from swarm_core.sizing_settings import ExitSettings
from tests.swarm_core.builders import CASH, NOW_NS, make_decision
from tests.trader.desks import Timepiece, make_desk
from tests.trader.sessions import SETTINGS, ListFeed, PlannedEngine, quotes
from tests.trader.venue import FileVenue
from trader.desk import TradingDesk
from trader.kill_switch import Halt
from trader.loop import Trader
from trader.ports import Intent, Item, Moment
from trader.replay import resume_ns

_S = 10**9
EXITS = ExitSettings(take_profit_fraction=0.1, stop_loss_fraction=0.05)
PLAN = (None, make_decision("d1", A=0.1, B=-0.1))
# What changes the file; each of these is a moment at which the process may end.
_WRITES = ("begin", "insert", "commit")


class Counter:
    """Counts the writes, and kills this process at the chosen one (0: at none)."""

    def __init__(self, kill_at: int) -> None:
        self.count, self.kill_at = 0, kill_at

    def __call__(self) -> None:
        self.count += 1
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


class CountedVenue(FileVenue):
    """A line on which each message is a write: the process may end before and after it."""

    count_write: Callable[[], None] = staticmethod(lambda: None)

    def _arrives(self, what: str, order_id: str, body: str = "") -> None:
        self.count_write()
        super()._arrives(what, order_id, body)
        self.count_write()


def count_writes_of(log: SqliteEventLog, count: Counter) -> None:
    """Count every statement that writes the log, and both sides of each write of its anchor."""
    log._db.set_trace_callback(lambda text: count() if text.startswith(_WRITES) else None)
    write = Anchor.write

    def counted(self: Anchor, sequence: int, digest: bytes) -> None:
        count()
        write(self, sequence, digest)
        count()

    Anchor.write = counted


class SliceEngine:
    """Decides once, at the first moment that it is shown."""

    def on_market(self, item: Item, book: Book, time_ns: int) -> Intent | None:
        is_due = isinstance(item, Moment) and "d1" not in book.worked
        return Intent(targets=PLAN[1]) if is_due else None


def slice_items(from_ns: int) -> list[Item]:
    """Return the market of six seconds after one another, from a moment on."""
    items: list[Item] = []
    for step in range(6):
        time_ns = NOW_NS + step * _S
        items += [replace(q, time_ns=time_ns) for q in quotes(2)]
        items.append(Moment(time_ns))
    return [item for item in items if item.time_ns >= from_ns]


def sliced(desk: TradingDesk, venue: FileVenue) -> Trader:
    """Return a trader of slices two seconds apart, which goes on at the log's own time."""
    clock = desk.now_ns
    assert isinstance(clock, Timepiece)
    clock.ns = max(NOW_NS, resume_ns(desk.log.read()))

    def before_item(item: Item) -> None:
        clock.ns = max(clock.ns, item.time_ns)

    return Trader(
        desk,
        venue,
        ListFeed(slice_items(clock.ns)),  # type: ignore[arg-type]  # moments as well
        SliceEngine(),
        SETTINGS,
        ReconciliationRules(),
        before_item=before_item,
        replayed=True,
        working=WorkingSettings(slices=3, minutes=0.1),
    )


def live(home: Path, kill_at: int, how: str) -> int:
    """Trade the session from where its log stands; return how many writes that took."""
    count, halted = Counter(kill_at), how in ("halted", "flattened")
    venue = CountedVenue(home / "venue", fills=how != "halted")
    if how == "flattened":
        venue.filled_orders = len(PLAN)  # those that close work on
    venue.count_write = count
    desk = make_desk(home, venue)
    if how == "bracketed":
        desk.sizing = replace(desk.sizing, exits=EXITS)
    assert isinstance(desk.log, SqliteEventLog)
    count_writes_of(desk.log, count)
    feed, engine = ListFeed(quotes(2)), PlannedEngine(PLAN)
    trader = Trader(desk, venue, feed, engine, SETTINGS, ReconciliationRules())
    if how == "sliced":
        trader = sliced(desk, venue)
    halt = Halt(reason="the drill", actor="a person", flatten=how == "flattened")

    async def trade() -> None:
        await trader.run()
        if halted:
            trader._halted = None
            await asyncio.to_thread(desk.halt, halt)

    asyncio.run(trade())
    return count.count


def in_child(home: Path, kill_at: int, how: str) -> int:
    """Live in a process of its own; return its writes, or -1 where it was killed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(writer, str(live(home, kill_at, how)).encode())
        finally:
            os._exit(0)  # whatever happened, the child does not return into the parent
    os.close(writer)
    with os.fdopen(reader) as told:
        said = told.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return -1
    assert said, f"{home}: a life must end by itself or be killed"
    return int(said)


def outcome(home: Path, how: str) -> Sequence[object]:
    """Return all that a session leaves behind, to be compared; the log must give it again."""
    venue = FileVenue(home / "venue")
    desk = make_desk(home, venue)
    log, book = desk.log, desk.book
    assert isinstance(log, SqliteEventLog)
    assert log.verify().sound, log.verify().detail
    report = replay(log.read(), "USD", CASH)
    assert report.first_difference is None, report.first_difference
    assert report.book_digest == book_digest(book)
    log.close()
    orders = {i: (r.state, r.filled_lots) for i, r in book.orders.items()}
    arrived = sorted(order_id for what, order_id in venue.received() if what == "order")
    assert len(arrived) == len(set(arrived)), f"{home}: an order must arrive once"
    assert book.working_plan is None, f"{home}: what was worked must have ended"
    if how == "flattened":  # a flattening is named after its moment: only what it did is compared
        assert not any(what == "cancel" for what, _ in venue.received()), f"{home}: nothing works"
        terms = {i: _terms(r.order) for i, r in book.orders.items()}
        orders = {terms[i]: orders[i] for i in arrived}
        arrived = sorted(terms[i] for i in arrived)
    return (
        orders,
        arrived,
        {i: (p.lots, p.cost_minor, p.realised_minor) for i, p in book.ledger.positions.items()},
        book.ledger.cash,
        book.ledger.fees,
        sorted(book.ledger.executions),
        book.trading_state,
    )


def _terms(order: Order) -> str:
    return f"{order.side.value} {order.quantity_lots} {order.instrument_id}"


def kill_at_each_write(folder: Path, how: str) -> int:
    """Kill a session at each of its writes, start it again and compare; return how many."""
    undisturbed = folder / "undisturbed"
    undisturbed.mkdir(parents=True)
    writes = in_child(undisturbed, 0, how)
    expected = outcome(undisturbed, how)
    if how == "sliced":
        assert len(expected[1]) == 6, f"each slice must trade both: {expected[1]}"  # type: ignore[arg-type]
    for kill_at in range(1, writes + 1):
        home = folder / str(kill_at)
        home.mkdir()
        assert in_child(home, kill_at, how) == -1, f"write {kill_at} must be reached"
        assert in_child(home, 0, how) >= 0, f"killed at write {kill_at}"
        found = outcome(home, how)
        for one, other in zip(found, expected, strict=True):
            assert one == other, f"killed at write {kill_at}: must be {other}, was {one}"
    return writes


if __name__ == "__main__":
    print(kill_at_each_write(Path(sys.argv[1]), sys.argv[2]))
