"""What has ended leaves the book's memory, and nothing of it is lost, sent or booked twice."""

from dataclasses import replace

import pytest

from swarm_core import events as ev
from swarm_core.book import Book, book_from_events
from swarm_core.findings import FindingKind
from swarm_core.order_path import OrderPath
from swarm_core.order_states import OrderState
from swarm_core.orders import Order
from swarm_core.reconciliation import BrokerAccount, ReconciliationRules, reconcile
from swarm_core.replay import book_digest, replay
from swarm_core.retirement import Archive, retirable, retirement
from swarm_core.trading import release
from tests.swarm_core.builders import CASH, DAY_NS, INSTRUMENTS, NOW_NS, A, make_decision, make_fill
from tests.swarm_core.trading_desk import Desk

LATER_NS = NOW_NS + 2 * DAY_NS


class Closed:
    """A desk that traded one decision to its end, and a book that goes on from there."""

    def __init__(self, *, retires: bool = True) -> None:
        self.desk = Desk()
        self.orders = self.desk.release(make_decision("d1", A=0.1, B=-0.1)).orders
        self.desk.fill()
        self.log = self.desk.log
        self.book = self.desk.book()
        if retires:
            event = retirement(self.book, LATER_NS, LATER_NS)
            assert event is not None
            self.log.append([event])
            self.catch_up()

    def catch_up(self) -> None:
        self.book.apply_all(self.log.read(self.book.sequence))

    def take_in(self, *told: ev.Event) -> list[ev.Event]:
        before = self.book.sequence
        path = OrderPath(self.book, self.log, self.desk.broker, LATER_NS)
        path.take_in(told)
        return [r.event for r in self.log.read(before)]

    @property
    def fills(self) -> list[ev.OrderFilled]:
        return [r.event for r in self.log.read() if isinstance(r.event, ev.OrderFilled)]

    def account(self, *more: ev.OrderFilled) -> BrokerAccount:
        """Return an account that still tells everything, and more."""
        lots = {i: p.lots for i, p in self.book.ledger.positions.items()}
        for fill in more:
            lots[fill.instrument_id] += fill.side.sign * fill.lots
        return BrokerAccount(
            time_ns=LATER_NS, fills=(*self.fills, *more), position_lots=lots, cash_minor=None
        )

    def reconcile(self, account: BrokerAccount) -> list[FindingKind]:
        seen, recalled = Archive(self.book, self.log).unretired(account)
        self.log.append(recalled)
        self.catch_up()
        found = reconcile(self.book, seen, ReconciliationRules())
        self.log.append(found.events)
        self.catch_up()
        return [finding.kind for finding in found.findings]


def late(order: Order, lots: int = 1) -> ev.OrderFilled:
    """Return a fill that the broker tells long after the order's end."""
    return replace(make_fill(order, lots, number=9), time_ns=LATER_NS)


def test_what_has_ended_leaves_the_memory_and_stays_in_the_books() -> None:
    closed, kept = Closed(), Closed(retires=False)

    assert not closed.book.orders
    assert not closed.book.ledger.executions
    assert not closed.book.decisions
    assert not closed.book.sent_or_ended()
    assert closed.book.ledger.cash == kept.book.ledger.cash
    assert closed.book.ledger.positions == kept.book.ledger.positions
    assert closed.book.ledger.find_imbalance() is None
    assert (closed.book.retired_order_count, closed.book.retired_fill_count) == (2, 2)


def test_a_book_that_keeps_all_holds_what_others_retired() -> None:
    closed = Closed()

    whole = book_from_events(closed.log.read(), "USD", CASH, keeps_all=True)

    assert {r.state for r in whole.orders.values()} == {OrderState.FILLED}
    assert len(whole.ledger.executions) == 2


def test_the_log_alone_gives_the_same_book_again() -> None:
    closed = Closed()
    closed.take_in(late(closed.orders[0]))

    again = book_from_events(closed.log.read(), "USD", CASH)
    played = replay(closed.log.read(), "USD", CASH)

    assert book_digest(again) == book_digest(closed.book) == played.book_digest
    assert played.first_difference is None


def test_a_retired_decision_is_never_sent_again() -> None:
    """Its ids are looked up in the log: released again, nothing is planned, judged or sent."""
    closed = Closed()
    received, end = len(closed.desk.broker.received), closed.log.last_sequence()

    report = closed.desk.release(make_decision("d1", A=0.4, B=0.4), LATER_NS)

    assert (report.orders, report.sent_count) == ((), 0)
    assert len(closed.desk.broker.received) == received
    assert closed.log.last_sequence() == end


def test_another_decision_is_traded_after_a_retirement() -> None:
    closed = Closed()

    report = closed.desk.release(make_decision("d2", LATER_NS, A=0.05))

    assert report.sent_count == 1


