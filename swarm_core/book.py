"""The book: everything that is true now, folded from the event log and from nothing else."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from swarm_core import events as ev
from swarm_core.account_rates import lapse_rate, take_rate
from swarm_core.book_memory import recall, recall_execution, retire
from swarm_core.book_state import BookState
from swarm_core.fill_events import ExecutionRecalled
from swarm_core.instruments import convert_minor, to_minor
from swarm_core.order_states import IllegalTransitionError, OrderRecord
from swarm_core.orders import Order, like_key
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.loosening import loosened
from swarm_core.strategies import StrategyBook
from swarm_core.trading_state import TradingState
from swarm_core.working_terms import WorkingTerms

# How far back the book remembers its own messages; no rate limit may look further.
MESSAGE_MEMORY_NS = 86_400 * 10**9


class Book(BookState):
    """Orders, positions, cash, trading state and counters of one account.

    `apply` is the only way in. `sequence` is the last log record that was applied.
    """

    def apply(self, event: ev.Event | ev.RecordedEvent) -> None:
        """Take in the next event; raises IllegalTransitionError where the log is wrong."""
        self.apply_all((event,))

    def apply_all(self, events: Iterable[ev.Event | ev.RecordedEvent]) -> None:
        """Take in events in order; what was applied already is passed over."""
        find, recorded = _APPLY.get, ev.RecordedEvent
        for item in events:
            if isinstance(item, recorded):
                sequence, event, _, _ = item
                if sequence <= self.sequence:
                    continue
                # Facts of other parts of the house stand in no table: they move nothing here.
                apply = find(event.__class__)
                if apply is not None:
                    apply(self, event)
                self.sequence = sequence
            else:
                apply = find(item.__class__)
                if apply is not None:
                    apply(self, item)

    def take_fill(self, fill: ev.OrderFilled) -> None:
        """Book an execution, whoever's it is, and count it to its order and strategy once."""
        ledger = self.ledger
        is_new = ledger.book_fill(fill)
        record = self.orders.get(fill.client_order_id)
        if record is None:
            self.unknown_fills.append(fill)
            return
        if is_new:
            rate = ledger.rates.get(fill.currency)
            self.realised.fill(fill, rate, ledger.commissions.get(fill.execution_id))
        filled_lots, state = record.filled_lots, record.state
        record.apply(fill)
        if record.filled_lots > filled_lots:
            self._attribute(fill, record.order.strategy)
            plan = self.working_plan
            if plan is not None and plan.is_slice(record.order.decision_id):
                signed = fill.side.sign * fill.lots
                self.impact.fill(fill.instrument_id, signed, fill.price_ticks, fill.lot_tick_minor)
            if record.order.is_exit:
                instrument_id = record.order.instrument_id
                self.exit_fills[instrument_id] = self.exit_fills.get(instrument_id, 0) + 1
        if record.state is not state:
            self.file(fill.client_order_id, record)

    def take_order_event(self, event: ev.OrderEvent) -> None:
        """Take in what happened to an order; of an order that is not ours, nothing."""
        order_id = event.client_order_id
        record = self.orders.get(order_id)
        if record is None:
            return
        state = record.state
        record.apply(event)
        if record.state is not state:
            self.file(order_id, record)
        count = _COUNT.get(event.__class__)
        if count is not None:
            count(self, event, record.order)

    def _attribute(self, fill: ev.OrderFilled, strategy: str) -> None:
        """Count a new fill, and its commission where that was told, as its strategy's doing."""
        own = self.strategies.get(strategy)
        if own is None:
            own = self.strategies[strategy] = StrategyBook()
        own.take_fill(fill)
        fee = self.ledger.commissions.get(fill.execution_id)
        if fee is not None:
            own.take_fee(fill.currency, fee)

    def count_sent(self, event: ev.OrderEvent, order: Order) -> None:
        self.count_message(event.time_ns)
        self.sent.append((event.time_ns, event.client_order_id, like_key(order)))

    def count_message(self, time_ns: int) -> None:
        self.message_times.append(time_ns)
        horizon = time_ns - MESSAGE_MEMORY_NS
        while self.message_times and self.message_times[0] < horizon:
            self.message_times.popleft()
        while self.sent and self.sent[0][0] < horizon:
            self.sent.popleft()

    def knows(self, event: ev.Event) -> bool:
        """Return whether the broker has told this before, perhaps in other words."""
        if isinstance(event, ev.CommissionCharged):
            return event.execution_id in self.ledger.commissions
        if isinstance(event, ev.ExecutionCorrected):
            return self.ledger.knows_revision(event)
        if not isinstance(event, ev.OrderEvent):
            return False
        record = self.orders.get(event.client_order_id)
        if isinstance(event, ev.OrderFilled):
            is_booked = event.execution_id in self.ledger.executions
            return is_booked or (record is not None and event.execution_id in record.executions)
        return record is not None and record.knows(event)

    def working_orders(self) -> list[OrderRecord]:
        """Return the orders that may still be filled, in the order of their ids."""
        return [self.orders[i] for i in sorted(self._working)]

    def sent_or_ended(self) -> set[str]:
        """Return a set of its own of the orders that may not be sent (again)."""
        return set(self._sent_or_ended)

    def lots(self, instrument_id: str) -> int:
        return self.ledger.lots(instrument_id)

    def find_nav(self) -> float | None:
        """Return the net asset value in base currency units for display and sizing."""
        nav = self.ledger.find_nav_minor()
        return None if nav is None else nav / 1e8

    def weights(self, instrument_ids: Sequence[str]) -> tuple[float, ...]:
        """Return each position's value as a fraction of NAV (0 where nothing is held).

        Raises ValueError where NAV is unknown or not positive.
        """
        nav = self.ledger.find_nav_minor()
        if nav is None or nav <= 0:
            raise ValueError(f"NAV must be known and positive to give weights, was {nav}")
        weights: list[float] = []
        for instrument_id in instrument_ids:
            position = self.ledger.positions.get(instrument_id)
            value = 0
            if position is not None and position.lots:
                value = float(position.value_minor * self.ledger.rates[position.currency])
            weights.append(value / nav)
        return tuple(weights)


