"""The books: cash, positions and profit in exact integers, each execution booked once."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from swarm_core.events import (
    CarryCharged,
    CashMoved,
    CommissionCharged,
    CurrencyConverted,
    EntitlementAccrued,
    EntitlementPaid,
    HoldingChanged,
    OrderFilled,
    PositionMarked,
    TransferBooked,
    VariationSettled,
)
from swarm_core.fill_events import ExecutionCorrected
from swarm_core.instruments import convert_minor
from swarm_core.positions import Position, position_of


class Ledger:
    """The books of one account, in several currencies, valued in one.

    Everything that moves them is an event, and an execution or commission that is told again
    changes nothing.
    """

    def __init__(self, base_currency: str, starting_cash_minor: int) -> None:
        self.base_currency = base_currency
        self.cash: dict[str, int] = {base_currency: starting_cash_minor}
        self.deposited: dict[str, int] = {base_currency: starting_cash_minor}
        self.fees: dict[str, int] = {}
        self.rates: dict[str, Decimal] = {base_currency: Decimal(1)}
        self.positions: dict[str, Position] = {}
        self.executions: dict[str, OrderFilled] = {}
        self.commissions: dict[str, int] = {}
        self.revisions: dict[str, int] = {}  # of executions that were corrected
        self.conflicts: set[str] = set()  # executions told twice with different contents
        self.income: dict[str, int] = {}  # dividends, interest and borrow cost, net
        self.converted: dict[str, int] = {}  # by conversions between currencies, net
        self.entitlements: dict[str, EntitlementAccrued] = {}  # by action id, owed or paid
        self.owed: dict[str, int] = {}  # by currency: of entitlements that are not paid yet
        self.paid: dict[str, EntitlementPaid] = {}  # by action id: what became cash
        self.action_lots: dict[str, int] = {}  # what actions, not fills, did to a position
        self.booked: set[str] = set()  # action ids of holdings, event ids of carry
        self.retired_lots: dict[str, int] = {}  # by instrument: the sum of fills that were retired

    def scratch(self) -> "Ledger":
        """Return a ledger to work actions out on: what it books does not touch this one.

        It knows no executions: it is for holdings and entitlements, not for fills.
        """
        copy = Ledger(self.base_currency, 0)
        copy.cash, copy.rates, copy.income = dict(self.cash), dict(self.rates), dict(self.income)
        copy.positions = {i: replace(p) for i, p in self.positions.items() if p.lots}
        copy.entitlements, copy.paid = dict(self.entitlements), dict(self.paid)
        copy.booked = set(self.booked)
        return copy

    def book_fill(self, fill: OrderFilled) -> bool:
        """Book an execution; return False where it was booked before."""
        execution_id, currency = fill.execution_id, fill.currency
        known = self.executions.get(execution_id)
        if known is not None:
            if _terms(known) != _terms(fill):
                self.conflicts.add(execution_id)
            self._book_commission(execution_id, currency, fill.commission_minor)
            return False
        self.executions[execution_id] = fill
        # Most of a replay runs through here, so it calls as little as it can.
        signed = fill.side.sign * fill.lots
        cost_per_tick = signed * fill.price_ticks
        position = self.positions.get(fill.instrument_id) or position_of(self.positions, fill)
        realised = position.take(signed, cost_per_tick * position.lot_tick_minor)
        paid = realised if position.is_margined else -cost_per_tick * fill.lot_tick_minor
        fee, cash = fill.commission_minor, self.cash
        if fee is not None and execution_id not in self.commissions:
            self.commissions[execution_id] = fee
            self.fees[currency] = self.fees.get(currency, 0) + fee
            paid -= fee
        cash[currency] = cash.get(currency, 0) + paid
        return True

    def correct_fill(self, event: ExecutionCorrected) -> bool:
        """Book what an execution has been corrected to; False where nothing is new.

        One that is taken back whole has no lots. Its commission stays charged.
        """
        fill = self.executions.get(event.execution_id)
        if fill is None or self.knows_revision(event):
            return False
        self.revisions[event.execution_id] = event.revision
        position = self.positions[fill.instrument_id]
        more, lost = position.correct_fill(fill, event.lots, event.price_ticks)
        self._add(self.cash, fill.currency, -lost if position.is_margined else -more)
        self.executions[event.execution_id] = replace(
            fill, lots=event.lots, price_ticks=event.price_ticks
        )
        return True

    def recall(self, fill: OrderFilled, commission_minor: int, revision: int) -> bool:
        """Take a retired execution back into memory; False where it never left."""
        if fill.execution_id in self.executions:
            return False
        self.executions[fill.execution_id] = fill
        self.commissions[fill.execution_id] = commission_minor
        if revision > 1:
            self.revisions[fill.execution_id] = revision
        self._add(self.retired_lots, fill.instrument_id, -fill.side.sign * fill.lots)
        return True

    def knows_revision(self, event: ExecutionCorrected) -> bool:
        return event.revision <= self.revisions.get(event.execution_id, 1)

    def retire(self, execution_ids: Iterable[str]) -> int:
        """Forget executions that will not be told again, but for their sums; return how many."""
        count = 0
        for execution_id in execution_ids:
            fill = self.executions.pop(execution_id, None)
            if fill is not None:
                count += 1
                self._add(self.retired_lots, fill.instrument_id, fill.side.sign * fill.lots)
                self.commissions.pop(execution_id, None)
                self.revisions.pop(execution_id, None)
        return count

    def book_commission(self, charge: CommissionCharged) -> bool:
        """Book a commission that came apart from its fill; False where it was booked before."""
        return self._book_commission(charge.execution_id, charge.currency, charge.commission_minor)

    def _book_commission(self, execution_id: str, currency: str, minor: int | None) -> bool:
        if minor is None or execution_id in self.commissions:
            return False
        self.commissions[execution_id] = minor
        self._add(self.cash, currency, -minor)
        self._add(self.fees, currency, minor)
        return True

    def book_cash(self, move: CashMoved) -> None:
        self._add(self.cash, move.currency, move.amount_minor)
        self._add(self.deposited, move.currency, move.amount_minor)

    def book_transfer(self, move: TransferBooked) -> int:
        """Book what came in or went out by a person's word, once; return what it brought."""
        if not self._is_new(move.event_id):
            return 0
        brought = move.value_minor
        if move.lots:
            position = position_of(self.positions, move)
            realised = position.take(move.lots, brought)
            self._add(self.action_lots, move.instrument_id, move.lots)
            if position.is_margined:
                brought = -realised  # its price was never paid: its profit goes with it
        else:
            self._add(self.cash, move.currency, move.amount_minor)
        self._add(self.deposited if move.is_capital else self.income, move.currency, brought)
        return brought

    def book_holding(self, change: HoldingChanged) -> bool:
        """Book what an action did to a holding; False where it was booked before."""
        if not self._is_new(change.action_id):
            return False
        position = self.positions[change.instrument_id]
        position.lots += change.lots_change
        position.cost_minor -= change.cost_out_minor
        # What a margined position costs was never paid, so it is no loss when it leaves.
        cost_out = 0 if position.is_margined else change.cost_out_minor
        position.realised_minor += change.cash_minor + change.to_cost_minor - cost_out
        if change.mark_ticks is not None:
            position.mark_ticks = change.mark_ticks
        self._add(self.action_lots, change.instrument_id, change.lots_change)
        self._add(self.cash, change.currency, change.cash_minor)
        if change.to_instrument_id and change.to_lots:
            self._receive(change)
        return True

    def _receive(self, change: HoldingChanged) -> None:
        target = self.positions.get(change.to_instrument_id)
        if target is None:
            target = Position(change.currency, change.to_lot_tick_minor, change.to_mark_ticks)
            self.positions[change.to_instrument_id] = target
        target.take(change.to_lots, change.to_cost_minor)
        target.mark_ticks = change.to_mark_ticks
        self._add(self.action_lots, change.to_instrument_id, change.to_lots)

    def book_entitlement(self, owed: EntitlementAccrued) -> None:
        """Count what is owed from the ex-date on in the net asset value; once per action."""
        if owed.action_id not in self.entitlements:
            self.entitlements[owed.action_id] = owed
            self._add(self.income, owed.currency, owed.amount_minor)
            self._add(self.owed, owed.currency, owed.amount_minor)

    def book_payment(self, payment: EntitlementPaid) -> None:
        """Turn what was owed into cash; once per action. What it differs by is income too."""
        owed = self.entitlements.get(payment.action_id)
        if owed is not None and payment.action_id not in self.paid:
            self.paid[payment.action_id] = payment
            told = payment.amount_minor
            paid = owed.amount_minor if told is None else told
            self._add(self.cash, owed.currency, paid)
            self._add(self.owed, owed.currency, -owed.amount_minor)
            self._add(self.income, owed.currency, paid - owed.amount_minor)

    def book_carry(self, carry: CarryCharged) -> None:
        if self._is_new(carry.event_id):
            self._add(self.cash, carry.currency, carry.amount_minor)
            self._add(self.income, carry.currency, carry.amount_minor)

    def settle(self, settled: VariationSettled) -> None:
        """Pay a margined position's profit; it costs so much more from now on.

        It is what the broker paid, or the profit up to the price.
        """
        position = self.positions[settled.instrument_id]
        position.mark_ticks = settled.price_ticks
        if position.is_margined:
            paid = settled.amount_minor
            gain = position.unrealised_minor if paid is None else paid
            position.realised_minor += gain
            position.cost_minor += gain
            self._add(self.cash, position.currency, gain)

    def convert(self, trade: CurrencyConverted) -> None:
        """Exchange cash of one currency for another's, and pay what that costs."""
        if not self._is_new(trade.event_id):
            return
        for currency, minor in (
            (trade.from_currency, -trade.from_minor),
            (trade.to_currency, trade.to_minor),
        ):
            self._add(self.cash, currency, minor)
            self._add(self.converted, currency, minor)
        self._add(self.cash, trade.fee_currency, -trade.fee_minor)
        self._add(self.fees, trade.fee_currency, trade.fee_minor)

    def _is_new(self, booking_id: str) -> bool:
        is_new = booking_id not in self.booked
        self.booked.add(booking_id)
        return is_new

    def mark(self, mark: PositionMarked) -> None:
        """Value an instrument's lots at a new price; an instrument never held needs no mark."""
        position = self.positions.get(mark.instrument_id)
        if position is not None:
            position.mark_ticks = mark.price_ticks

    def mark_currency(self, currency: str, rate: Decimal) -> None:
        if currency != self.base_currency:
            self.rates[currency] = rate

    def forget_rate(self, currency: str) -> None:
        if currency != self.base_currency:
            self.rates.pop(currency, None)

    def unrated(self) -> list[str]:
        """Return the currencies of what is held, owed or due whose rate is not known."""
        amounts = (*self.cash.items(), *self.owed.items())
        found = {currency for currency, minor in amounts if minor and currency not in self.rates}
        held = (p for p in self.positions.values() if p.lots)
        return sorted(found | {p.currency for p in held if p.currency not in self.rates})

    def lots(self, instrument_id: str) -> int:
        position = self.positions.get(instrument_id)
        return 0 if position is None else position.lots

    def market_value_minor(self, currency: str) -> int:
        return sum(p.equity_minor for p in self.positions.values() if p.currency == currency)

    def find_nav_minor(self) -> int | None:
        """Return the net asset value in base minor units; None where a rate is not known.

        Each currency's cash and market value is converted as one sum, so that NAV is exactly
        the sum of the lines that `nav_lines` shows.
        """
        lines = self.nav_lines()
        return None if lines is None else sum(lines.values())

    def nav_lines(self) -> dict[str, int] | None:
        """Return each currency's cash, receivables and market value, in base minor units."""
        lines: dict[str, int] = {}
        for currency in self._currencies():
            total = self.cash.get(currency, 0) + self.owed.get(currency, 0)
            total += self.market_value_minor(currency)
            if total and currency not in self.rates:
                return None
            lines[currency] = convert_minor(total, self.rates[currency]) if total else 0
        return lines

    def _currencies(self) -> list[str]:
        held = (p.currency for p in self.positions.values())
        return sorted({*self.cash, *held, *self.owed})

    def find_imbalance(self) -> str | None:
        """Return what does not add up, or None: the books checked against themselves.

        In every currency, cash + receivables + what was paid for holdings + fees = deposits +
        realised profit + income + conversions; every position is the sum of its fills and actions.
        """
        for currency in self._currencies():
            held = [p for p in self.positions.values() if p.currency == currency]
            left = self.cash.get(currency, 0) + self.owed.get(currency, 0)
            left += self.fees.get(currency, 0) + sum(p.paid_minor for p in held)
            right = self.deposited.get(currency, 0) + sum(p.realised_minor for p in held)
            right += self.income.get(currency, 0) + self.converted.get(currency, 0)
            if left != right:
                return f"{currency}: cash + cost + fees must be {right}, was {left} minor units"
        totals = dict(self.action_lots)
        for instrument_id, lots in self.retired_lots.items():
            self._add(totals, instrument_id, lots)
        for fill in self.executions.values():
            self._add(totals, fill.instrument_id, fill.side.sign * fill.lots)
        for instrument_id, total in totals.items():
            if total != self.lots(instrument_id):
                return f"{instrument_id}: position must be {total}, was {self.lots(instrument_id)}"
        return None

    @staticmethod
    def _add(amounts: dict[str, int], key: str, amount: int) -> None:
        amounts[key] = amounts.get(key, 0) + amount


def _terms(fill: OrderFilled) -> tuple[object, ...]:
    """Return what may not differ between two tellings of one execution."""
    return (
        fill.client_order_id,
        fill.instrument_id,
        fill.side,
        fill.lots,
        fill.price_ticks,
        fill.lot_tick_minor,
        fill.currency,
    )
