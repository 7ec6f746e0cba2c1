"""The book held against the broker's account: what was missed, what differs, and what follows.

A pure function of both. What the broker tells and the book missed is booked; what nobody can
explain is reported, and tightens the trading state by the rule of its kind (`swarm_core.findings`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.broker_account import (
    BrokerAccount,
    BrokerOrder,
    ended_order,
    ending_event,
    expired,
    terms_of,
)
from swarm_core.findings import Finding, FindingKind
from swarm_core.hand_changes import find_changes
from swarm_core.instruments import from_minor
from swarm_core.late_cash import lags_behind, late_fills
from swarm_core.order_states import FINAL_STATES, OrderRecord, OrderState
from swarm_core.orders import TimeInForce
from swarm_core.owed_payments import find_paid, payment_events, taken_too_early, unpaid, untaxed
from swarm_core.positions import Position, position_of
from swarm_core.settlements import settled, settlement_shares
from swarm_core.trading_state import TradingState

_S = TradingState
_DAY_NS = 86_400 * 10**9
# What is filled by now the account may show as it was a moment before.
_OVER = FINAL_STATES - {OrderState.FILLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationRules:
    """What is adopted, and how much cash may differ and be booked, in minor units.

    Brokers pay the profit of futures each day, at a price that they do not tell: what they paid is
    booked where it lies no further from the profit at the book's own marks than
    `settlement_fraction_max` of what the futures of the currency are worth. So is cash for what
    an action took away, within `estimate_fraction_max` of what it was estimated at, and a dividend
    that is paid less `withheld_fraction` of it.
    """

    adopt_foreign: bool = False
    cash_tolerance_minor: int = 0
    settlement_fraction_max: float = 0.0
    estimate_fraction_max: float = 0.0
    withheld_fraction: float = 0.0
    fills_reach_back_ns: int = _DAY_NS  # how long a broker tells of what has ended
    cash_lag_ns: int = 0  # how long its cash may leave out what has filled
    position_lag_ns: int = 0  # the same of its positions
    rate_age_ns_max: int = 3_600 * 10**9  # how long a rate holds that it tells no more

    def __post_init__(self) -> None:
        if self.cash_tolerance_minor < 0:
            raise ValueError(f"cash_tolerance_minor must be >= 0, was {self.cash_tolerance_minor}")
        for name in ("settlement_fraction_max", "estimate_fraction_max", "withheld_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], was {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was found, what is to be written, and the loosest state in which trading may go on.

    `lots_off` and `cash_off` are what the broker has more than the book with these events, by
    instrument in lots and by currency in minor units, where that differs; `uncharged` are the
    executions whose commission is outstanding.
    """

    findings: tuple[Finding, ...]
    events: tuple[ev.Event, ...]
    mode: TradingState
    lots_off: Mapping[str, int] = field(default_factory=dict[str, int])
    cash_off: Mapping[str, int] = field(default_factory=dict[str, int])
    uncharged: frozenset[str] = frozenset()

    @property
    def reason(self) -> str:
        """Return in one line what keeps trading from going on freely."""
        grave = [str(f) for f in self.findings if f.kind.mode is not _S.ACTIVE]
        return "; ".join(grave) or "book and account agree"


def reconcile(
    book: Book,
    account: BrokerAccount,
    rules: ReconciliationRules,
    claimed_minor: Mapping[str, int] | None = None,
) -> Reconciliation:
    """Compare the book with the account; the book itself is not changed.

    `claimed_minor` is cash by currency that a person says was moved: it is left out of what
    differs, so that what was paid beside it is found. After the events are booked, reconciling
    the same account again gives no event.
    """
    work = _Comparison(book, account, rules, claimed_minor or {})
    work.fills()
    work.corrections()
    work.commissions()
    work.orders()
    work.positions()
    work.cash()
    imbalance = book.ledger.find_imbalance()
    if imbalance is not None:
        work.find(FindingKind.BOOK_IMBALANCE, "ledger", imbalance)
    modes = [finding.kind.mode for finding in work.findings]
    mode = next((m for m in (_S.HALTED, _S.REDUCING) if m in modes), _S.ACTIVE)
    return Reconciliation(
        tuple(work.findings), tuple(work.events), mode,
        work.lots_off, work.cash_off, frozenset(work.uncharged()),
    )  # fmt: skip