def _count_approval(book: Book, event: ev.OrderApproved, order: Order) -> None:
    if not order.is_exit:  # its price is a rule of its own, not the market's
        parent = order.parent_client_order_id
        book.realised.approve(event.client_order_id, event.reference_ticks, parent)


def _count_adjustment(book: Book, event: ev.OrderAdjusted, order: Order) -> None:
    book.realised.forget(event.client_order_id, order.parent_client_order_id)
    book.impact.forget(order.instrument_id)


def _count_denial(book: Book, event: ev.OrderDenied, order: Order) -> None:
    book.denials[event.client_order_id] = event.code
    if event.code is DenialCode.THROTTLE:
        book.throttled.add(order.instrument_id)


# What an order's events change beside the order itself.
_COUNT: dict[type[ev.Event], Callable[[Book, Any, Order], object]] = {
    ev.OrderApproved: _count_approval,
    ev.OrderAdjusted: _count_adjustment,
    ev.OrderSubmitted: Book.count_sent,
    ev.OrderModifyRequested: lambda book, event, order: book.count_sent(
        event, WorkingTerms.of(event).applied_to(order)
    ),
    ev.OrderCancelRequested: lambda book, event, _: book.count_message(event.time_ns),
    ev.OrderDenied: _count_denial,
}


def _intend(book: Book, event: ev.OrderIntended) -> None:
    order = event.order
    order_id = order.client_order_id
    if order_id in book.orders:
        raise IllegalTransitionError(f"an order must be intended once, was again: {order_id}")
    record = OrderRecord(order, intended_ns=event.time_ns)
    record.exit_fills_seen = book.exit_fills.get(order.instrument_id, 0)
    book.orders[order_id] = record
    if order.exit_kind is None:
        book.exits.pop(order.instrument_id, None)  # its own follow, if it has any
    else:
        book.exits.setdefault(order.instrument_id, {})[order.exit_kind] = order_id
    book.intended.setdefault(order.decision_id, []).append(order_id)


def _take_instruction(book: Book, event: ev.PersonInstructed) -> None:
    record = book.orders.get(event.client_order_id)
    if record is not None and event.instruction == "cancel":
        record.is_cancelled_by_person = True


def _charge(book: Book, event: ev.CommissionCharged) -> None:
    fill = book.ledger.executions.get(event.execution_id)
    if not book.ledger.book_commission(event) or fill is None:
        return  # what comes before its fill is attributed with it
    book.realised.charge(event.execution_id, event.commission_minor)
    record = book.orders.get(fill.client_order_id)
    own = None if record is None else book.strategies.get(record.order.strategy)
    if own is not None:
        own.take_fee(event.currency, event.commission_minor)


def _correct(book: Book, event: ev.ExecutionCorrected) -> None:
    fill = book.ledger.executions.get(event.execution_id)
    if fill is None or not book.ledger.correct_fill(event):
        return
    record = book.orders.get(fill.client_order_id)
    if record is not None and event.lots != fill.lots:
        record.correct(event.lots - fill.lots)
        book.file(fill.client_order_id, record)
    own = None if record is None else book.strategies.get(record.order.strategy)
    if own is not None:
        own.correct_fill(fill, event.lots, event.price_ticks)


def _transfer(book: Book, event: ev.TransferBooked) -> None:
    before = book.ledger.find_nav_minor()
    brought, rate = book.ledger.book_transfer(event), book.ledger.rates.get(event.currency)
    if not event.is_capital:
        return
    if rate is not None:
        book.moved_in_minor += convert_minor(brought, rate)
    after = book.ledger.find_nav_minor()
    if before is not None and after is not None:  # what the owner moves is no drawdown
        book.session_nav_minor += after - before
        book.peak_nav_minor += after - before


def _change_holding(book: Book, event: ev.HoldingChanged) -> None:
    held_lots = book.lots(event.instrument_id)
    if book.ledger.book_holding(event):
        for own in book.strategies.values():
            own.take_holding(event, held_lots)


