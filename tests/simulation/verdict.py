"""What must hold when a simulated session has settled: nothing twice, nothing lost, all booked."""

from dataclasses import dataclass

from swarm_core.book import book_from_events
from swarm_core.order_states import OrderState
from swarm_core.replay import book_digest, replay
from swarm_core.trading_state import TradingState
from tests.simulation.world import World
from tests.swarm_core.builders import CASH


@dataclass(frozen=True, slots=True)
class Verdict:
    """The counts that a mark is stated in; all but the last three must be zero."""

    duplicate_orders: int
    lost_fills: int
    unbooked_differences: int
    orders: int
    fills: int
    events: int


def judge(world: World) -> Verdict:
    """Compare the settled book with the venue's truth; raises AssertionError on what is not told.

    A difference that a foreign order explains, and that has stopped trading, is told.
    """
    venue, book = world.venue, world.watch.book
    ours = {i: f for i, f in venue.fills.items() if f.client_order_id}
    foreign = {i: f for i, f in venue.fills.items() if not f.client_order_id}
    # What the trader's book has retired from memory, the log still holds.
    whole = book_from_events(world.watch.log.read(), "USD", CASH, keeps_all=True).ledger
    assert (whole.cash, whole.positions) == (book.ledger.cash, book.ledger.positions)
    booked = {i for i, f in whole.executions.items() if f.lots}
    expected = set(venue.fills) if world.rules.adopt_foreign else set(ours)
    lots = {i: p.lots for i, p in book.ledger.positions.items() if p.lots}
    cash = book.ledger.cash["USD"] + world.owner.unbooked_minor
    if world.owner.unbooked_minor:
        assert foreign, "what the owner has moved must be booked"
    if not world.rules.adopt_foreign:
        for fill in foreign.values():
            grown = fill.lots * venue.grown.get(fill.execution_id, 1)
            held = lots.get(fill.instrument_id, 0) + fill.side.sign * grown
            lots = {**lots, fill.instrument_id: held}
            cash -= fill.side.sign * fill.lots * fill.price_ticks * fill.lot_tick_minor
            if fill.execution_id not in whole.commissions:  # else it was told, and booked
                cash -= venue.commissions[fill.execution_id].commission_minor
        if foreign:
            assert book.trading_state is not TradingState.ACTIVE, "a difference must stop trading"
    truth = {i: n for i, n in venue.lots.items() if n}
    differences = sum(lots.get(i, 0) != truth.get(i, 0) for i in {*lots, *truth})
    differences += cash != venue.cash_minor
    differences += _working(world) != {
        t.client_order_id for t in venue.tickets if t.ending is None and t.client_order_id
    }
    _check_terms(world)
    _check_replay(world)
    return Verdict(
        duplicate_orders=sum(n - 1 for n in venue.receipts.values() if n > 1),
        lost_fills=len(expected - booked),
        unbooked_differences=differences + len(booked - expected),
        orders=len(venue.receipts),
        fills=len(venue.fills),
        events=world.watch.event_count,
    )


def _working(world: World) -> set[str]:
    """Return the orders that the book takes for alive at the venue."""
    return {
        r.order.client_order_id
        for r in world.watch.book.working_orders()
        if r.state is not OrderState.SUBMITTED or r.broker_order_id
    }


def _check_terms(world: World) -> None:
    """What works, works in the terms that the book holds, and no change is unanswered."""
    for record in world.watch.book.working_orders():
        ticket = world.venue.find(record.order.client_order_id)
        if ticket is None or ticket.ending is not None:
            continue  # counted as a difference
        order_id = record.order.client_order_id
        assert record.pending is None, f"{order_id}: a change is not settled"
        open_lots = ticket.open_lots + ticket.taken_lots
        assert record.open_lots == open_lots, (
            f"{order_id} is open for {record.open_lots} lots in the book, {open_lots} there"
        )


def _check_replay(world: World) -> None:
    """The log gives the same book, orders and verdicts again, bit for bit, and is whole."""
    log, book = world.watch.log, world.watch.book
    assert log.verify().sound
    assert book_digest(book_from_events(log.read(), "USD", CASH)) == book_digest(book)
    report = replay(log.read(), "USD", CASH)
    assert report.first_difference is None, report.first_difference
    assert report.book_digest == book_digest(book)
