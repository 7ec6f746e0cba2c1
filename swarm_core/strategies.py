"""What each strategy has won or lost by its own orders: the part of the books that is its doing."""

from collections.abc import Mapping
from decimal import Decimal

from swarm_core.events import EntitlementAccrued, HoldingChanged, OrderFilled
from swarm_core.instruments import convert_minor
from swarm_core.ledger import Ledger
from swarm_core.positions import Position, position_of


class StrategyBook:
    """The positions that one strategy's fills have made, at average cost, and what they cost.

    `start_minor` is its profit when the session opened: the day's loss is measured from there.
    `peak_minor` is the most that it had won at any opening or close, 0 before it traded.
    """

    def __init__(self) -> None:
        self.positions: dict[str, Position] = {}
        self.fees: dict[str, int] = {}  # by currency
        self.start_minor = 0
        self.peak_minor = 0

    def open_session(self, ledger: Ledger) -> None:
        """Measure the day's loss from here; where the profit is not known, from nothing won."""
        self.start_minor = self.find_profit_minor(ledger) or 0
        self.peak_minor = max(self.peak_minor, self.start_minor)

    def close_session(self, ledger: Ledger) -> None:
        self.peak_minor = max(self.peak_minor, self.find_profit_minor(ledger) or 0)

    def take_fill(self, fill: OrderFilled) -> None:
        position = position_of(self.positions, fill)
        position.trade(fill.side.sign * fill.lots, fill.price_ticks)

    def correct_fill(self, fill: OrderFilled, lots: int, price_ticks: int) -> None:
        position_of(self.positions, fill).correct_fill(fill, lots, price_ticks)

    def take_fee(self, currency: str, minor: int) -> None:
        self.fees[currency] = self.fees.get(currency, 0) + minor

    def take_holding(self, change: HoldingChanged, held_lots: int) -> None:
        """Take its part, by lots, of what an action did to a holding of `held_lots`."""
        own = self.positions.get(change.instrument_id)
        if own is None or not own.lots or not held_lots:
            return
        lots = own.lots

        def part(whole: int) -> int:
            return whole * lots // held_lots

        cost_out = part(change.cost_out_minor)
        own.lots += part(change.lots_change)
        own.cost_minor -= cost_out
        paid_out = 0 if own.is_margined else cost_out
        own.realised_minor += part(change.cash_minor) + part(change.to_cost_minor) - paid_out
        if change.to_instrument_id and change.to_lots:
            target = self.positions.setdefault(
                change.to_instrument_id,
                Position(change.currency, change.to_lot_tick_minor, change.to_mark_ticks),
            )
            target.take(part(change.to_lots), part(change.to_cost_minor))

    def take_entitlement(self, accrued: EntitlementAccrued, held_lots: int) -> None:
        """Take its part, by lots, of what is owed for a holding of `held_lots`."""
        own = self.positions.get(accrued.instrument_id)
        if own is not None and held_lots:
            own.realised_minor += accrued.amount_minor * own.lots // held_lots

    def find_profit_minor(self, ledger: Ledger) -> int | None:
        """Return all that it has won or lost, at the book's marks, in the base currency.

        None where a rate is missing.
        """
        by_currency: dict[str, int] = {c: -minor for c, minor in self.fees.items()}
        for instrument_id, own in self.positions.items():
            marked = ledger.positions.get(instrument_id)
            if marked is not None:
                own.mark_ticks = marked.mark_ticks
            profit = own.realised_minor + own.unrealised_minor
            by_currency[own.currency] = by_currency.get(own.currency, 0) + profit
        return _in_base(by_currency, ledger.rates)


def _in_base(amounts: Mapping[str, int], rates: Mapping[str, Decimal]) -> int | None:
    total = 0
    for currency, minor in amounts.items():
        rate = rates.get(currency)
        if minor and rate is None:
            return None
        if minor and rate is not None:
            total += convert_minor(minor, rate)
    return total
