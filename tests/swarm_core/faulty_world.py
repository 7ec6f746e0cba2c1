"""A market, a broker and a log that outlive the trading process, and the ways in which they fail.

Everything is drawn from one seed, so a failure is reproduced by its seed alone.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from adapters.brokers.simulated import SimulatedBroker
from adapters.stores.event_log_memory import MemoryEventLog
from swarm_core import events as ev
from swarm_core.fills import FillSettings
from swarm_core.market import Bar, Quote
from swarm_core.orders import Order, OrderKind, TimeInForce
from swarm_core.sizing_settings import SizingSettings
from swarm_core.trading import book_from_events, recover, release
from tests.adapters.stores.event_log_contract import CheckedLog
from tests.swarm_core.builders import CASH, DAY_NS, INSTRUMENTS, NOW_NS, Targeted, make_limits
from tests.swarm_core.invariants import WatchingLog

SESSIONS = 3
IDS = tuple(INSTRUMENTS)


class Killed(BaseException):
    """kill -9: nothing may catch it."""


class Clockwork:
    """Counts the points at which a process may die, and kills it at the chosen ones."""

    def __init__(self, kill_at: Sequence[int] = ()) -> None:
        self.count, self.kill_at = 0, frozenset(kill_at)

    def pass_point(self) -> None:
        self.count += 1
        if self.count in self.kill_at:
            raise Killed


class MortalLog:
    """The process's view of the log: it may die before or after an append reaches the disk."""

    def __init__(self, disk: WatchingLog, clock: Clockwork) -> None:
        self.disk, self.clock = disk, clock

    def append(self, events: Sequence[ev.Event], *, expected_sequence: int | None = None):
        self.clock.pass_point()
        recorded = self.disk.append(events, expected_sequence=expected_sequence)
        self.clock.pass_point()
        return recorded

    def read(self, after_sequence: int = 0):
        return self.disk.read(after_sequence)


