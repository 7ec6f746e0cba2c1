"""Contracts that a session closes or rolls, after its decision: each once, by the order path."""

from collections.abc import Iterable
from dataclasses import replace

from swarm_core.book import Book
from swarm_core.contract_ends import EndSettings
from swarm_core.end_orders import (
    ContractEnd,
    EndTargets,
    end_targets,
    find_denial,
    find_missing,
)
from swarm_core.ports import Broker, EventLog
from swarm_core.references import References
from swarm_core.trading import release
from swarm_core.trading_state import TradingState


def end_contracts(
    due: Iterable[ContractEnd],
    settings: EndSettings,
    session: str,
    references: References,
    *,
    book: Book,
    log: EventLog,
    broker: Broker,
) -> tuple[str, ...]:
    """Close or roll what is due, once a session (ISO date); the gate judges the orders.

    What could not be rolled is closed where this session's orders are the last that fill. Called
    again for a session it goes on with what was interrupted. Returns a line for each contract
    that is held and stays as it is.
    """
    waiting: list[str] = []
    for end in due:
        book.apply_all(log.read(book.sequence))
        decision_id = end.decision_id(session)
        decision, chosen, why = _interrupted(end, book) or _recorded(book, decision_id), end, ""
        if decision is None and book.lots(end.name):
            decision, chosen, why = _decide(end, decision_id, book, references)
        if why:
            waiting += not_ended((end,), book, why)
        if decision is not None:
            release(
                decision,
                book=book,
                quotes=references.quotes,
                instruments=references.instruments,
                limits=references.limits,
                log=log,
                broker=broker,
                checks_passed=True,
                check_reason="",
                time_ns=references.time_ns,
                lineage=chosen.lineage(decision_id, session, settings),
                sizing=references.sizing,
            )
    return tuple(waiting)


def not_ended(due: Iterable[ContractEnd], book: Book, why: str) -> tuple[str, ...]:
    """Return a line for each of these contracts that is held, with the reason why it still is."""
    return tuple(f"{end.name} is not {end.what}: {why}" for end in due if book.lots(end.name))


def _interrupted(end: ContractEnd, book: Book) -> EndTargets | None:
    """Return the try of any session of which an order may still have to leave.

    The run of its session died, and a session that is decided is not asked for again.
    """
    tries = end.decision_id("")
    for decision_id in book.planned:
        if decision_id.startswith(tries):
            records = [book.orders[i] for i in book.intended.get(decision_id, ())]
            if any(record.is_unsent or record.is_unanswered for record in records):
                return _recorded(book, decision_id)
    return None


def _recorded(book: Book, decision_id: str) -> EndTargets | None:
    taken = book.decisions.get(decision_id)
    if taken is None:
        return None
    return EndTargets(decision_id, taken.time_ns, taken.instrument_ids, taken.target_weights)


def _decide(
    end: ContractEnd, decision_id: str, book: Book, references: References
) -> tuple[EndTargets | None, ContractEnd, str]:
    """Return the decision that the gate lets pass, or None with the reason."""
    if book.trading_state is TradingState.HALTED:
        return None, end, "trading is halted"
    choices = [end]
    if end.following and end.left == 1:  # decided after the close: the next session is the last
        choices.append(replace(end, following=""))
    why = ""
    for choice in choices:
        fault = find_missing(choice, references, must_be_open=False)
        if not fault:
            decision = end_targets(choice, decision_id, book, references)
            fault = find_denial(decision, book, references)
            if not fault:
                return decision, choice, ""
        why = why or fault
    return None, end, why
