"""From a decision to the broker: one intent becomes at most one live order."""

import gc
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from swarm_core.book import Book, book_from_events
from swarm_core.exits import guard_exits
from swarm_core.instruments import Instrument
from swarm_core.lineage import Lineage
from swarm_core.market import Quote
from swarm_core.order_path import OrderPath
from swarm_core.order_states import OrderRecord, OrderState
from swarm_core.orders import Order
from swarm_core.ports import Broker, ConcurrentAppendError, EventLog, TendedLog
from swarm_core.references import References
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.limits import RiskLimits
from swarm_core.sizing import Targets, find_fault
from swarm_core.sizing_settings import SizingSettings
from swarm_core.trading_state import TradingState

__all__ = [
    "Book",
    "Broker",
    "ConcurrentAppendError",
    "EventLog",
    "ReleaseReport",
    "TradingState",
    "book_from_events",
    "look_up_changes",
    "look_up_unanswered",
    "recover",
    "release",
]

# Another writer (a data check, a second process) may move the log between our read and our write.
_TRIES_MAX = 20


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """What became of one decision: its orders, in the order in which they were intended."""

    decision_id: str
    blocked_reason: str
    orders: tuple[Order, ...]
    states: Mapping[str, OrderState]
    denied: Mapping[str, DenialCode]  # by client order id, or instrument id where none was made
    sent_count: int

    @property
    def blocked(self) -> bool:
        return bool(self.blocked_reason)


def release(
    decision: Targets,
    *,
    book: Book,
    quotes: Mapping[str, Quote],
    instruments: Mapping[str, Instrument],
    limits: RiskLimits,
    log: EventLog,
    broker: Broker,
    checks_passed: bool,
    check_reason: str,
    time_ns: int,
    lineage: Lineage | None = None,
    located: Collection[str] = (),
    sizing: SizingSettings | None = None,
) -> ReleaseReport:
    """Send the orders of a decision, once; calling it again resumes what was interrupted.

    `book` is brought up to the log's end first and moved on with every event. A failed blocking
    check, or a decision that is not sound, releases nothing and leaves the reason in the log.
    """
    path = OrderPath(book, log, broker, time_ns)
    references = References(
        time_ns=time_ns,
        quotes=quotes,
        instruments=instruments,
        limits=limits,
        sizing=sizing or SizingSettings(),
        located=frozenset(located),
    )
    fault = check_reason or "a blocking check failed" if not checks_passed else None
    fault = fault or find_fault(decision)
    for _ in range(_TRIES_MAX):
        path.catch_up()
        try:
            path.run(decision, fault, lineage, references)
            if fault is None:
                guard_exits(path, references)
        except ConcurrentAppendError:
            continue  # the log moved on: read it, and resume from what it says now
        if isinstance(log, TendedLog):
            _tidy_up(log)
        return _report(decision.decision_id, fault or "", book, path.sent_count)
    raise ConcurrentAppendError(
        f"the log must rest for one step in {_TRIES_MAX} tries, and did not"
    )


def _tidy_up(log: TendedLog) -> None:
    """Do while nobody waits what the orders of the next decision would else wait for.

    The young generations of the collector take a millisecond, and fill once in some decisions.
    """
    log.tend()
    gc.collect(1)


def recover(*, book: Book, log: EventLog, broker: Broker, time_ns: int) -> int:
    """Ask the broker about every order that may be working; return how many events were new.

    To be called at start, after every reconnection and at the end of a session.
    """
    path = OrderPath(book, log, broker, time_ns)
    path.catch_up()
    before = book.sequence
    for record in book.working_orders():
        _look_up(path, record)
    return book.sequence - before


def look_up_unanswered(
    *,
    book: Book,
    log: EventLog,
    broker: Broker,
    time_ns: int,
    sent_before_ns: int | None = None,
) -> None:
    """Ask the broker about every order of which nobody knows whether it arrived.

    What it does not have did not leave, and is not counted as if it worked any more. With
    `sent_before_ns` only those are asked about that were sent before.
    """
    path = OrderPath(book, log, broker, time_ns)
    path.catch_up()
    for record in book.working_orders():
        is_late = sent_before_ns is None or (record.submitted_ns or 0) < sent_before_ns
        if record.is_unanswered and is_late:
            _look_up(path, record)


def look_up_changes(
    *, book: Book, log: EventLog, broker: Broker, time_ns: int, patience_ns: int
) -> int:
    """Ask in which terms orders work whose change was not answered in time; return how many."""
    path = OrderPath(book, log, broker, time_ns)
    path.catch_up()
    late = [
        r
        for r in book.working_orders()
        if r.pending is not None and time_ns - r.change_ns > patience_ns
    ]
    for record in late:
        _look_up(path, record)
    return len(late)


def _look_up(path: OrderPath, record: OrderRecord) -> None:
    for _ in range(_TRIES_MAX):
        try:
            return path.look_up(record)
        except ConcurrentAppendError:
            path.catch_up()
    raise ConcurrentAppendError(
        f"the log must rest for one step in {_TRIES_MAX} tries, and did not"
    )


def _report(decision_id: str, reason: str, book: Book, sent_count: int) -> ReleaseReport:
    ids = book.intended.get(decision_id, [])
    codes = {i: book.denials[i] for i in ids if i in book.denials}
    return ReleaseReport(
        decision_id=decision_id,
        blocked_reason=reason,
        orders=tuple(book.orders[i].order for i in ids),
        states={i: book.orders[i].state for i in ids},
        denied={**book.denied_targets.get(decision_id, {}), **codes},
        sent_count=sent_count,
    )
