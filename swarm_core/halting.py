"""The switches that stop trading: its state, and the cancelling of everything that works."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.order_path import OrderPath
from swarm_core.order_states import OrderState
from swarm_core.orders import Order
from swarm_core.ports import Broker, ConcurrentAppendError, EventLog, OutOfReachError
from swarm_core.trading_state import TradingState

# Another writer may move the log between our read and our write.
_TRIES_MAX = 20


@dataclass(frozen=True, slots=True)
class HaltReport:
    """What a halt did: how many orders it asked to cancel, and what could not be done."""

    cancelled_count: int
    failures: tuple[str, ...]


def change_trading_state(
    state: TradingState,
    *,
    book: Book,
    log: EventLog,
    reason: str,
    actor: str,
    by_person: bool,
    time_ns: int,
) -> None:
    """Write a change of the trading state; machines may only tighten it.

    Raises ValueError without a reason and an actor, or where a machine would lift a halt.
    """
    if not reason or not actor:
        raise ValueError(f"reason and actor must be given, were {reason!r} and {actor!r}")
    for tries_left in reversed(range(_TRIES_MAX)):
        book.apply_all(log.read(book.sequence))
        if not book.trading_state.may_become(state, by_person=by_person):
            raise ValueError(
                f"{book.trading_state.value} must be lifted by a person, was by {actor}"
            )
        if state is book.trading_state:
            return
        changed = ev.TradingStateChanged(
            event_id=ev.make_event_id("TradingStateChanged", state.value, book.sequence),
            time_ns=time_ns,
            state=state,
            reason=reason,
            actor=actor,
            by_person=by_person,
        )
        try:
            log.append([changed], expected_sequence=book.sequence)
        except ConcurrentAppendError:
            if not tries_left:
                raise
            continue
        book.apply_all(log.read(book.sequence))
        return


def reset_throttle(
    instrument_id: str, *, book: Book, log: EventLog, actor: str, reason: str, time_ns: int
) -> None:
    """Let an instrument be traded again, by a person's word.

    Raises ValueError without a name and a reason, or where its throttle has not tripped.
    """
    if not reason.strip() or not actor.strip():
        raise ValueError(f"reason and actor must be given, were {reason!r} and {actor!r}")
    book.apply_all(log.read(book.sequence))
    if instrument_id not in book.throttled:
        tripped = ", ".join(sorted(book.throttled)) or "none"
        raise ValueError(
            f"the throttle must have tripped to be reset, has for {tripped}, was {instrument_id}"
        )
    log.append(
        [
            ev.ThrottleReset(
                event_id=ev.make_event_id("ThrottleReset", instrument_id, book.sequence),
                time_ns=time_ns,
                instrument_id=instrument_id,
                actor=actor,
                reason=reason,
            )
        ]
    )
    book.apply_all(log.read(book.sequence))


def cancel_all(
    *,
    book: Book,
    log: EventLog,
    broker: Broker,
    reason: str,
    time_ns: int,
    which: Callable[[Order], bool] = lambda _: True,
    asked: Collection[str] = (),
) -> int:
    """Ask the broker to cancel everything that works, in any trading state; return how many.

    With `which`, only those orders. Of those `asked` the broker has heard already: they are only
    put on record.

    The request is on disk before the broker hears it. An order whose cancel is not answered
    stays in `cancel_pending` and is looked up by `recover`.
    """
    path = OrderPath(book, log, broker, time_ns)
    path.catch_up()
    order_ids = [r.order.client_order_id for r in book.working_orders() if which(r.order)]
    return sum(_cancel_one(path, i, reason, is_asked=i in asked) for i in order_ids)


def ask_again(
    *, book: Book, log: EventLog, broker: Broker, time_ns: int, patience_ns: int = 10 * 10**9
) -> int:
    """Ask once more for the cancels that have not been answered; return how many those are.

    What a broker leaves unanswered six times is asked for ever more seldom.
    """
    path = OrderPath(book, log, broker, time_ns)
    path.catch_up()
    waiting = [
        r.order.client_order_id
        for r in book.working_orders()
        if r.state is OrderState.CANCEL_PENDING
        and not r.awaits_fills
        and time_ns - r.cancel_ns > patience_ns * 2 ** min(max(0, r.cancel_count - 6), 6)
    ]
    return sum(_cancel_one(path, order_id, "asked again: no answer") for order_id in waiting)


def _cancel_one(path: OrderPath, order_id: str, reason: str, *, is_asked: bool = False) -> int:
    for tries_left in reversed(range(_TRIES_MAX)):
        record = path.book.orders[order_id]
        if not record.state.is_working or record.awaits_fills:
            return 0  # it has ended already, or did while the others were cancelled
        try:
            path.cancel(record, reason, is_asked=is_asked)
        except ConcurrentAppendError:
            if not tries_left:
                raise
            path.catch_up()
        else:
            return 1
    return 0


def halt(
    *,
    book: Book,
    log: EventLog,
    broker: Broker,
    reason: str,
    actor: str,
    by_person: bool,
    time_ns: int,
    which: Callable[[Order], bool] = lambda _: True,
    flatten: Callable[[], None] | None = None,
) -> HaltReport:
    """Let nothing more out, cancel everything unexecuted, close positions where asked, halt.

    With `which`, only those orders are cancelled. The broker hears first: a log may be locked or
    away, and a cancel is safe to send before it is on record. Where the log is away `flatten` is
    not called: a closing order needs its verdict on disk. Each failure is returned, and none keeps
    the next step from being taken.
    """
    failures: list[str] = []

    def become(state: TradingState) -> None:
        change_trading_state(
            state,
            book=book,
            log=log,
            reason=reason,
            actor=actor,
            by_person=by_person,
            time_ns=time_ns,
        )

    cut = cancel_at_once(book, broker, time_ns, which)
    count = len(cut.asked)
    try:
        become(TradingState.REDUCING if flatten is not None else TradingState.HALTED)
        count = cancel_all(
            book=book,
            log=log,
            broker=broker,
            reason=reason,
            time_ns=time_ns,
            which=which,
            asked=cut.asked,
        )
        OrderPath(book, log, broker, time_ns).take_in(cut.said)
    except (OSError, ConcurrentAppendError) as error:
        failures += [f"the log must be writable: {error}", *cut.unheard]
    if flatten is not None:
        try:
            if not failures:
                flatten()
            become(TradingState.HALTED)
        except (OSError, ValueError, ConcurrentAppendError) as error:
            failures.append(f"positions must be closed by hand: {error}")
            _halt_at_least(become, failures)
    return HaltReport(count, (*cut.out_of_reach, *failures))


@dataclass(frozen=True, slots=True)
class Cut:
    """What cancels came to: the orders that they were asked for, and what was said to that.

    A line each says what the broker did not hear, and what it will never hear from this process.
    """

    asked: frozenset[str]
    said: tuple[ev.Event, ...]
    unheard: tuple[str, ...]
    out_of_reach: tuple[str, ...]


def cancel_at_once(
    book: Book, broker: Broker, time_ns: int, which: Callable[[Order], bool] = lambda _: True
) -> Cut:
    """Cancel at the broker what the book knows to work, with nothing on record.

    With `which`, only those orders.
    """
    asked, said = set[str](), list[ev.Event]()
    unheard, out_of_reach = list[str](), list[str]()
    for record in book.working_orders():
        if record.awaits_fills or not which(record.order):
            continue
        order_id = record.order.client_order_id
        try:
            said += broker.cancel(order_id, time_ns)
        except OSError as error:
            lines = out_of_reach if isinstance(error, OutOfReachError) else unheard
            lines.append(f"{order_id} must be cancelled by hand: {error}")
        else:
            asked.add(order_id)
    return Cut(frozenset(asked), tuple(said), tuple(unheard), tuple(out_of_reach))


def _halt_at_least(become: Callable[[TradingState], None], failures: list[str]) -> None:
    try:
        become(TradingState.HALTED)
    except (OSError, ConcurrentAppendError) as error:
        failures.append(f"the halt must be written: {error}")
