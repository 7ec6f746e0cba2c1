"""Splits and stock dividends: more or fewer lots of the same value."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from swarm_core import events as ev
from swarm_core.action_events import ActionKind
from swarm_core.actions.action import OrderTerms, find_holding, half_even, holding_changed
from swarm_core.instruments import Instrument
from swarm_core.ledger import Ledger
from swarm_core.orders import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """`numerator` new lots for `denominator` old ones; a fraction of a lot is paid in cash.

    lots' = trunc(lots x n / d); cash in lieu = the fraction at the last mark; the cost of what
    stays is kept. Open orders: size x n / d cut to whole lots, prices x d / n rounded down to a
    tick, partial fills stay; a reverse split cancels them. Source: FINRA rule 5330 (2010).
    """

    action_id: str
    instrument_id: str
    numerator: int
    denominator: int

    def __post_init__(self) -> None:
        if self.numerator < 1 or self.denominator < 1 or self.numerator == self.denominator:
            raise ValueError(
                f"a split of {self.instrument_id} must be of two different positive numbers, "
                f"was {self.numerator} for {self.denominator}"
            )

    @classmethod
    def of_ratio(cls, action_id: str, instrument_id: str, ratio: float) -> "Split":
        """Return the split of a ratio as tables hold it, as the simplest fraction close to it.

        The smaller number is at most 1,000: 0.333333 is 1 for 3. ValueError unless positive.
        """
        if not 0 < ratio < float("inf"):
            raise ValueError(f"ratio of a split of {instrument_id} must be positive, was {ratio}")
        close = Fraction(ratio if ratio > 1 else 1 / Fraction(ratio)).limit_denominator(1_000)
        exact = close if ratio > 1 else 1 / close
        return cls(
            action_id=action_id,
            instrument_id=instrument_id,
            numerator=exact.numerator,
            denominator=exact.denominator,
        )

    def holding_events(
        self, ledger: Ledger, instruments: Mapping[str, Instrument], time_ns: int
    ) -> list[ev.Event]:
        position = find_holding(ledger, self.action_id, self.instrument_id)
        if position is None:
            return []
        n, d = self.numerator, self.denominator
        sign = 1 if position.lots > 0 else -1
        whole, rest = divmod(abs(position.lots) * n, d)  # rest / n old lots are paid out
        value = Fraction(rest, n) * position.mark_ticks * position.lot_tick_minor
        mark = half_even(Fraction(position.mark_ticks * d, n))
        return [
            holding_changed(
                self,
                ActionKind.SPLIT,
                position,
                time_ns,
                lots_change=sign * whole - position.lots,
                cost_out_minor=position.cost_minor * rest // (abs(position.lots) * n),
                cash_minor=sign * half_even(value),
                mark_ticks=max(1, mark) if position.mark_ticks > 0 else mark,
            )
        ]

    def order_terms(
        self, order: Order, open_lots: int, instrument: Instrument
    ) -> OrderTerms | None:
        is_reverse = self.numerator < self.denominator
        if is_reverse or open_lots * self.numerator < self.denominator:
            return None
        return self.scaled(order, open_lots)

    def scaled(self, order: Order, lots: int) -> OrderTerms:
        """Return the same order in new lots and prices, at least one of each, in either direction.

        For what stands at no venue: an order not sent yet, or one that is to be sent anew.
        """
        n, d = self.numerator, self.denominator

        def price(ticks: int | None) -> int | None:
            return None if ticks is None else max(1, ticks * d // n)

        return OrderTerms(
            max(1, lots * n // d), price(order.limit_price_ticks), price(order.stop_price_ticks)
        )