def test_a_late_fill_of_a_retired_order_is_booked_to_it() -> None:
    closed, order = Closed(), Closed().orders[0]
    held, profit = closed.book.lots(A), closed.book.strategies["colony"].positions[A].lots

    written = closed.take_in(late(order, 3))

    assert [type(e) for e in written] == [ev.OrderRecalled, ev.OrderFilled]
    record = closed.book.orders[order.client_order_id]
    assert record.filled_lots == order.quantity_lots + 3
    assert closed.book.lots(A) == held + 3
    assert closed.book.strategies["colony"].positions[A].lots == profit + 3
    assert closed.book.ledger.find_imbalance() is None


def test_a_recalled_order_hears_its_old_fills_as_known_and_retires_again() -> None:
    closed = Closed()
    order = closed.orders[0]
    closed.take_in(late(order))

    assert closed.take_in(*closed.fills) == []

    event = retirement(closed.book, LATER_NS + 1, LATER_NS + 1)
    assert event is not None
    assert event.decision_ids == ("d1",)
    closed.log.append([event])
    closed.catch_up()
    assert not closed.book.orders
    assert [type(e) for e in closed.take_in(replace(late(order, 2), **second(order)))] == [
        ev.OrderRecalled,
        ev.OrderFilled,
    ]
    assert closed.book.orders[order.client_order_id].filled_lots == order.quantity_lots + 3


def second(order: Order) -> dict[str, str]:
    """Return the ids of another late execution."""
    fill = make_fill(order, 2, number=10)
    return {"event_id": fill.event_id, "execution_id": fill.execution_id}


def test_what_a_broker_says_again_of_a_retired_order_is_known() -> None:
    """Fills with other words for the commission, charges, acceptances and ends change nothing."""
    closed = Closed()
    fill = closed.fills[0]
    order_id = fill.client_order_id
    said = (
        replace(fill, commission_minor=None, time_ns=LATER_NS),
        ev.CommissionCharged(
            event_id=ev.make_event_id("CommissionCharged", fill.execution_id),
            time_ns=LATER_NS,
            execution_id=fill.execution_id,
            currency="USD",
            commission_minor=7,
        ),
        ev.OrderAccepted(
            event_id="accepted", time_ns=LATER_NS, client_order_id=order_id, broker_order_id="9"
        ),
        ev.OrderCancelled(
            event_id="cancelled", time_ns=LATER_NS, client_order_id=order_id, reason="late"
        ),
    )

    assert closed.take_in(*said) == []
    assert closed.book.ledger.find_imbalance() is None


def test_an_account_that_still_tells_retired_fills_agrees() -> None:
    closed = Closed()

    assert closed.reconcile(closed.account()) == []


def test_an_account_that_tells_a_late_fill_has_it_booked() -> None:
    closed = Closed()
    order = closed.orders[0]

    found = closed.reconcile(closed.account(late(order, 2)))

    assert found == [FindingKind.MISSED_FILL, FindingKind.OVERFILLED]
    assert closed.book.orders[order.client_order_id].filled_lots == order.quantity_lots + 2
    assert closed.reconcile(closed.account()) == []


def test_a_retired_fill_that_is_told_otherwise_does_not_pass() -> None:
    closed = Closed()
    account = closed.account()
    changed = replace(account.fills[0], price_ticks=account.fills[0].price_ticks + 1)

    found = closed.reconcile(replace(account, fills=(changed, *account.fills[1:])))

    assert found == [FindingKind.FOREIGN_FILL]


def book_with(*events: ev.Event) -> Book:
    closed = Closed(retires=False)
    closed.book.apply_all(events)
    return closed.book


def test_what_ended_lately_stays() -> None:
    assert retirable(book_with(), NOW_NS + DAY_NS) == []


def test_a_decision_with_an_order_at_work_stays() -> None:
    desk = Desk()
    desk.release(make_decision("d1", A=0.1, B=-0.1))

    assert retirable(desk.book(), LATER_NS) == []


def test_an_order_with_a_commission_outstanding_stays() -> None:
    closed = Closed(retires=False)
    extra = replace(late(closed.orders[0]), commission_minor=None)

    closed.book.apply(extra)

    assert retirable(closed.book, LATER_NS + 1) == []
    charge = ev.CommissionCharged(
        event_id=ev.make_event_id("CommissionCharged", extra.execution_id),
        time_ns=LATER_NS,
        execution_id=extra.execution_id,
        currency="USD",
        commission_minor=7,
    )
    closed.book.apply(charge)
    assert retirable(closed.book, LATER_NS + 1) == ["d1"]