class _Comparison:
    """The working state of one comparison: what the book will hold once the events are in."""

    def __init__(
        self,
        book: Book,
        account: BrokerAccount,
        rules: ReconciliationRules,
        claimed_minor: Mapping[str, int],
    ) -> None:
        self.book, self.account, self.rules = book, account, rules
        self.claimed_minor = claimed_minor
        self.findings: list[Finding] = []
        self.events: list[ev.Event] = []
        self.new_lots: dict[str, int] = {}  # by client order id
        self.lots = {i: p.lots for i, p in book.ledger.positions.items()}
        self.cash_minor = dict(book.ledger.cash)
        # Futures with what was missed of them: their fills move no cash but their profit.
        self.margined = {i: replace(p) for i, p in book.ledger.positions.items() if p.is_margined}
        self.charged = set(book.ledger.commissions)
        self.executions = set(book.ledger.executions)
        self.void = {i for i, f in book.ledger.executions.items() if not f.lots}
        self.lots_off: dict[str, int] = {}
        self.cash_off: dict[str, int] = {}

    def find(self, kind: FindingKind, subject: str, detail: str) -> None:
        self.findings.append(Finding(kind, subject, detail))

    def fills(self) -> None:
        told: set[str] = set()
        corrected = {c.execution_id for c in self.account.corrections}
        for fill in self.account.fills:
            known = self.book.ledger.executions.get(fill.execution_id)
            is_other = known is not None and terms_of(known) != terms_of(fill)
            if known is not None and is_other and fill.execution_id not in corrected:
                detail = f"was booked as {terms_of(known)}, is told as {terms_of(fill)}"
                self.find(FindingKind.FILL_CONFLICT, fill.execution_id, detail)
            if known is None and fill.execution_id not in told:
                self._missed(fill)
            told.add(fill.execution_id)
        for order_id, lots in sorted(self.new_lots.items()):
            record = self.book.orders.get(order_id)
            if record is None:
                continue
            total = record.filled_lots + lots
            if total > record.most_lots:
                detail = f"must fill {record.most_lots} lots at most, did {total}"
                self.find(FindingKind.OVERFILLED, order_id, detail)

    def corrections(self) -> None:
        fills = {f.execution_id: f for f in self.account.fills} | self.book.ledger.executions
        for told in sorted(self.account.corrections, key=lambda told: told.revision):
            fill = fills.get(told.execution_id)
            if fill is None or told.execution_id not in self.executions or self.book.knows(told):
                continue
            detail = f"{told.lots} lots at {told.price_ticks} ticks, were {terms_of(fill)}"
            kind = FindingKind.FILL_CORRECTED if told.lots else FindingKind.FILL_TAKEN_BACK
            self.find(kind, told.execution_id, detail)
            self.events.append(told)
            (self.void.discard if told.lots else self.void.add)(told.execution_id)
            now = replace(fill, lots=told.lots, price_ticks=told.price_ticks)
            fills[told.execution_id] = now
            signed = fill.side.sign * (told.lots - fill.lots)
            self.lots[fill.instrument_id] = self.lots.get(fill.instrument_id, 0) + signed
            order_id = fill.client_order_id
            self.new_lots[order_id] = self.new_lots.get(order_id, 0) + told.lots - fill.lots
            own = self.margined if fill.is_margined else dict[str, Position]()
            more, lost = position_of(own, fill).correct_fill(fill, told.lots, told.price_ticks)
            self._pay(fill.currency, -lost if fill.is_margined else -more)

    def _missed(self, fill: ev.OrderFilled) -> None:
        ours = fill.client_order_id in self.book.orders
        if not ours and not self.rules.adopt_foreign:
            detail = f"{fill.side.value} {fill.lots} lots of {fill.instrument_id}, not our order"
            self.find(FindingKind.FOREIGN_FILL, fill.execution_id, detail)
            return
        kind = FindingKind.MISSED_FILL if ours else FindingKind.ORDER_ADOPTED
        self.find(kind, fill.execution_id, f"{fill.lots} lots of {fill.instrument_id}")
        self.events.append(fill)
        self.executions.add(fill.execution_id)
        signed = fill.side.sign * fill.lots
        self.lots[fill.instrument_id] = self.lots.get(fill.instrument_id, 0) + signed
        paid = -signed * fill.price_ticks * fill.lot_tick_minor
        if fill.is_margined:
            paid = position_of(self.margined, fill).trade(signed, fill.price_ticks)
        self._pay(fill.currency, paid)
        order_id = fill.client_order_id
        self.new_lots[order_id] = self.new_lots.get(order_id, 0) + fill.lots
        if fill.commission_minor is not None and fill.execution_id not in self.charged:
            self.charged.add(fill.execution_id)
            self._pay(fill.currency, -fill.commission_minor)

    def commissions(self) -> None:
        for charge in self.account.commissions:
            if charge.execution_id in self.charged or charge.execution_id not in self.executions:
                continue
            self.charged.add(charge.execution_id)
            detail = f"{charge.commission_minor}"
            self.find(FindingKind.MISSED_COMMISSION, charge.execution_id, detail)
            self.events.append(charge)
            self._pay(charge.currency, -charge.commission_minor)

    def _pay(self, currency: str, minor: int) -> None:
        self.cash_minor[currency] = self.cash_minor.get(currency, 0) + minor

    def orders(self) -> None:
        shown: set[str] = set()
        for order in self.account.orders:
            record = self.book.orders.get(order.client_order_id)
            if record is None or record.is_other(order.broker_order_id):
                self._foreign(order)
                continue
            shown.add(order.client_order_id)
            if order.ending is None and record.state in _OVER:
                detail = f"is {record.state.value} in the log, and works at the broker"
                self.find(FindingKind.ENDED_WORKS, order.client_order_id, detail)
            self._missed_state(record, order)
            self._changed(record, order)
        for record in self.book.working_orders():
            order_id = record.order.client_order_id
            filled = record.filled_lots + self.new_lots.get(order_id, 0)
            done = filled >= record.most_lots
            # What was never heard of may be on its way: the order path looks it up by itself.
            if order_id not in shown and not record.is_unheard and not done:
                self._missing(record)

    def _foreign(self, order: BrokerOrder) -> None:
        if order.ending is not None:
            return  # it does nothing any more; its fills are compared by themselves
        kind = FindingKind.ORDER_ADOPTED if self.rules.adopt_foreign else FindingKind.FOREIGN_ORDER
        name = f"broker order {order.broker_order_id}"
        self.find(kind, name, f"works in {order.instrument_id}, is not in the log")

    def _missed_state(self, record: OrderRecord, order: BrokerOrder) -> None:
        order_id, time_ns = order.client_order_id, self.account.time_ns
        told: list[ev.Event] = []
        if order.broker_order_id and not record.broker_order_id and not record.state.is_final:
            told.append(
                ev.OrderAccepted(
                    event_id=ev.make_event_id("OrderAccepted", order_id, order.broker_order_id),
                    time_ns=time_ns,
                    correlation_id=record.order.decision_id,
                    client_order_id=order_id,
                    broker_order_id=order.broker_order_id,
                )
            )
        if order.ending is not None and not record.state.is_final:
            end = ending_event(record, order, time_ns, self.new_lots.get(order_id, 0))
            told.extend([] if end is None else [end])
        if told:
            names = ", ".join(type(event).__name__ for event in told)
            self.find(FindingKind.MISSED_STATE, order_id, names)
            self.events.extend(told)

    def _changed(self, record: OrderRecord, order: BrokerOrder) -> None:
        adopts = self.rules.adopt_foreign
        for found, event in find_changes(record, order, self.account.time_ns, adopt_foreign=adopts):
            self.findings.append(found)
            self.events.extend([] if event is None else [event])

    def _missing(self, record: OrderRecord) -> None:
        order_id, time_ns = record.order.client_order_id, self.account.time_ns
        if record.told_end is not None:  # it has ended: what it filled, the account would show
            self._missed_state(record, ended_order(record, record.told_end[0]))
            return
        age_ns = time_ns - (record.submitted_ns or record.intended_ns)
        is_day = record.order.time_in_force is not TimeInForce.GOOD_TILL_CANCELLED
        if is_day and age_ns > self.rules.fills_reach_back_ns:
            ending = expired(record, time_ns, self.new_lots.get(order_id, 0))
            self.find(FindingKind.MISSED_STATE, order_id, "a day order of an earlier day")
            self.events.append(ending)
            return
        detail = f"is {record.state.value} in the log, and nowhere in the account"
        self.find(FindingKind.ORDER_MISSING, order_id, detail)

    def positions(self) -> None:
        held, lag_ns = self.account.position_lots, self.rules.position_lag_ns
        since_ns = self.account.time_ns - lag_ns
        for instrument_id in sorted({*held, *self.lots}):
            ours, theirs = self.lots.get(instrument_id, 0), held.get(instrument_id, 0)
            if ours != theirs:
                detail = f"is {ours} lots in the log, {theirs} at the broker"
                off = instrument_id, theirs - ours
                if lag_ns and lags_behind(self.book.ledger, self.events, *off, since_ns):
                    self.find(FindingKind.POSITION_LATE, instrument_id, detail)
                    continue
                self.lots_off[instrument_id] = theirs - ours
                self.find(FindingKind.POSITION_DIFFERS, instrument_id, detail)

    def uncharged(self) -> set[str]:
        """Return the executions whose commission is outstanding; a bust need not have any."""
        return self.executions - self.charged - self.void

    def cash(self) -> None:
        if self.account.cash_minor is None:
            return
        theirs = self.account.cash_minor
        # While a commission is outstanding nobody can say what the cash should be.
        outstanding = bool(self.uncharged())
        for currency in sorted({*theirs, *self.cash_minor, *self.claimed_minor}):
            difference = theirs.get(currency, 0) - self.cash_minor.get(currency, 0)
            difference -= self.claimed_minor.get(currency, 0)
            difference -= self._payments(currency, difference, outstanding=outstanding)
            difference -= self._settlement(currency, difference, outstanding=outstanding)
            if not difference:
                continue
            since_ns = self.account.time_ns - self.rules.cash_lag_ns
            late = late_fills(self.book.ledger, self.events, currency, difference, since_ns)
            if late:
                detail = f"the broker's cash is that of before the last {late} executions"
                self.find(FindingKind.CASH_LATE, currency, detail)
                continue
            detail = f"the broker has {from_minor(difference).normalize():+f} more than the log"
            if abs(difference) > self.rules.cash_tolerance_minor:
                self.cash_off[currency] = difference
                self.find(FindingKind.CASH_DIFFERS, currency, detail)
                continue
            if outstanding:
                continue
            self.find(FindingKind.CASH_BOOKED, currency, detail)
            self.events.append(
                ev.CashMoved(
                    event_id=ev.make_event_id(
                        "CashMoved", currency, self.book.sequence, self.account.time_ns
                    ),
                    time_ns=self.account.time_ns,
                    currency=currency,
                    amount_minor=difference,
                    reason="reconciled with the broker",
                )
            )

    def _settlement(self, currency: str, difference: int, *, outstanding: bool) -> int:
        """Book what the broker paid of the profit of futures; return how much of it explains."""
        held = {i: p for i, p in sorted(self.margined.items()) if p.lots and p.currency == currency}
        shares = settlement_shares(held, difference, self.rules.settlement_fraction_max)
        # While a fee is outstanding they are not known: they are booked when it is.
        for instrument_id, amount in ({} if outstanding else shares).items():
            self._settle(instrument_id, amount)
        return difference if shares else 0

    def _settle(self, instrument_id: str, amount_minor: int) -> None:
        position, account = self.margined[instrument_id], self.account
        event = settled(instrument_id, position, amount_minor, self.book.sequence, account.time_ns)
        per_lot = Decimal(amount_minor) / (position.lots * position.lot_tick_minor)
        cost = Decimal(position.cost_minor) / (position.lots * position.lot_tick_minor)
        detail = f"{amount_minor} minor units, as if at {cost + per_lot:.2f} ticks"
        self.find(FindingKind.SETTLEMENT_BOOKED, instrument_id, detail)
        self.events.append(event)

    def _payments(self, currency: str, difference: int, *, outstanding: bool) -> int:
        """Book what was owed and is in the account now; return how much of it explains."""
        if not difference:
            return 0
        ledger, rules, time_ns = self.book.ledger, self.rules, self.account.time_ns
        early = taken_too_early(ledger, time_ns, rules.estimate_fraction_max)
        owed = {e.action_id: e for e in (*unpaid(ledger), *early) if e.currency == currency}
        paid = find_paid(
            owed.values(),
            difference,
            tolerance_minor=rules.cash_tolerance_minor,
            estimate_fraction_max=rules.estimate_fraction_max,
            withheld_fraction=rules.withheld_fraction,
            taxable=[e for e in untaxed(ledger, time_ns) if e.currency == currency],
        )
        if paid.is_loose and outstanding:
            return difference  # how much was paid is known when the fees are
        for action_id, amount in paid.amounts.items():
            event = owed[action_id]
            is_estimate = action_id in paid.estimates
            estimated = f", {event.amount_minor} was estimated" if is_estimate else ""
            detail = f"{amount} of {event.instrument_id}{estimated}"
            self.find(FindingKind.PAYMENT_BOOKED, action_id, detail)
        for action_id, tax in paid.taxes.items():
            detail = f"{tax} of {ledger.entitlements[action_id].instrument_id}, tax withheld"
            self.find(FindingKind.PAYMENT_BOOKED, action_id, detail)
        self.events.extend(payment_events(paid, owed, ledger, time_ns))
        return paid.total_minor