class Venue:
    """The broker's side: it counts what it receives, and each receipt is a live order."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.broker = SimulatedBroker(
            INSTRUMENTS, fills=FillSettings(participation_fraction_max=0.01)
        )
        self.receipts: Counter[str] = Counter()

    def restarted(self, events: Sequence[ev.RecordedEvent]) -> None:
        """The broker lived in the process too: it knows only what the log says."""
        self.broker = self.broker.with_events(events)
        known = set(self.broker._tickets)
        self.receipts = Counter({i: n for i, n in self.receipts.items() if i in known})


class MortalLine:
    """The process's line to the venue: it dies, breaks, repeats and reorders."""

    def __init__(self, venue: Venue, clock: Clockwork, fault_rate: float) -> None:
        self.venue, self.clock, self.fault_rate = venue, clock, fault_rate

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]:
        self.clock.pass_point()
        self._break()
        self.venue.receipts[order.client_order_id] += 1
        said = self.venue.broker.submit(order, time_ns)
        self.clock.pass_point()
        self._break()
        return self._garbled(said)

    def find(self, client_order_id: str) -> Sequence[ev.Event] | None:
        self.clock.pass_point()
        self._break()
        said = self.venue.broker.find(client_order_id)
        return None if said is None else self._garbled(said)

    def cancel(self, client_order_id: str, time_ns: int) -> Sequence[ev.Event]:
        self._break()
        return self.venue.broker.cancel(client_order_id, time_ns)

    def on_bars(self, bars: Sequence[Bar], time_ns: int) -> Sequence[ev.Event]:
        said = self.venue.broker.on_bars(bars, time_ns)
        self.clock.pass_point()
        if self._happens():
            return ()  # the messages were lost on the way: the next recovery asks for them
        return self._garbled(said)

    def _happens(self) -> bool:
        return self.venue.random.random() < self.fault_rate

    def _break(self) -> None:
        if self._happens():
            raise ConnectionResetError("the line broke")

    def _garbled(self, said: Sequence[ev.Event]) -> Sequence[ev.Event]:
        """Tell everything, some of it twice, in any order."""
        said = list(said)
        if self._happens():
            said += [_told_again(event) for event in said[: len(said) // 2 + 1]]
            self.venue.random.shuffle(said)
        return said


def _told_again(event: ev.Event) -> ev.Event:
    """Return the same fact in other words, as a broker asked later would tell it."""
    if isinstance(event, ev.OrderFilled):
        return replace(event, event_id=event.event_id + "-again", time_ns=event.time_ns + 1)
    return event


def day(session: int) -> int:
    return NOW_NS + session * DAY_NS


def market(seed: int) -> dict[int, list[Bar]]:
    """Return each session's bars: a random walk with thin and missing days."""
    random = Random(seed)
    prices = dict.fromkeys(IDS, 10_000)
    bars: dict[int, list[Bar]] = {}
    for session in range(SESSIONS + 1):
        bars[session] = []
        for i in IDS:
            prices[i] = max(100, prices[i] + random.randint(-300, 300))
            if session and random.random() < 0.1:
                continue
            volume = random.choice([None, 20_000, 100_000, 10_000_000])
            bars[session].append(
                Bar(
                    instrument_id=i,
                    time_ns=day(session),
                    close_ticks=prices[i],
                    open_ticks=prices[i] + random.randint(-50, 50),
                    volume_lots=volume,
                )
            )
    return bars


def decision(seed: int, session: int) -> Targeted:
    random = Random(f"{seed}/{session}")
    weights = tuple(round(random.uniform(-0.2, 0.2), 3) for _ in IDS)
    return Targeted(f"s{seed}-{session}", day(session), IDS, weights)


def sizing(seed: int) -> SizingSettings:
    carried = seed % 2 == 0
    return SizingSettings(
        kind=OrderKind.MARKET_ON_CLOSE if carried else OrderKind.MARKET_ON_OPEN,
        time_in_force=TimeInForce.GOOD_TILL_CANCELLED if carried else TimeInForce.DAY,
    )


def process(seed: int, log: MortalLog, line: MortalLine) -> None:
    """One life of the trading process: rebuild from the log, catch up, trade to the end."""
    book = book_from_events(log.read(), "USD", CASH)
    bars = market(seed)
    for session in range(SESSIONS + 1):
        recover(book=book, log=log, broker=line, time_ns=day(session))
        said = line.on_bars(bars[session], day(session))
        news = [e for e in said if not book.knows(e)]
        log.append(news)
        book.apply_all(log.read(book.sequence))
        if session == SESSIONS:
            break
        for _ in range(2):  # a sensor that fires twice is no second decision
            release(
                decision(seed, session),
                book=book,
                quotes=_quotes(bars, session),
                instruments=INSTRUMENTS,
                limits=make_limits(messages_max=1_000),
                log=log,
                broker=line,
                checks_passed=True,
                check_reason="",
                time_ns=day(session),
                sizing=sizing(seed),
            )


def _quotes(bars: dict[int, list[Bar]], session: int) -> dict[str, Quote]:
    return {
        bar.instrument_id: Quote(
            instrument_id=bar.instrument_id,
            reference_ticks=bar.close_ticks,
            time_ns=bar.time_ns,
            daily_volume_lots=10**9,
        )
        for bar in bars[session]
    }


def settle(log: WatchingLog, venue: Venue) -> None:
    """Ask for everything that is outstanding, over a line that works."""
    line = MortalLine(venue, Clockwork(), fault_rate=0.0)
    book = book_from_events(log.read(), "USD", CASH)
    recover(book=book, log=MortalLog(log, Clockwork()), broker=line, time_ns=day(SESSIONS))


def live(
    seed: int,
    *,
    kill_at: Sequence[int] = (),
    fault_rate: float = 0.0,
    broker_dies: bool = False,
    log_factory: Callable[[], CheckedLog] = MemoryEventLog,
) -> tuple[WatchingLog, Venue, int]:
    """Trade all sessions through any number of lives; return log, venue and points passed."""
    disk, venue, clock = WatchingLog(log_factory()), Venue(seed), Clockwork(kill_at)
    while True:
        try:
            process(seed, MortalLog(disk, clock), MortalLine(venue, clock, fault_rate))
            break
        except Killed:
            if broker_dies:
                venue.restarted(list(disk.read()))
    settle(disk, venue)
    return disk, venue, clock.count
