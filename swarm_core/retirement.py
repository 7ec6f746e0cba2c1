"""What leaves the book's memory, and what is looked up in the log once it has left.

The book is a fold of the log, and the log keeps everything: what has ended for good need not stay
in memory. An id that was used is still never used again, and a fill that comes late is still
booked: both are looked up in the log by the ids of its events.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.broker_account import BrokerAccount
from swarm_core.fill_events import ExecutionRecalled
from swarm_core.lineage import is_row, last_day_of
from swarm_core.order_states import OrderRecord
from swarm_core.ports import EventLog, IndexedLog

# Of a colony's decisions the newest stay: the next one begins from their state.
_COLONY_DECISIONS_KEPT = 2
# And of a target file: they tell whether a row that is put back had been replaced.
_ROWS_KEPT = 2
# Bounds the size of one event; what is left goes the next time.
RETIRED_AT_ONCE_MAX = 1_000


def retirable(book: Book, before_ns: int) -> list[str]:
    """Return the decisions of which nothing more is to be expected: all ended before a moment.

    Kept are what is being worked, the newest exits of each instrument, what has a commission
    outstanding, the newest decisions of a colony and of a target file, and what closes or rolls a
    contract until its last trading day: the next try counts what the ones before have done.
    """
    kept = _kept(book, before_ns)
    plan = book.working_plan
    found: list[str] = []
    for decision_id in {**book.decisions, **book.intended, **book.blocked}:
        if decision_id in kept:
            continue
        if plan is not None and f"{decision_id}/".startswith(f"{plan.decision_id}/"):
            continue
        taken = book.decisions.get(decision_id)
        is_old = taken is None or taken.time_ns < before_ns
        if is_old and all(
            _is_settled(book, book.orders[order_id], before_ns)
            for order_id in book.intended.get(decision_id, ())
        ):
            found.append(decision_id)
    return found[:RETIRED_AT_ONCE_MAX]


def _kept(book: Book, before_ns: int) -> set[str]:
    exits = (
        book.orders[i].order.decision_id for pair in book.exits.values() for i in pair.values()
    )
    of_colony = [i for i, taken in book.decisions.items() if taken.lineage.colony_state_digest]
    rows = [i for i in book.decisions if is_row(i)]
    today = datetime.fromtimestamp(before_ns / 1e9, UTC).date().isoformat()
    ends = [i for i in book.decisions if last_day_of(i) >= today]
    return {*exits, *ends, *of_colony[-_COLONY_DECISIONS_KEPT:], *rows[-_ROWS_KEPT:]}


def _is_settled(book: Book, record: OrderRecord, before_ns: int) -> bool:
    ledger = book.ledger
    return (
        record.state.is_final
        and record.ended_ns < before_ns
        and all(i in ledger.commissions for i in record.executions if i in ledger.executions)
    )


def foreign_orders(book: Book, before_ns: int) -> list[str]:
    """Return the orders that are not ours of which every fill is older, its commission known."""
    fills, ledger = book.unknown_fills, book.ledger
    open_ids = {
        f.client_order_id
        for f in fills
        if f.time_ns >= before_ns or f.execution_id not in ledger.commissions
    }
    return sorted({f.client_order_id for f in fills} - open_ids)[:RETIRED_AT_ONCE_MAX]


def retirement(book: Book, before_ns: int, time_ns: int) -> ev.DecisionsRetired | None:
    """Return the event that takes out of memory what had ended before a moment; None if nothing."""
    decision_ids, foreign = retirable(book, before_ns), foreign_orders(book, before_ns)
    if not decision_ids and not foreign:
        return None
    return ev.DecisionsRetired(
        event_id=ev.make_event_id("DecisionsRetired", book.sequence),
        time_ns=time_ns,
        decision_ids=tuple(decision_ids),
        foreign_order_ids=tuple(foreign),
    )


class Archive:
    """What a book has retired, as its log holds it."""

    def __init__(self, book: Book, log: EventLog) -> None:
        self._book, self._log = book, log

    def has_retired(self, decision_id: str) -> bool:
        """Return whether a decision was planned or worked, and has left the book's memory."""
        if not self._book.has_retired or decision_id in self._book.decisions:
            return False
        kinds = ("ReleasePlanned", "WorkingStarted")
        return bool(self._find([ev.make_event_id(kind, decision_id) for kind in kinds]))

    def news(self, told: Sequence[ev.Event]) -> list[ev.Event]:
        """Return what of the broker's words is new, behind the orders that it brings back.

        What a broker says of a retired order is old, but for an execution that was never told. What
        it says twice under one id is taken in the words of the first.
        """
        book = self._book
        first = dict[str, ev.Event]()
        for event in told:
            if not book.knows(event):
                first.setdefault(event.event_id, event)
        unknown = list(first.values())
        if not unknown or not book.has_retired:
            return unknown
        news: list[ev.Event] = []
        recalled: set[str] = set()
        for event in unknown:
            if isinstance(event, ev.OrderFilled):
                news.extend(self._fill(event, recalled))
            elif isinstance(event, ev.CommissionCharged):
                news.extend(self._charge(event))
            elif isinstance(event, ev.ExecutionCorrected):
                news.extend(self._correction(event, recalled))
            elif not isinstance(event, ev.OrderEvent) or self._is_open(event, recalled):
                news.append(event)
        return news

    def _is_open(self, event: ev.OrderEvent, recalled: set[str]) -> bool:
        """Return whether an event may be taken in: its order is in memory, or none of ours."""
        order_id = event.client_order_id
        known = order_id in self._book.orders or order_id in recalled
        return known or not self._find([_intent_id(order_id)])

    def _fill(self, fill: ev.OrderFilled, recalled: set[str]) -> Iterator[ev.Event]:
        order_id = fill.client_order_id
        if self._find([fill.event_id]):
            return
        if order_id not in self._book.orders and order_id not in recalled:
            back = self._recalled(order_id, fill.time_ns)
            if back is not None:
                recalled.add(order_id)
                yield back
        yield fill

    def _charge(self, charge: ev.CommissionCharged) -> Iterator[ev.Event]:
        is_held = charge.execution_id in self._book.ledger.executions
        # A fill is retired once its commission is known: of one in the log alone this is old.
        if is_held or not self._find([charge.event_id, _fill_id(charge.execution_id)]):
            yield charge

    def _correction(self, told: ev.ExecutionCorrected, recalled: set[str]) -> Iterator[ev.Event]:
        """Return a correction that is new, behind the order and the execution it brings back."""
        if told.execution_id in self._book.ledger.executions:
            yield told
            return
        back = self._execution(told)
        if back is None:
            return
        order_id = back.client_order_id
        if order_id not in self._book.orders and order_id not in recalled:
            order = self._recalled(order_id, told.time_ns)
            if order is not None:
                recalled.add(order_id)
                yield order
        yield back
        yield told

    def _execution(self, told: ev.ExecutionCorrected) -> ExecutionRecalled | None:
        """Return the execution of a new correction as the log has it; None where nothing is new."""
        execution_id = told.execution_id
        revisions = [_correction_id(execution_id, n) for n in range(2, told.revision + 1)]
        fee_id = ev.make_event_id("CommissionCharged", execution_id)
        found = self._find([_fill_id(execution_id), fee_id, *revisions])
        filled = found.get(_fill_id(execution_id))
        if filled is None or told.event_id in found:
            return None
        fill, revision = filled.event, 1
        assert isinstance(fill, ev.OrderFilled), execution_id
        fee = fill.commission_minor
        for number, event_id in enumerate(revisions, 2):
            earlier = found.get(event_id)
            correction = None if earlier is None else earlier.event
            if isinstance(correction, ev.ExecutionCorrected):
                lots, price = correction.lots, correction.price_ticks
                fill, revision = replace(fill, lots=lots, price_ticks=price), number
        if fee_id in found and isinstance(charge := found[fee_id].event, ev.CommissionCharged):
            fee = charge.commission_minor
        return ExecutionRecalled(
            event_id=ev.make_event_id("ExecutionRecalled", execution_id, self._book.sequence),
            time_ns=told.time_ns,
            causation_id=fill.event_id,
            client_order_id=fill.client_order_id,
            execution_id=execution_id,
            filled_ns=fill.time_ns,
            instrument_id=fill.instrument_id,
            side=fill.side,
            lots=fill.lots,
            price_ticks=fill.price_ticks,
            lot_tick_minor=fill.lot_tick_minor,
            currency=fill.currency,
            commission_minor=fee or 0,
            is_margined=fill.is_margined,
            revision=revision,
        )

    def unretired(self, account: BrokerAccount) -> tuple[BrokerAccount, list[ev.Event]]:
        """Return an account without the fills that were retired, and the orders it brings back.

        A fill that is told otherwise than it was booked stays: it is for the reconciliation.
        """
        held = self._book.ledger.executions
        unknown = [f for f in account.fills if f.execution_id not in held]
        if not self._book.has_retired or not (unknown or account.corrections):
            return account, []
        recalled = set[str]()
        corrected = [
            event
            for told in sorted(account.corrections, key=lambda told: told.revision)
            if told.execution_id not in held
            for event in self._correction(told, recalled)
            if event is not told
        ]
        seen_again = {e.execution_id: e for e in corrected if isinstance(e, ExecutionRecalled)}
        corrected = [e for e in corrected if not isinstance(e, ExecutionRecalled)]
        unknown = [f for f in unknown if f.execution_id not in seen_again]
        booked = self._find([f.event_id for f in unknown])
        old = {f.execution_id for f in unknown if _is_same(booked.get(f.event_id), f)}
        new = [f for f in unknown if f.event_id not in booked]
        back: dict[str, ev.Event] = {
            e.client_order_id: e for e in corrected if isinstance(e, ev.OrderRecalled)
        }
        for fill in new:
            order_id = fill.client_order_id
            if order_id not in self._book.orders and order_id not in back:
                recalled = self._recalled(order_id, account.time_ns)
                if recalled is not None:
                    back[order_id] = recalled
        fills = tuple(f for f in account.fills if f.execution_id not in old)
        return replace(account, fills=fills), [*back.values(), *seen_again.values()]

    def _recalled(self, order_id: str, time_ns: int) -> ev.OrderRecalled | None:
        """Return what the log says of an order of ours, from its intent on; None of any other."""
        intent = self._find([_intent_id(order_id)]).get(_intent_id(order_id))
        if intent is None:
            return None
        record: OrderRecord | None = None
        filled = _FilledLots()
        arrival_ticks: int | None = None
        for recorded in self._log.read(intent.sequence - 1):
            event = recorded.event
            if isinstance(event, ev.OrderIntended) and event.order.client_order_id == order_id:
                record = OrderRecord(event.order, intended_ns=event.time_ns)
            elif isinstance(event, ev.OrderEvent) and event.client_order_id == order_id:
                assert record is not None, order_id
                if isinstance(event, ev.OrderApproved) and arrival_ticks is None:
                    arrival_ticks = event.reference_ticks
                if not isinstance(event, ev.OrderRecalled):
                    record.apply(event)
            if record is not None:
                record.correct(filled.change(event, order_id))
        assert record is not None, order_id
        # Of exits and of what an action has changed, the price was set before; of a slice it is
        # that of its parent, which has ended: they tell no cost.
        is_left_out = bool(record.order.parent_client_order_id or record.adjustments)
        order, pending = record.order, record.pending
        if pending is not None and pending.quantity_lots > order.quantity_lots:
            order = pending.applied_to(order)  # it may have ended, and filled, in those terms
        return ev.OrderRecalled(
            event_id=ev.make_event_id("OrderRecalled", order_id, self._book.sequence),
            time_ns=time_ns,
            correlation_id=record.order.decision_id,
            client_order_id=order_id,
            order=order,
            state=record.state.value,
            filled_lots=record.filled_lots,
            attempt=record.attempt,
            intended_ns=record.intended_ns,
            submitted_ns=record.submitted_ns,
            broker_order_id=record.broker_order_id,
            arrival_ticks=None if is_left_out else arrival_ticks,
            execution_ids=tuple(sorted(record.executions)),
            action_ids=tuple(sorted(record.adjustments)),
        )

    def _find(self, event_ids: Sequence[str]) -> Mapping[str, ev.RecordedEvent]:
        if isinstance(self._log, IndexedLog):
            return self._log.find_all(event_ids)
        wanted = set(event_ids)
        return {r.event.event_id: r for r in self._log.read() if r.event.event_id in wanted}


class _FilledLots:
    """What corrections change of the lots of one order's executions, in the order of the log."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}  # by execution: revision, lots

    def change(self, event: ev.Event, order_id: str) -> int:
        if isinstance(event, ev.OrderFilled) and event.client_order_id == order_id:
            self._known.setdefault(event.execution_id, (1, event.lots))
        if not isinstance(event, ev.ExecutionCorrected) or event.execution_id not in self._known:
            return 0
        revision, lots = self._known[event.execution_id]
        if event.revision <= revision:
            return 0
        self._known[event.execution_id] = event.revision, event.lots
        return event.lots - lots


def _is_same(booked: ev.RecordedEvent | None, fill: ev.OrderFilled) -> bool:
    return (
        booked is not None
        and isinstance(booked.event, ev.OrderFilled)
        and replace(booked.event, commission_minor=fill.commission_minor) == fill
    )


def _intent_id(order_id: str) -> str:
    return ev.make_event_id("OrderIntended", order_id)


def _correction_id(execution_id: str, revision: int) -> str:
    return ev.make_event_id("ExecutionCorrected", execution_id, revision)


def _fill_id(execution_id: str) -> str:
    """Return the id under which every adapter tells an execution."""
    return ev.make_event_id("OrderFilled", execution_id)
