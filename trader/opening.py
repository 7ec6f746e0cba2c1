"""Where a home keeps what stops its trader, and the taking of its book."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Protocol, runtime_checkable

from swarm_core.book import Book, book_from_events
from swarm_core.halting import change_trading_state
from swarm_core.ports import Broker, EventLog
from swarm_core.risk.limits import RiskLimits
from swarm_core.trading_state import TradingState
from trader.desk import TradingDesk
from trader.kill_switch import Halt, KillSwitch
from trader.lock import BookLock, BookLockedError


def switch_of(home: Path) -> KillSwitch:
    """Return the kill switch of a home."""
    return KillSwitch(home / "control" / "halt.json")


def lock_of(home: Path, holder: str) -> BookLock:
    """Return the lock of a home's book, not yet taken."""
    return BookLock(home / "control" / "book.lock", holder)


def is_taken(home: Path) -> bool:
    """Return whether some process trades the book of a home now."""
    return find_holder(home) is not None


def find_holder(home: Path) -> str | None:
    """Return which process trades the book of a home now, None where none does."""
    return lock_of(home, "").find_holder()


def open_desk(
    home: Path,
    log: EventLog,
    broker: Broker,
    *,
    base_currency: str,
    starting_cash: Decimal | int,
    limits: RiskLimits,
    now_ns: Callable[[], int],
    book: Book | None = None,
) -> TradingDesk:
    """Return the desk of a home, its book rebuilt from the log; it knows no market yet.

    `book` is the log's own where it was rebuilt already, e.g. from a snapshot.
    """
    return TradingDesk(
        book=book or book_from_events(log.read(), base_currency, starting_cash),
        log=log,
        broker=broker,
        switch=switch_of(home),
        instruments={},
        limits=limits,
        now_ns=now_ns,
    )


@runtime_checkable
class SharedLog(Protocol):
    """A log that several homes may share: one process at a time may trade from it."""

    def hold(self) -> AbstractContextManager[None]:
        """Keep others from holding it; BlockingIOError where another does."""
        ...


@contextmanager
def held_log(log: object) -> Iterator[None]:
    """Hold a log that other homes trade from as well; a log of this home alone needs it not.

    Raises BookLockedError where the process of another home holds it.
    """
    if not isinstance(log, SharedLog):
        yield
        return
    with ExitStack() as held:
        try:
            held.enter_context(log.hold())
        except BlockingIOError as error:
            raise BookLockedError(str(error)) from None
        yield


@contextmanager
def taken_book(
    home: Path, log: EventLog, holder: str, base_currency: str, now_ns: Callable[[], int]
) -> Iterator[None]:
    """Hold the home's book; a halt that only the file knew of is in the log before it is given.

    Raises BookLockedError where another process trades the book.
    """
    with lock_of(home, holder), held_log(log):
        halt = switch_of(home).find()
        if halt is not None:
            note_halt(halt, log, base_currency, now_ns)
        yield


def note_halt(halt: Halt, log: EventLog, base_currency: str, now_ns: Callable[[], int]) -> None:
    """Put a halt on record, where it is not yet: whoever trades from this log acts on it."""
    change_trading_state(
        TradingState.HALTED,
        book=book_from_events(log.read(), base_currency, 0),
        log=log,
        reason=halt.reason,
        actor=halt.actor,
        by_person=halt.by_person,
        time_ns=now_ns(),
    )
