"""The trader: feed to engine to gate to broker, one act at a time, and a watch over all of it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from swarm_core.book import Book
from swarm_core.execution.working import WorkingSettings
from swarm_core.exits import unprotected
from swarm_core.halting import ask_again
from swarm_core.market import Quote
from swarm_core.ports import ConcurrentAppendError
from swarm_core.reconciliation import ReconciliationRules
from swarm_core.risk.limits import RiskLimits
from swarm_core.sizing import find_fault
from swarm_core.trading import ReleaseReport, recover
from swarm_core.trading_state import TradingState
from trader.account_keeper import AccountKeeper
from trader.account_settling import AccountClaims
from trader.clocks import CLOCK_BACK_S_MAX, ClockWatch, wall_ns
from trader.contract_ends import ContractEnds
from trader.cutting import Cutter, heed_log
from trader.desk import TradingDesk
from trader.flattening import Flattening
from trader.kill_switch import Halt
from trader.order_commands import OrderCommands
from trader.overnight import NightBooks
from trader.ports import Engine, Feed, Hours, Intent, Item, LiveBroker, Moment, Opening
from trader.session_keeper import SessionKeeper
from trader.settings import RESUME_NS, TraderSettings
from trader.working import Worker

_NS_PER_S = 10**9
# A feed that is faster than the trader is held up: what then grows too old halts.
_WAITING_MAX = 10_000
# What a bug or a fault of the outside may raise; the book is halted, and the watch goes on.
_FAULTS = (OSError, ValueError, RuntimeError, ArithmeticError, LookupError, ConcurrentAppendError)


class Trader:
    """Trades one book until its feed ends or it is told to leave.

    Nothing is kept but in the log: a trader that was killed goes on from there. Acts on the book
    run one after another beside the event loop, which stays free to hear signals and calls.
    """

    def __init__(
        self,
        desk: TradingDesk,
        broker: LiveBroker,
        feed: Feed,
        engine: Engine,
        settings: TraderSettings,
        rules: ReconciliationRules,
        *,
        hours: Hours | None = None,
        before_item: Callable[[Item], None] = lambda _: None,
        on_beat: Callable[[int, Mapping[str, object], bool], None] = lambda *_: None,
        replayed: bool = False,
        limits: Callable[[Book], RiskLimits] | None = None,
        working: WorkingSettings | None = None,
        nights: NightBooks | None = None,
        ends: ContractEnds | None = None,
        tell: Callable[[str], None] = lambda _: None,
        narrate: Callable[[Mapping[str, object]], None] = lambda _: None,
    ) -> None:
        """Compose a trader; without `hours` no session is kept and the feed may never be silent.

        A `replayed` feed may be silent, and tells the moments at which is decided; beside any
        other the engine is shown the time at each beat. `limits` is asked at each beat which
        limits are in force. With `working`, decisions are worked in slices. `nights` books what
        happens between sessions, `ends` looks after contracts whose last trading day is near.

        `before_item` is shown every item first (a replayed market moves its clock and fills its
        orders by it); `on_beat` gets the machine's time, the health and whether it is the last.
        `tell` gets, a line each, what no event in the log says. `narrate` is called with the health
        when the acts of a beat are done, as another of them: it tells what the log says.
        """
        self.desk, self.broker, self.feed, self.engine = desk, broker, feed, engine
        self.settings, self._before_item = settings, before_item
        self.hours, self._on_beat, self._replayed = hours, on_beat, replayed
        self._limits, self._narrate, self._tell = limits, narrate, tell
        self._worker = None if working is None else Worker(desk, working)
        self._ends, nights = ends, nights or NightBooks(desk, broker)
        self.sessions = None if hours is None else SessionKeeper(desk, hours, nights)
        pull, why_not = self._pull, self._why_not
        self.account = AccountKeeper(
            desk, broker, rules, nights, settings, pull=pull, why_not=why_not, tell=tell,
            night_is_due=self._night_is_due,
        )  # fmt: skip
        self.desk.listen = broker.heard
        if self.sessions is not None:
            self.desk.unsettled = self.sessions.unsettled
        self._left = Flattening(desk, broker)
        self.orders = OrderCommands(desk, self.account.settle)  # what a person asks for
        self.claims = AccountClaims(self.account.settle_account, tell)
        self.beat_count = 0
        self._halted: Halt | None = None  # the halt that was acted on
        self._on_record = False  # whether the log says so
        self._failures: tuple[str, ...] = ()  # what of it could not be done
        self._item_ns = self._told_ns = 0  # when the feed last spoke, and its newest moment
        self._thought_ns = 0  # when the engine was last shown the time
        self._leaving, self._clock, self._cutter = False, ClockWatch(), Cutter(desk, tell)
        self._decided: tuple[Intent | None, int] = (None, 0)  # the last decision, and when
        self._resumed = (-1, 0)  # the log's last record, and when, at the last such try
        self._items: asyncio.Queue[Item | None] = asyncio.Queue(_WAITING_MAX)

    def leave(self) -> None:
        """Cancel what works, and end."""
        self._leaving = True

    def health(self) -> Mapping[str, object]:
        """Return how the trader stands."""
        return {
            "state": self.desk.book.trading_state.value,
            "beats": self.beat_count,
            "connected": self.broker.is_connected,
            "held_back": self.account.fault,
            "differs": self.account.differs,
            "claims": {"done": self.claims.done, "told": self.claims.told},
            "halt": None if self._halted is None else self._halted.reason,
            "working_orders": len(self.desk.book.working_orders()),
            "unprotected": unprotected(self.desk.book),
            "out_of_reach": self.desk.line.to_cancel_by_hand(self.desk.book),
            "session": self.desk.book.session,
            "limits": self.desk.limits.digest(),
            "ends": [] if self._ends is None else self._ends.standing(),
            "log_sequence": self.desk.book.sequence,
            "now_ns": self.desk.now_ns(),
        }

    async def run(self) -> None:
        """Rebuild, reconcile, trade; returns when the feed has ended or somebody said leave."""
        self._item_ns = self.desk.now_ns()
        await self._beat()
        reader = asyncio.create_task(self._read_feed())
        try:
            while not self._leaving:
                try:
                    item = await asyncio.wait_for(self._items.get(), self.settings.heartbeat_s)
                except TimeoutError:
                    await self._beat()
                    continue
                if item is None:
                    break
                await self._guarded(lambda item=item: self._take(item))
                await self._beat()
        finally:
            reader.cancel()
            await self._guarded(self._end)
            self._narrate(self.health())
            self._on_beat(wall_ns(), self.health(), True)

    async def _read_feed(self) -> None:
        try:
            async for item in self.feed.stream():
                await self._items.put(item)
        except _FAULTS as error:  # whatever ends it, e.g. a price that is none: nothing is traded
            self._pull(f"the feed must not break: {error}")
            return
        await self._items.put(None)

    def _pull(self, reason: str) -> None:
        """Halt by the trader itself; what is wrong stays wrong until a person has looked."""
        self.desk.switch.pull(Halt(reason=reason, actor="trader", by_person=False))

    async def _guarded(self, act: Callable[[], object]) -> None:
        work = asyncio.to_thread(act)
        try:
            if self.broker.is_thread_safe:
                task = asyncio.ensure_future(work)
                await self._cutter.beside(task, lambda: self._halted)
                work = task
            await work
        except _FAULTS as error:
            self._pull(f"the trader must not fail: {type(error).__name__}: {error}")

    async def _beat(self) -> None:
        self.beat_count += 1
        await self._guarded(self._listen_for_silence)
        await self._guarded(self._obey)
        await self._guarded(self._watch)
        await self._guarded(self._keep_session)
        await self._guarded(self._think)
        await self._guarded(self._obey_and_tell)
        self._on_beat(wall_ns(), self.health(), False)

    def _listen_for_silence(self) -> None:
        """Halt where the feed says nothing while the market is open, or the clock has gone back."""
        now_ns = self.desk.now_ns()
        back_s = 0.0 if self._replayed else self._clock.went_back_s(now_ns)
        if back_s > CLOCK_BACK_S_MAX:
            self._item_ns = self._thought_ns = self.account.reconciled_ns = now_ns
            self._pull(f"the clock must not go back, went back {back_s:.1f} s")
        if self._replayed or (self.hours is not None and not self.hours.is_open(now_ns)):
            self._item_ns = now_ns
            return
        silence_s = (now_ns - self._item_ns) / _NS_PER_S
        if silence_s > self.settings.feed_silence_s_max:
            self._pull(f"the feed must speak, was silent for {silence_s:.1f} s")

    def _think(self) -> None:
        """Show the engine that time has passed, at most once a heartbeat."""
        now_ns = self.desk.now_ns()
        due = (now_ns - self._thought_ns) / _NS_PER_S >= self.settings.heartbeat_s
        if self._replayed or not due:
            return
        self._thought_ns = now_ns
        self._decide(Moment(now_ns), now_ns)

    def _keep_session(self) -> None:
        """Close the session that is over, with the account read once more; open the next."""
        if self.sessions is None or self.account.fault:
            return
        now_ns = self.desk.now_ns()
        if not now_ns:
            return  # a replayed clock that has not started
        if self.sessions.is_due_to_close(now_ns):
            self.account.reconcile()
            if self.account.fault:
                return  # what filled last is not known: no night may be booked on it
            self.sessions.close(now_ns)
        self.sessions.open_if_due(now_ns)
        if self.account.is_put_off:
            self.account.reconcile()  # before anything is released

    def _night_is_due(self) -> bool:
        """Return whether the opening of a session is still to be booked."""
        return self.sessions is not None and self.sessions.is_due_to_open(self.desk.now_ns())

    def _obey(self) -> None:
        """Act on the switch, once for each halt; again where something of it may now be done."""
        desk = self.desk
        halt, is_halted = desk.switch.find(), desk.book.trading_state is TradingState.HALTED
        # The file goes before the log says ACTIVE, and the log may have been read since. A halt
        # that no disk would take is in neither, and was lifted by nobody.
        if self._on_record and not desk.switch.is_there:
            desk.catch_up()
            if desk.book.trading_state is TradingState.ACTIVE:  # lifted by a person, in the log
                desk.switch.lift()
                self._halted, self._on_record = None, False
                self.account.fault = "the account must be reconciled first"
                return
        if halt is None:
            if is_halted:
                heed_log(desk)
            return
        if halt != self._halted or not is_halted or self._left.is_due(halt):
            self._halted = halt  # first: nothing is cut beside what a flattening sends
            self._tell_failures(desk.halt(halt).failures)
            self._on_record = desk.book.trading_state is TradingState.HALTED
            self._left.note()

    def _tell_failures(self, failures: tuple[str, ...]) -> None:
        """Tell what of a halt could not be done, once for as long as it is the same."""
        for line in failures if failures != self._failures else ():
            self._tell(f"halt: {line}")
        self._failures = failures

    def _obey_and_tell(self) -> None:
        self._obey()
        self._narrate(self.health())

    def _watch(self) -> None:
        """Take in what the broker said; reconcile after each reconnection and every so often."""
        self.desk.take_in([*self._cutter.said, *self.broker.heard()])
        self._cutter.said.clear()
        self.account.look_at_fills()
        if self._limits is not None:
            limits = self._limits(self.desk.book)
            self.desk.limits = limits if self._ends is None else self._ends.limited(limits)
        if not self.broker.is_connected:
            self.account.note_away()
            return
        desk = self.desk
        ask_again(book=desk.book, log=desk.log, broker=desk.line, time_ns=desk.now_ns())
        self.account.look_up_changes()
        self.claims.act()
        self.orders.act(is_free=not self._why_not() and not desk.switch.is_pulled)
        self._look_after()
        if self.account.reconcile_if_due():
            self._resume(self.desk.now_ns())

    def _look_after(self) -> None:
        """Bring exits in line with positions, and send what waited for exits to be cancelled."""
        if self._why_not() or self.desk.switch.is_pulled:
            return
        self.desk.guard_exits()
        if self._ends is not None:
            self._ends.act()
        # Whether exits are out of the way stands in the log; a broker that is asked may answer now.
        book, now_ns = self.desk.book, self.desk.now_ns()
        is_new = self._resumed != (book.sequence, now_ns // RESUME_NS)
        if is_new and self._waits_for_exits():
            self._resume(now_ns)
            self._resumed = (book.sequence, now_ns // RESUME_NS)

    def _waits_for_exits(self) -> bool:
        """Return whether an order of the last decision was kept back for what worked before it."""
        book, intent = self.desk.book, self._decided[0]
        if intent is None or not self.desk.sizing.exits:
            return False
        ids = book.intended.get(intent.targets.decision_id, ())
        return any(book.orders[i].is_unsent and not book.orders[i].order.is_exit for i in ids)

    def _resume(self, now_ns: int) -> None:
        """Send what a broken connection kept of the last decision, unless it has grown old."""
        intent, decided_ns = self._decided
        if intent is None or intent.fault or self._why_not():
            return
        if (now_ns - decided_ns) / _NS_PER_S > self.settings.data_age_s_max:
            return
        book, decision_id = self.desk.book, intent.targets.decision_id
        unsent = any(book.orders[i].is_unsent for i in book.intended.get(decision_id, ()))
        if unsent or decision_id not in book.planned:
            self._release(intent, "")

    def _take(self, item: Item) -> None:
        """Show the market to the engine, and take what it decides over the order path."""
        desk = self.desk
        self._before_item(item)
        now_ns = self._item_ns = desk.now_ns()
        self._keep_session()
        self._told_ns = max(self._told_ns, item.time_ns)
        # A replay that goes on begins before the moment at which it was left.
        age_s = ((self._told_ns if self._replayed else now_ns) - item.time_ns) / _NS_PER_S
        if isinstance(item, Opening):
            return
        if not isinstance(item, Moment) and not -1.0 <= age_s <= self.settings.data_age_s_max:
            self._pull(f"data of {item.instrument_id} must be fresh, was {age_s:.1f} s old")
            return
        if isinstance(item, Quote):
            desk.quotes[item.instrument_id] = self._with_hours(item, now_ns)
        desk.take_in(self.broker.heard())
        self._decide(item, now_ns)

    def _with_hours(self, quote: Quote, now_ns: int) -> Quote:
        """Return the quote with what the calendar knows, where the feed does not say."""
        if quote.session_open is not None or self.hours is None:
            return quote
        return replace(quote, session_open=self.hours.is_open(now_ns))

    def _decide(self, item: Item, now_ns: int) -> None:
        intent = self.engine.on_market(item, self.desk.book, now_ns)
        if intent is None:
            if isinstance(item, Moment):
                self._work(now_ns)
            return
        if intent.fault:
            self._pull(f"the decision's checks must pass: {intent.fault}")
        self._decided = (intent, now_ns)
        self._release(intent, intent.fault or self._why_not())

    def _release(self, intent: Intent, fault: str) -> None:
        if self._worker is not None and not fault and find_fault(intent.targets) is None:
            now_ns = self.desk.now_ns()
            self._worker.begin(intent, now_ns)
            self._work(now_ns)
            return
        report = self.desk.release(
            intent.targets, fault=fault, lineage=intent.lineage, withheld=intent.withheld
        )
        self._report(report, fault)

    def _why_not(self) -> str:
        """Return why nothing may be released now, or nothing."""
        if self._night_is_due():
            return self.account.fault or "the night before the session must be booked first"
        return self.account.fault if self.broker.is_connected else "the broker must be connected"

    def _work(self, now_ns: int) -> None:
        """Send the slice that is due of what is worked, if anything is."""
        if self._worker is None or self._why_not():
            return
        report = self._worker.work(now_ns)
        if report is not None:
            self._report(report, "")

    def _report(self, report: ReleaseReport, fault: str) -> None:
        if report.blocked and not fault:
            self._pull(f"a decision must be sound: {report.blocked_reason}")

    def _end(self) -> None:
        """At the end of a session: nothing is left working unasked, and the account agrees."""
        desk, now_ns = self.desk, self.desk.now_ns()
        if self._leaving:
            desk.withdraw("the trader leaves")
        desk.take_in(self.broker.heard())
        recover(book=desk.book, log=desk.log, broker=desk.line, time_ns=now_ns)
        self.account.reconcile()
        self._obey()
        # What cannot be valued is closed by the next trader, when its rate is known.
        is_due = self.sessions is not None and self.sessions.is_due_to_close(now_ns + 1)
        if self.sessions is not None and is_due and not self.account.rate_fault:
            self.sessions.close(now_ns)