def test_fills_of_orders_that_are_not_ours_are_retired_and_known_again() -> None:
    closed = Closed()
    foreign = replace(late(closed.orders[0]), client_order_id="ib-77")
    closed.take_in(foreign)
    event = retirement(closed.book, LATER_NS + 1, LATER_NS + 1)

    assert event is not None
    assert event.foreign_order_ids == ("ib-77",)
    closed.log.append([event])
    closed.catch_up()
    assert not closed.book.unknown_fills
    assert not closed.book.ledger.executions
    assert closed.take_in(foreign) == []
    assert closed.book.ledger.find_imbalance() is None


def test_the_gate_counts_what_was_sent_lately_though_it_was_retired() -> None:
    """The same order again within the window of duplicates is denied, whoever remembers it."""
    closed = Closed()
    closed.desk.limits = replace(closed.desk.limits, duplicate_window_s=86_400.0)
    closed.desk.quotes = {
        i: replace(q, time_ns=NOW_NS + 10**9) for i, q in closed.desk.quotes.items()
    }
    book = closed.book
    order = closed.orders[0]
    weight = book.weights([A])[0] * 2  # as much again

    report = release(
        make_decision("d2", NOW_NS + 10**9, A=weight),
        book=book,
        quotes=closed.desk.quotes,
        instruments=INSTRUMENTS,
        limits=closed.desk.limits,
        log=closed.log,
        broker=closed.desk.broker,
        checks_passed=True,
        check_reason="",
        time_ns=NOW_NS + 10**9,
    )

    alike = [o for o in report.orders if o.quantity_lots == order.quantity_lots]
    assert alike, "the second order must be like the first for this to say anything"
    assert report.sent_count == 0


@pytest.mark.parametrize("kind", ["ReleasePlanned", "WorkingStarted"])
def test_a_log_without_an_index_is_read_through(kind: str) -> None:
    """Logs that tests or tools wrap need not be searchable."""

    class Plain:
        def __init__(self, events: list[ev.RecordedEvent]) -> None:
            self.append, self._events = None, events

        def read(self, after_sequence: int = 0) -> list[ev.RecordedEvent]:
            return self._events[after_sequence:]

    book = Book("USD", 0)
    book.has_retired = True
    event = ev.DataCheckFailed(
        event_id=ev.make_event_id(kind, "d1"), time_ns=1, session="", check_name="", reason=""
    )
    archive = Archive(book, Plain([ev.RecordedEvent(1, event, "", "")]))  # type: ignore[arg-type]

    assert archive.has_retired("d1")
    assert not archive.has_retired("d2")


def corrected(fill: ev.OrderFilled, revision: int, lots: int, price: int) -> ev.ExecutionCorrected:
    return ev.ExecutionCorrected(
        event_id=ev.make_event_id("ExecutionCorrected", fill.execution_id, revision),
        time_ns=LATER_NS,
        execution_id=fill.execution_id,
        revision=revision,
        lots=lots,
        price_ticks=price,
    )


@pytest.mark.parametrize("unasked", [True, False], ids=["heard", "in the account"])
def test_a_correction_of_what_was_retired_brings_it_back(unasked: bool) -> None:
    """The books are those of a desk that never forgot, and after it ended again as well."""
    closed, kept = Closed(), Closed(retires=False)
    fill = next(f for f in closed.fills if f.instrument_id == A)
    assert not closed.book.ledger.executions
    last = fill.lots - 1
    for revision, lots, price in ((2, fill.lots - 3, 10_011), (3, 0, 9_000), (4, last, 9_992)):
        told = corrected(fill, revision, lots, price)
        for one in (closed, kept):
            if unasked:
                one.take_in(told)
                assert one.take_in(told) == []
            else:
                held = {A: fill.side.sign * lots}
                account = replace(one.account(), corrections=(told,))
                account = replace(account, position_lots={**account.position_lots, **held})
                kind = FindingKind.FILL_CORRECTED if lots else FindingKind.FILL_TAKEN_BACK
                assert one.reconcile(account) == [kind]
                assert one.reconcile(account) == []
        ours, theirs = closed.book.ledger, kept.book.ledger
        assert (ours.cash, ours.fees) == (theirs.cash, theirs.fees)
        assert {i: (p.lots, p.cost_minor) for i, p in ours.positions.items()} == {
            i: (p.lots, p.cost_minor) for i, p in theirs.positions.items()
        }
        assert ours.find_imbalance() is None
        again = retirement(closed.book, LATER_NS + 1, LATER_NS + 1)
        assert again is not None
        closed.log.append([again])
        closed.catch_up()
        assert not closed.book.ledger.executions
        assert closed.book.ledger.find_imbalance() is None
    rebuilt = book_from_events(closed.log.read(), "USD", CASH)
    assert book_digest(rebuilt) == book_digest(closed.book)
