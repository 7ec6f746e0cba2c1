"""The switches that stop trading: its state, and the cancelling of everything that works."""

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.order_path import OrderPath
from swarm_core.ports import Broker, EventLog
from swarm_core.trading_state import TradingState


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
    book.apply_all(log.read(book.sequence))
    if not reason or not actor:
        raise ValueError(f"reason and actor must be given, were {reason!r} and {actor!r}")
    if not book.trading_state.may_become(state, by_person=by_person):
        raise ValueError(f"{book.trading_state.value} must be lifted by a person, was by {actor}")
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
    log.append([changed], expected_sequence=book.sequence)
    book.apply_all(log.read(book.sequence))


def cancel_all(*, book: Book, log: EventLog, broker: Broker, reason: str, time_ns: int) -> int:
    """Ask the broker to cancel everything that works, in any trading state; return how many.

    The request is on disk before the broker hears it. An order whose cancel is not answered
    stays in `cancel_pending` and is looked up by `recover`.
    """
    path = OrderPath(book, log, broker, time_ns)
    path.catch_up()
    records = book.working_orders()
    for record in records:
        path.cancel(record, reason)
    return len(records)
