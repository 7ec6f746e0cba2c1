"""The books: cash, positions and profit in exact integers, each execution booked once."""

from dataclasses import dataclass
from decimal import Decimal

from swarm_core.events import CashMoved, CommissionCharged, OrderFilled, PositionMarked
from swarm_core.instruments import convert_minor


@dataclass(slots=True)
class Position:
    """One instrument's holding; money in minor units of `currency`.

    `cost_minor` is what the open lots cost (negative when short), at average cost.
    """

    currency: str
    lot_tick_minor: int
    mark_ticks: int
    lots: int = 0
    cost_minor: int = 0
    realised_minor: int = 0

    @property
    def value_minor(self) -> int:
        return self.lots * self.mark_ticks * self.lot_tick_minor

    @property
    def unrealised_minor(self) -> int:
        return self.value_minor - self.cost_minor

    def trade(self, signed_lots: int, price_ticks: int) -> None:
        """Book a trade: what it closes realises profit at average cost, the rest opens."""
        closing = 0
        if self.lots * signed_lots < 0:
            closing = max(-abs(self.lots), min(abs(self.lots), signed_lots))
        if closing:
            # The rounding of an average stays inside the books: what is released is exactly
            # what remains less, so no minor unit appears or is lost.
            released = self.cost_minor * -closing // self.lots
            self.realised_minor += -closing * price_ticks * self.lot_tick_minor - released
            self.cost_minor -= released
        self.cost_minor += (signed_lots - closing) * price_ticks * self.lot_tick_minor
        self.lots += signed_lots


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
        self.conflicts: set[str] = set()  # executions told twice with different contents

    def book_fill(self, fill: OrderFilled) -> bool:
        """Book an execution; return False where it was booked before."""
        known = self.executions.get(fill.execution_id)
        if known is not None:
            if _terms(known) != _terms(fill):
                self.conflicts.add(fill.execution_id)
            self._book_commission(fill.execution_id, fill.currency, fill.commission_minor)
            return False
        self.executions[fill.execution_id] = fill
        signed = fill.side.sign * fill.lots
        position = self.positions.get(fill.instrument_id)
        if position is None:
            position = Position(fill.currency, fill.lot_tick_minor, fill.price_ticks)
            self.positions[fill.instrument_id] = position
        position.trade(signed, fill.price_ticks)
        self._add(self.cash, fill.currency, -signed * fill.price_ticks * fill.lot_tick_minor)
        self._book_commission(fill.execution_id, fill.currency, fill.commission_minor)
        return True

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

    def mark(self, mark: PositionMarked) -> None:
        """Value an instrument's lots at a new price; an instrument never held needs no mark."""
        position = self.positions.get(mark.instrument_id)
        if position is not None:
            position.mark_ticks = mark.price_ticks

    def mark_currency(self, currency: str, rate: Decimal) -> None:
        if currency != self.base_currency:
            self.rates[currency] = rate

    def lots(self, instrument_id: str) -> int:
        position = self.positions.get(instrument_id)
        return 0 if position is None else position.lots

    def market_value_minor(self, currency: str) -> int:
        return sum(p.value_minor for p in self.positions.values() if p.currency == currency)

    def find_nav_minor(self) -> int | None:
        """Return the net asset value in base minor units; None where a rate is not known.

        Each currency's cash and market value is converted as one sum, so that NAV is exactly
        the sum of the lines that `nav_lines` shows.
        """
        lines = self.nav_lines()
        return None if lines is None else sum(lines.values())

    def nav_lines(self) -> dict[str, int] | None:
        """Return each currency's cash plus market value, in base minor units."""
        lines: dict[str, int] = {}
        for currency in sorted({*self.cash, *(p.currency for p in self.positions.values())}):
            total = self.cash.get(currency, 0) + self.market_value_minor(currency)
            if total and currency not in self.rates:
                return None
            lines[currency] = convert_minor(total, self.rates[currency]) if total else 0
        return lines

    def find_imbalance(self) -> str | None:
        """Return what does not add up, or None: the books checked against themselves.

        In every currency, cash + cost of what is held + fees = deposits + realised profit; and
        every position is the sum of its fills.
        """
        for currency in self.cash:
            held = [p for p in self.positions.values() if p.currency == currency]
            left = (
                self.cash[currency] + self.fees.get(currency, 0) + sum(p.cost_minor for p in held)
            )
            right = self.deposited.get(currency, 0) + sum(p.realised_minor for p in held)
            if left != right:
                return f"{currency}: cash + cost + fees must be {right}, was {left} minor units"
        totals: dict[str, int] = {}
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