def _accrue(book: Book, event: ev.EntitlementAccrued) -> None:
    is_new = event.action_id not in book.ledger.entitlements
    book.ledger.book_entitlement(event)
    if is_new:
        for own in book.strategies.values():
            own.take_entitlement(event, book.lots(event.instrument_id))


def _take_decision(book: Book, event: ev.DecisionTaken) -> None:
    if event.lineage.colony_state_digest and event.lineage.decision_id not in book.decisions:
        book.realised.decide()
    book.decisions.setdefault(event.lineage.decision_id, event)


def _plan(book: Book, event: ev.ReleasePlanned) -> None:
    book.planned.add(event.decision_id)


def _start_working(book: Book, event: ev.WorkingStarted) -> None:
    book.worked.add(event.decision_id)
    book.working_plan = event.plan
    book.impact.start(event.plan.forecasts)


def _end_working(book: Book, event: ev.WorkingEnded) -> None:
    if book.working_plan is not None and book.working_plan.decision_id == event.decision_id:
        book.working_plan = None
        book.impact.end()


def _block(book: Book, event: ev.ReleaseBlocked) -> None:
    book.blocked[event.decision_id] = event.reason


def _deny_target(book: Book, event: ev.TargetDenied) -> None:
    denied = book.denied_targets.setdefault(event.decision_id, {})
    denied[event.instrument_id] = event.code


def _open_session(book: Book, event: ev.SessionOpened) -> None:
    book.session, book.session_nav_minor = event.session, event.nav_minor
    for own in book.strategies.values():
        own.open_session(book.ledger)
    book.peak_nav_minor = max(book.peak_nav_minor, event.nav_minor)


def _close_session(book: Book, event: ev.SessionClosed) -> None:
    book.closed_sessions[event.session] = event.nav_minor
    for own in book.strategies.values():
        own.close_session(book.ledger)
    book.peak_nav_minor = max(book.peak_nav_minor, event.nav_minor)


def _change_limits(book: Book, event: ev.LimitsChanged) -> None:
    if not event.by_person and book.limits is not None:
        looser = loosened(book.limits, event.limits)
        if looser:
            raise IllegalTransitionError(
                f"limits must be loosened by a person, {looser[0]} was by {event.actor}"
            )
    book.limits = event.limits


def _change_state(book: Book, event: ev.TradingStateChanged) -> None:
    if not book.trading_state.may_become(event.state, by_person=event.by_person):
        raise IllegalTransitionError(
            f"{book.trading_state.value} must be lifted by a person, was by {event.actor}"
        )
    book.trading_state = event.state
    if event.by_person or event.state is TradingState.HALTED:
        book.overfills_seen = book.overfilled()


_APPLY: dict[type[ev.Event], Callable[[Book, Any], object]] = {
    **{cls: Book.take_order_event for cls in ev.EVENT_CLASSES if issubclass(cls, ev.OrderEvent)},
    ev.OrderFilled: Book.take_fill,
    ev.OrderIntended: _intend,
    ev.PersonInstructed: _take_instruction,
    ev.CommissionCharged: _charge,
    ev.ExecutionCorrected: _correct,
    ev.PositionMarked: lambda book, event: book.ledger.mark(event),
    ev.CurrencyMarked: take_rate,
    ev.CurrencyRateLapsed: lapse_rate,
    ev.CashMoved: lambda book, event: book.ledger.book_cash(event),
    ev.TransferBooked: _transfer,
    ev.HoldingChanged: _change_holding,
    ev.EntitlementAccrued: _accrue,
    ev.EntitlementPaid: lambda book, event: book.ledger.book_payment(event),
    ev.CarryCharged: lambda book, event: book.ledger.book_carry(event),
    ev.VariationSettled: lambda book, event: book.ledger.settle(event),
    ev.CurrencyConverted: lambda book, event: book.ledger.convert(event),
    ev.DecisionTaken: _take_decision,
    ev.ReleasePlanned: _plan,
    ev.ReleaseBlocked: _block,
    ev.WorkingStarted: _start_working,
    ev.WorkingEnded: _end_working,
    ev.TargetDenied: _deny_target,
    ev.SessionOpened: _open_session,
    ev.SessionClosed: _close_session,
    ev.TradingStateChanged: _change_state,
    ev.ThrottleReset: lambda book, event: book.throttled.discard(event.instrument_id),
    ev.LimitsChanged: _change_limits,
    ev.DecisionsRetired: retire,
    ev.OrderRecalled: recall,
    ExecutionRecalled: recall_execution,
    ev.ColonySettingsChanged: lambda book, event: book.colony_changes.append(event),
}


def book_from_events(
    events: Iterable[ev.Event | ev.RecordedEvent],
    base_currency: str,
    starting_cash: Decimal | int,
    *,
    keeps_all: bool = False,
) -> Book:
    """Return the book that the events lead to; `starting_cash` in units of the base currency."""
    book = Book(base_currency, to_minor(starting_cash), keeps_all=keeps_all)
    book.apply_all(events)
    return book
