"""One book on one log with one broker: the acts that the trader and the commands share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.broker_account import BrokerAccount
from swarm_core.exits import guard_exits
from swarm_core.halting import (
    HaltReport,
    cancel_all,
    cancel_at_once,
    change_trading_state,
    halt,
)
from swarm_core.instruments import Instrument
from swarm_core.lineage import Lineage
from swarm_core.market import Quote
from swarm_core.marking import position_marks
from swarm_core.order_changes import STEADY, fits, modify
from swarm_core.order_path import OrderPath
from swarm_core.order_states import OrderRecord, OrderState
from swarm_core.orders import Order, OrderKind
from swarm_core.ports import (
    Broker,
    ConcurrentAppendError,
    EventLog,
    ModifyingBroker,
)
from swarm_core.references import References
from swarm_core.retirement import Archive, retirement
from swarm_core.risk.limits import RiskLimits
from swarm_core.sizing import Targets
from swarm_core.sizing_settings import SizingSettings
from swarm_core.trading import ReleaseReport, recover, release
from swarm_core.trading_state import TradingState
from trader.closing import FlatTargets, cancelled_by
from trader.kill_switch import Halt, KillSwitch
from trader.ports import ForgettingBroker
from trader.switched_broker import SwitchedBroker

T = TypeVar("T")
# Another writer may move the log between our read and our write.
_TRIES_MAX = 20


@dataclass(slots=True)
class TradingDesk:
    """The acts on one book; none of them may run beside another one."""

    book: Book
    log: EventLog
    broker: Broker
    switch: KillSwitch
    instruments: Mapping[str, Instrument]
    limits: RiskLimits
    now_ns: Callable[[], int]
    sizing: SizingSettings = field(default_factory=SizingSettings)
    quotes: dict[str, Quote] = field(default_factory=dict[str, Quote])
    located: frozenset[str] = frozenset()  # instruments with a confirmed borrow
    halted: Callable[[], frozenset[str]] = frozenset  # instruments whose trading is halted now
    # What the broker has said unasked; a halt hears it out before it closes what is held.
    listen: Callable[[], Sequence[ev.Event]] = tuple
    # Instruments whose quote and position may be of other lots: no quote of theirs is traded on.
    unsettled: Callable[[], frozenset[str]] = frozenset
    line: SwitchedBroker = field(init=False)

    def __post_init__(self) -> None:
        self.line = SwitchedBroker(self.broker, self.switch)

    def release(
        self,
        decision: Targets,
        *,
        fault: str = "",
        lineage: Lineage | None = None,
        withheld: frozenset[str] = frozenset(),
        parent_decision_id: str = "",
    ) -> ReleaseReport:
        """Take a decision over the order path; `fault` is why it must be held back, if it must.

        What is `withheld`, or halted, has no quote for this decision, and the gate denies what has
        none.
        """
        quotes = {i: q for i, q in self.settled_quotes().items() if i not in withheld}
        sizing = replace(self.sizing, parent_decision_id=parent_decision_id)
        return self._release(decision, fault, sizing, quotes, lineage)

    def replace(self, client_order_id: str, order: Order) -> bool:
        """Put another order in the place of one that works; return whether the broker was asked.

        Where the broker takes changes and only quantity and prices differ, the order is changed
        under its own id (`order_changes.modify`), else cancelled first (`OrderPath.replace`).
        Raises ValueError where there is no such order, or the other is in another instrument or
        on the other side.
        """
        return self._undisturbed(lambda: self._replace(client_order_id, order))

    def _replace(self, client_order_id: str, order: Order) -> bool:
        record = self.book.orders.get(client_order_id)
        if record is None:
            raise ValueError(f"an order to replace must be in the log, was {client_order_id}")
        old = record.order
        if (old.instrument_id, old.side) != (order.instrument_id, order.side):
            raise ValueError(
                f"an order must be replaced by one of {old.instrument_id}, {old.side.value}, "
                f"was {order.instrument_id}, {order.side.value}"
            )
        references = self.references()
        path = OrderPath(self.book, self.log, self.line, references.time_ns)
        if self.modifies(record, order):
            return record.state in STEADY and modify(path, record, order, references)
        return path.replace(record, order, references)

    def modifies(self, record: OrderRecord, order: Order) -> bool:
        """Return whether a working order becomes another under its own id."""
        works = record.state.is_working and record.state is not OrderState.CANCEL_PENDING
        return works and isinstance(self.broker, ModifyingBroker) and fits(record.order, order)

    def cancel(self, client_order_id: str, reason: str) -> int:
        """Ask the broker to cancel one working order; return how many were asked for."""
        return cancel_all(
            book=self.book,
            log=self.log,
            broker=self.line,
            reason=reason,
            time_ns=self.now_ns(),
            which=lambda order: order.client_order_id == client_order_id,
        )

    def withdraw(self, reason: str) -> None:
        """Cancel what works, but the ways out of positions: exits, and what flattens for a halt.

        The broker hears of all but exits before the log is asked: it may be locked or away. Which
        exits are in nobody's need is known when what the broker has said is written down.
        """
        now_ns, book = self.now_ns(), self.book
        hindered = cancelled_by(self.switch.find(), book)

        def goes(order: Order) -> bool:
            parent = book.orders.get(order.parent_client_order_id)
            is_way_out = order.is_exit and (parent is None or parent.state.is_final)
            return hindered(order) and not is_way_out

        cut = cancel_at_once(
            book, self.line, now_ns, lambda order: hindered(order) and not order.is_exit
        )
        self.take_in([*self.listen(), *cut.said])
        log, line = self.log, self.line
        cancel_all(
            book=book,
            log=log,
            broker=line,
            reason=reason,
            time_ns=now_ns,
            which=goes,
            asked=cut.asked,
        )

    def guard_exits(self) -> None:
        """Send, renew or take back the exits of positions, where they do not fit them."""
        if self.book.exits:
            self._undisturbed(self._guard_exits)

    def _guard_exits(self) -> None:
        references = self.references()
        guard_exits(OrderPath(self.book, self.log, self.line, references.time_ns), references)

    def _undisturbed(self, act: Callable[[], T]) -> T:
        """Take a step again from what the log says now, where somebody else has written."""
        for _ in range(_TRIES_MAX):
            self.catch_up()
            try:
                return act()
            except ConcurrentAppendError:
                continue
        raise ConcurrentAppendError(
            f"the log must rest for one step in {_TRIES_MAX} tries, and did not"
        )

    def settled_quotes(self) -> Mapping[str, Quote]:
        """Return the quotes that orders may be sized and judged by."""
        out = self.unsettled() | self.halted()
        return {i: q for i, q in self.quotes.items() if i not in out} if out else self.quotes

    def references(self) -> References:
        """Return all that sizing and gate look at now."""
        return References(
            time_ns=self.now_ns(),
            quotes=self.settled_quotes(),
            instruments=self.instruments,
            limits=self.limits,
            sizing=self.sizing,
            located=self.located,
        )

    def _release(
        self,
        decision: Targets,
        fault: str,
        sizing: SizingSettings,
        quotes: Mapping[str, Quote],
        lineage: Lineage | None = None,
    ) -> ReleaseReport:
        return release(
            decision,
            book=self.book,
            quotes=quotes,
            instruments=self.instruments,
            limits=self.limits,
            log=self.log,
            broker=self.line,
            checks_passed=not fault,
            check_reason=fault,
            time_ns=self.now_ns(),
            lineage=lineage,
            located=self.located,
            sizing=sizing,
        )

    def take_in(self, said: Sequence[ev.Event]) -> int:
        """Write down what the broker said and was not known; return how much that was."""
        news = Archive(self.book, self.log).news(said)
        if news:
            self.log.append(news)
        self.catch_up()
        return len(news)

    def unretired(self, account: BrokerAccount) -> BrokerAccount:
        """Leave out of an account what was retired; an order that it tells more of comes back."""
        seen, recalled = Archive(self.book, self.log).unretired(account)
        self.note(*recalled)
        return seen

    def retire(self, before_ns: int) -> None:
        """Take out of memory what had ended before a moment; the log keeps it."""
        self.catch_up()
        event = retirement(self.book, before_ns, self.now_ns())
        if event is None:
            return
        self.note(event)
        if isinstance(self.broker, ForgettingBroker):
            self.broker.forget(event.decision_ids)

    def has_retired(self, decision_id: str) -> bool:
        """Return whether a decision was taken, and is only in the log any more."""
        return Archive(self.book, self.log).has_retired(decision_id)

    def mark(self, now_ns: int) -> None:
        """Value what is held at the newest quotes."""
        self.note(*position_marks(self.book, self.settled_quotes(), now_ns))

    def note(self, *events: ev.Event) -> None:
        """Put facts on record, whoever else has written meanwhile."""
        if events:
            self.log.append(events)
        self.catch_up()

    def catch_up(self) -> None:
        self.book.apply_all(self.log.read(self.book.sequence))

    def halt(self, order: Halt) -> HaltReport:
        """Stop everything: the switch first, then the state, the orders and, if asked, the rest.

        What closes for a flattening already, also from a process before this one, goes on.
        """
        unwritten = self.switch.pull(order)
        report = halt(
            book=self.book,
            log=self.log,
            broker=self.line,
            reason=order.reason,
            actor=order.actor,
            by_person=order.by_person,
            time_ns=self.now_ns(),
            which=cancelled_by(order, self.book),
            flatten=self._flatten if order.flatten else None,
        )
        failures = report.failures if unwritten is None else (unwritten, *report.failures)
        return HaltReport(report.cancelled_count, failures)

    def _flatten(self) -> None:
        # What was cancelled may still have been filled: only what the broker says now is closed.
        recover(book=self.book, log=self.log, broker=self.line, time_ns=self.now_ns())
        self.take_in(self.listen())
        decision = FlatTargets.of(self.book, self.now_ns())
        if not (held := decision.instrument_ids):
            return
        is_open = any(q.session_open for i, q in self.quotes.items() if i in held)
        kind = OrderKind.MARKET if is_open else OrderKind.MARKET_ON_OPEN
        self.line.closing = True
        try:
            report = self._release(
                decision,
                "",
                SizingSettings(dust_fraction=0.0, kind=kind),
                self.settled_quotes(),
            )
        finally:
            self.line.closing = False
        if report.denied:
            told = ", ".join(f"{i}: {code.name}" for i, code in sorted(report.denied.items()))
            raise ValueError(f"every closing order must pass the gate, were denied: {told}")

    def resume(self, *, by: str, reason: str) -> None:
        """Lift a halt, by a person's word; the file goes first, so that a crash leaves it halted.

        Raises ValueError without a name and a reason.
        """
        if not by.strip() or not reason.strip():
            raise ValueError(f"by and reason must be given, were {by!r} and {reason!r}")
        # The log must say HALTED before the file goes: the file may be all that is halted.
        self._change(TradingState.HALTED, by=by, reason=f"to be lifted: {reason}")
        self.switch.reset()
        self._change(TradingState.ACTIVE, by=by, reason=reason)

    def _change(self, state: TradingState, *, by: str, reason: str) -> None:
        change_trading_state(
            state,
            book=self.book,
            log=self.log,
            reason=reason,
            actor=by,
            by_person=True,
            time_ns=self.now_ns(),
        )
