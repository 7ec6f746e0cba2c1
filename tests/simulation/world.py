"""A whole simulated session: a market, a venue, a person, and a trader that dies and comes back.

`play(seed)` is all there is to it: the same seed always gives the same log, to the bit.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from random import Random

from swarm_core.book import Book, book_from_events
from swarm_core.execution.working import WorkingSettings
from swarm_core.market import Bar, Quote
from swarm_core.orders import OrderKind, TimeInForce
from swarm_core.reconciliation import ReconciliationRules
from swarm_core.sizing_settings import ExitSettings, SizingSettings
from swarm_core.trading_state import TradingState
from tests.simulation.faults import Faults, Killed, Life
from tests.simulation.invariants import BAD, Watch
from tests.simulation.line import ChangingLine, Disk, Line, SwitchOnDisk
from tests.simulation.nights import DAY_NS, DAYS, OPEN_NS, STEP_NS, Night, ShortDays
from tests.simulation.owner import Owner
from tests.simulation.venue import Venue
from tests.simulation.virtual_time import VirtualLoop
from tests.swarm_core.builders import CASH, INSTRUMENTS, NOW_NS, Targeted, make_limits
from trader.desk import TradingDesk
from trader.kill_switch import Halt, KillSwitch
from trader.loop import Trader
from trader.order_commands import OrderCommand
from trader.overnight import NightBooks
from trader.ports import Intent, Item
from trader.settings import TraderSettings

_S = 10**9
IDS = tuple(INSTRUMENTS)
SETTINGS = TraderSettings(
    heartbeat_s=5.0,
    feed_silence_s_max=40.0,
    data_age_s_max=30.0,
    reconcile_every_s=60.0,
    retire_after_s=90.0,
)
# How far from the book's mark the venue may pay for a fraction of a lot.
_FRACTION_APART_MAX = 0.1


class Engine:
    """Decides every few steps, by the moment alone: a trader that comes back decides the same."""

    def __init__(self, world: "World") -> None:
        self.world = world

    def on_market(self, item: Item, book: Book, time_ns: int) -> Intent | None:
        slot = (time_ns - NOW_NS) // (4 * STEP_NS)
        random = Random(f"{self.world.seed}/{slot}")
        if slot < 0 or not isinstance(item, Bar | Quote) or random.random() < 0.4:
            return None
        weights = tuple(round(random.uniform(-0.15, 0.15), 3) for _ in IDS)
        if self.world.faults.happens("decision_unsound"):
            weights = (float("nan"), *weights[1:])
        fault = "gaps in the bars" if self.world.faults.happens("check_failed") else ""
        decided_ns = NOW_NS + slot * 4 * STEP_NS
        name = f"s{self.world.seed}-{slot}" + (BAD if fault or weights[0] != weights[0] else "")
        return Intent(targets=Targeted(name, decided_ns, IDS, weights), fault=fault)


@dataclass(slots=True)
class World:
    """Everything that outlives the trading process."""

    seed: int
    faults: Faults
    watch: Watch
    venue: Venue
    loop: VirtualLoop
    home: Path
    sizing: SizingSettings
    rules: ReconciliationRules
    night: Night
    hours: ShortDays
    owner: Owner
    takes_changes: bool  # whether the venue changes orders under their own ids
    working: WorkingSettings | None  # how decisions are worked in slices, if they are
    lives: int = 0
    death: Life | None = None
    living: Trader | None = None

    def switch(self) -> KillSwitch:
        return KillSwitch(self.home / "halt.json")

    def desk(self, life: Life) -> TradingDesk:
        """Return the desk of a new process, its book rebuilt from the log."""
        disk = Disk(self.watch, life, self.faults, self.loop.now_ns)
        kind = ChangingLine if self.takes_changes else Line
        line = kind(self.venue, life, self.faults, self.loop.now_ns, self.watch)
        return TradingDesk(
            book=book_from_events(disk.read(), "USD", CASH),
            log=disk,
            broker=line,
            switch=SwitchOnDisk(self.home / "halt.json", disk, self.watch),
            instruments=INSTRUMENTS,
            limits=make_limits(),
            now_ns=self.loop.now_ns,
            sizing=self.sizing,
        )

    def trader(self, feed: "MarketFeed") -> Trader:
        desk = self.desk(feed.life)
        feed.desk = desk
        # What only the memory of a dead process knew is gone with it.
        is_halted = self.watch.book.trading_state is TradingState.HALTED
        self.watch.is_pulled = desk.switch.path.exists() or is_halted
        trader = Trader(
            desk,
            desk.broker,  # type: ignore[arg-type]  # a Line is a LiveBroker
            feed,
            Engine(self),
            SETTINGS,
            self.rules,
            hours=self.hours,
            nights=NightBooks(desk, desk.broker, self.night, hours=self.hours),
            working=self.working,
        )
        # A trader whose feed has broken stays, halted, until a person sends it away.
        feed.when_broken = lambda: self.loop.call_later(45, trader.leave)
        self.living = trader
        return trader


def make_world(seed: int, home: Path) -> World:
    random = Random(seed)
    changes = Random(f"{seed}/changes")
    faults = Faults.drawn(random, changes, Random(f"{seed}/owners"))
    kept = random.random() < 0.5
    night = Night.drawn(Random(f"{seed}/night"), Random(f"{seed}/night, later"), IDS)
    adopts = random.random() < 0.5
    rules = ReconciliationRules(
        # What is not adopted gets dividends too, and nobody can tell cash of a night from its own.
        adopt_foreign=adopts or night.pays_cash,
        estimate_fraction_max=_FRACTION_APART_MAX,
        # Longer than a trader can be away here: what a broker has forgotten only halts.
        fills_reach_back_ns=4 * DAYS * DAY_NS,
    )
    watch, venue = Watch(), Venue(random, faults, rules.fills_reach_back_ns)
    watch.venue = venue
    venue.booked = lambda: watch.booked
    # By dice of their own: older seeds play as they did.
    apart = Random(f"{seed}/exits")
    sizing = SizingSettings(
        exits=ExitSettings(take_profit_fraction=0.02, stop_loss_fraction=0.01)
        if apart.random() < 0.5
        else None,
        kind=OrderKind.MARKET,
        time_in_force=TimeInForce.GOOD_TILL_CANCELLED if kept else TimeInForce.DAY,
    )
    hours = ShortDays(night.shift_ns)
    loop = VirtualLoop(NOW_NS)
    takes_changes = changes.random() < 0.7
    working = None if sizing.exits else _working(Random(f"{seed}/working"))
    return World(
        seed, faults, watch, venue, loop, home, sizing, rules, night, hours,
        Owner(venue, faults, watch), takes_changes, working,
    )  # fmt: skip


def _working(random: Random) -> WorkingSettings | None:
    """Return slices some seconds apart, so that many are alike; of every other session none."""
    if random.random() < 0.5:
        return None
    return WorkingSettings(slices=random.randint(2, 6), minutes=random.choice((0.1, 0.3, 0.6)))


class MarketFeed:
    """What the market shows one life of the trader: faulty quotes, and silence at night."""

    def __init__(self, world: World, life: Life, until_ns: int) -> None:
        self.world, self.life, self.until_ns = world, life, until_ns
        self.desk: TradingDesk | None = None
        self.when_broken: Callable[[], object] = lambda: None

    async def stream(self) -> AsyncIterator[Item]:
        try:
            async for item in self._items():
                yield item
        except (OSError, ValueError):
            self.when_broken()
            raise

    async def _items(self) -> AsyncIterator[Item]:
        world, faults = self.world, self.world.faults
        while (now_ns := world.loop.now_ns()) < self.until_ns:
            await asyncio.sleep((STEP_NS - (now_ns - NOW_NS) % STEP_NS) / _S)
            now_ns = world.loop.now_ns()
            if not world.hours.is_open(now_ns):
                continue
            if faults.happens("feed_lost"):
                raise ConnectionResetError("the feed is gone")
            if faults.happens("limits_changed") and self.desk is not None:
                share = faults.random.choice((0.05, 0.2, 1.0))
                self.desk.limits = make_limits(order_value_fraction_max=share)
            for instrument_id in IDS:
                for item in self._shown(instrument_id, now_ns):
                    yield item

    def _shown(self, instrument_id: str, now_ns: int) -> list[Item]:
        faults, price = self.world.faults, self.world.venue.prices[instrument_id]
        if faults.happens("item_missing"):
            return []
        quote = Quote(
            instrument_id=instrument_id,
            reference_ticks=price,
            time_ns=now_ns,
            daily_volume_lots=10**7,
        )
        if faults.happens("item_late"):
            quote = replace(quote, time_ns=now_ns - 20 * _S)
        if faults.happens("item_stale"):
            quote = replace(quote, time_ns=now_ns - 120 * _S)
        if faults.happens("item_future"):
            quote = replace(quote, time_ns=now_ns + 60 * _S)
        if faults.happens("price_zero"):
            quote = replace(quote, reference_ticks=0)
        if faults.happens("price_negative"):
            quote = replace(quote, reference_ticks=-price)
        if faults.happens("price_nan"):
            quote = Quote.from_price(INSTRUMENTS[instrument_id], float("nan"), now_ns)
        shown: list[Item] = [quote]
        if faults.happens("item_twice"):
            shown.append(quote)
        if faults.happens("item_revised"):
            shown.append(replace(quote, reference_ticks=price + 7))
        return shown


async def _outside(world: World) -> None:
    """What goes on whether or not a trader lives: the market, the nights, outages, a person."""
    day, faults = 0, world.faults
    halted_since_ns = 0
    while True:
        await asyncio.sleep(STEP_NS / _S)
        now_ns = world.loop.now_ns()
        if now_ns >= world.hours.opens_ns(day) + OPEN_NS:
            day += 1
            world.venue.close_day(now_ns)
        world.night.happen(world.venue, world.hours, now_ns)
        if world.hours.is_open(now_ns):
            world.venue.move(now_ns)
        for kind in ("outage_1101", "outage_1102"):
            if faults.happens(kind):
                seconds = faults.random.randint(5, 60)
                world.venue.go_down(now_ns, seconds, keep=kind == "outage_1102")
        for kind in ("person_halts", "person_flattens"):
            if faults.happens(kind):
                flatten = kind == "person_flattens"
                world.switch().pull(Halt(reason="a drill", actor="a person", flatten=flatten))
        world.owner.act(world.living, now_ns)
        _instruct(world)
        is_halted = world.watch.book.trading_state is not TradingState.ACTIVE
        halted_since_ns = (halted_since_ns or now_ns) if is_halted else 0
        if halted_since_ns and now_ns - halted_since_ns > 40 * _S:
            _resume(world)
            halted_since_ns = 0


def _instruct(world: World) -> None:
    """A person asks the trader that lives for a change or a cancel of one order that works."""
    book, dice = world.watch.book, world.faults.apart
    # An order of a bracket is never changed.
    working = [r for r in book.working_orders() if not (r.order.is_exit or world.sizing.exits)]
    for kind in ("person_changes", "person_cancels"):
        if not (working and world.living and world.faults.happens(kind)):
            continue
        order = dice.choice(working).order
        lots = max(1, dice.randint(0, 2 * order.quantity_lots))
        replaces = kind == "person_changes"
        command = OrderCommand(
            order_id=order.client_order_id,
            actor="a person",
            reason="a drill",
            replaces=replaces,
            quantity=Decimal(lots) if replaces else None,
        )
        try:
            world.living.orders.ask(command)
        except ValueError:
            world.faults.happened[kind] -= 1  # not of this desk: the person is told


def _resume(world: World) -> None:
    """A person has looked, and lifts the halt by a process of his own, as `apiary resume` does."""
    try:
        world.desk(Life(Faults.none(Random(0)))).resume(by="a person", reason="looked at it")
    except OSError:
        return  # the disk is full: another time
    world.watch.is_pulled = False


async def _live_through(world: World, until_ns: int) -> None:
    """Let traders live one after the other until the end; the world goes on beside them."""
    outside = asyncio.create_task(_outside(world))
    try:
        while world.loop.now_ns() < until_ns:
            world.lives += 1
            life = Life(world.faults)
            try:
                trader = world.trader(MarketFeed(world, life, until_ns))
                run = asyncio.create_task(trader.run())
                await asyncio.wait((run, outside), return_when=asyncio.FIRST_COMPLETED)
                if outside.done():
                    outside.result()
                run.result()
            except Killed:
                await asyncio.sleep(world.faults.random.randint(1, 30))  # until it is started again
            else:
                await asyncio.sleep(5)  # the feed has ended or broken: it is started again
    finally:
        outside.cancel()


def play(seed: int, *, with_world: Callable[[World], None] = lambda _: None) -> World:
    """Play the session of a seed to its end, settle it, and return the world as it then is.

    Raises AssertionError where an invariant does not hold.
    """
    home = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    world = make_world(seed, home)
    with_world(world)
    try:
        end_ns = NOW_NS + DAYS * DAY_NS
        world.loop.run_until_complete(_live_through(world, end_ns))
        world.faults.active = False
        world.loop.run_until_complete(_settle(world))
    finally:
        world.loop.close()
        shutil.rmtree(home)
    return world


async def _settle(world: World) -> None:
    """Everything works again: a last life hears all that is outstanding, and reconciles."""
    await asyncio.sleep(300)
    for charged_ns, _ in list(world.venue.charges_due):
        assert charged_ns < world.loop.now_ns()
    now_ns = world.loop.now_ns()
    for _, charge in world.venue.charges_due:
        world.venue._charge(charge)
        world.venue.tell(charge, now_ns)
    world.venue.charges_due.clear()
    world.venue.pay_dividends()
    world.lives += 1
    await world.trader(MarketFeed(world, Life(world.faults), 0)).run()
    is_foreign = any(not f.client_order_id for f in world.venue.fills.values())
    if world.rules.adopt_foreign or not is_foreign:
        desk = world.desk(Life(world.faults))
        world.owner.say(desk, desk.broker, world.rules)  # type: ignore[arg-type]  # a Line
