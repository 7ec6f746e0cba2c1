"""Cash from one currency to another: at which rates, with what a dealer takes, and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil

from swarm_core import events as ev
from swarm_core.instruments import convert_minor, to_minor
from swarm_core.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyExchange:
    """bought = sold x rate(from) / rate(to) x (1 - spread), cut to a minor unit; a fee on top.

    The rates are units of the base currency for one unit, those that the books value by. The
    fee is `fee_bps` of the value, at least `fee_minimum`, both in the base currency. Source:
    Interactive Brokers' spot list: 0.2 bps of the value, at least 2 USD (2024).
    """

    spread_bps: Decimal = Decimal(0)  # half of the dealer's spread
    fee_bps: Decimal = Decimal("0.2")
    fee_minimum: Decimal = Decimal(2)

    def __post_init__(self) -> None:
        for name, high in (("spread_bps", 1_000), ("fee_bps", 1_000), ("fee_minimum", 10_000)):
            value = getattr(self, name)
            if not (value.is_finite() and 0 <= value <= high):
                raise ValueError(f"{name} must be in [0, {high}], was {value}")

    def convert(
        self,
        from_currency: str,
        from_minor: int,
        to_currency: str,
        rates: Mapping[str, Decimal],
        *,
        base_currency: str,
        time_ns: int,
        reference: str = "",
    ) -> ev.CurrencyConverted:
        """Return the trade; ValueError where a rate is not known or the amount not positive.

        `reference` tells two trades of the same moment apart.
        """
        price = self._price(from_currency, to_currency, rates)
        return ev.CurrencyConverted(
            event_id=ev.make_event_id(
                "CurrencyConverted", from_currency, to_currency, time_ns, from_minor, reference
            ),
            time_ns=time_ns,
            from_currency=from_currency,
            from_minor=from_minor,
            to_currency=to_currency,
            to_minor=int(from_minor * price),
            fee_currency=base_currency,
            fee_minor=self._fee_minor(from_minor * Fraction(rates[from_currency])),
        )

    def cover(
        self,
        currency: str,
        minor: int,
        rates: Mapping[str, Decimal],
        *,
        base_currency: str,
        time_ns: int,
    ) -> ev.CurrencyConverted:
        """Return the purchase of just so much of a currency with the base; raises as convert does.

        sold = bought x rate / (1 - spread), rounded up to a minor unit; the fee is of bought x
        rate.
        """
        price = self._price(base_currency, currency, rates)
        return ev.CurrencyConverted(
            event_id=ev.make_event_id("CurrencyCovered", currency, time_ns, minor),
            time_ns=time_ns,
            from_currency=base_currency,
            from_minor=ceil(minor / price),
            to_currency=currency,
            to_minor=minor,
            fee_currency=base_currency,
            fee_minor=self._fee_minor(minor * Fraction(rates[currency])),
        )

    def _price(
        self, from_currency: str, to_currency: str, rates: Mapping[str, Decimal]
    ) -> Fraction:
        """Return what one unit of a currency buys of another."""
        for currency in (from_currency, to_currency):
            if currency not in rates:
                raise ValueError(f"the rate of {currency} must be known to convert, was not")
        if from_currency == to_currency:
            raise ValueError(f"a conversion must be between two currencies, was of {to_currency}")
        cross = Fraction(rates[from_currency]) / Fraction(rates[to_currency])
        return cross * (1 - Fraction(self.spread_bps) / 10_000)

    def _fee_minor(self, value_minor: Fraction) -> int:
        share = round(value_minor * Fraction(self.fee_bps) / 10_000)
        return max(share, int(self.fee_minimum * 10**8))


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencySweep(CurrencyExchange):
    """After each session's close, foreign cash and debts become the base currency's.

    A balance worth less than `minimum` of the base currency at the close's rate stays; one without
    a rate does too. The trade is at the rates that the books value by, before the nights' interest
    is charged, and booked with the next opening, as all that nights bring is: a NAV at a close is
    that of before. It counts on the day it is made, and not two days later when spot settles.
    Source: Interactive Brokers' spot list (0.2 bps, at least 2 USD; 2024).
    """

    minimum: Decimal = Decimal(1_000)

    def __post_init__(self) -> None:
        CurrencyExchange.__post_init__(self)  # super() knows no dataclass with slots
        if not (self.minimum.is_finite() and 1 <= self.minimum <= 10**9):
            raise ValueError(f"minimum must be in [1, 1000000000], was {self.minimum}")

    def conversions(self, ledger: Ledger, time_ns: int) -> list[ev.CurrencyConverted]:
        """Return the trades of a night, by currency; the ledger itself is not changed."""
        base, rates, found = ledger.base_currency, ledger.rates, list[ev.CurrencyConverted]()
        for currency, minor in sorted(ledger.cash.items()):
            if currency == base or currency not in rates:
                continue
            if abs(minor) * Fraction(rates[currency]) < self.minimum * 10**8:
                continue
            if minor > 0:
                trade = self.convert(
                    currency, minor, base, rates, base_currency=base, time_ns=time_ns
                )
            else:
                trade = self.cover(currency, -minor, rates, base_currency=base, time_ns=time_ns)
            found.append(trade)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class FillConversion:
    """What a fill brings or costs in a foreign currency becomes the base currency's with the fill.

    value = cash x rate, rounded half to even. A sale brings value - spread, a purchase costs
    value + spread; spread = value x spread_bps / 10,000, rounded up. A fee on top, of
    `fee_bps` of the value and at least `fee_minimum`, both in the base currency. The rate is that
    of the bar that filled. Where none is known, or the value is less than half a minor unit, the
    cash stays as it is. It counts at once, and not two days later when spot settles.
    Source: Interactive Brokers' automatic currency conversion, 0.03 % in the rate (2024).
    """

    spread_bps: Decimal = Decimal(3)
    fee_bps: Decimal = Decimal(0)
    fee_minimum: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for name, high in (("spread_bps", 1_000), ("fee_bps", 1_000), ("fee_minimum", 10_000)):
            value = getattr(self, name)
            if not (value.is_finite() and 0 <= value <= high):
                raise ValueError(f"{name} must be in [0, {high}], was {value}")

    @property
    def parameters(self) -> tuple[int, int, int, int, int]:
        """Return the spread and the fee as numerator and denominator, and the minimum, compiled."""
        spread = (Fraction(self.spread_bps) / 10_000).as_integer_ratio()
        fee = (Fraction(self.fee_bps) / 10_000).as_integer_ratio()
        return (*spread, *fee, to_minor(self.fee_minimum))

    def exchange(self, cash_minor: int, rate: Decimal) -> tuple[int, int]:
        """Return what cash brings in the base currency, negative where it costs, and the fee.

        (0, 0) where its value is nothing.
        """
        value = convert_minor(abs(cash_minor), rate)
        if value == 0:
            return 0, 0
        spread = ceil(value * Fraction(self.spread_bps) / 10_000)
        share = round(value * Fraction(self.fee_bps) / 10_000)
        base = value - spread if cash_minor > 0 else -(value + spread)
        return base, max(share, to_minor(self.fee_minimum))

    def with_trades(
        self, told: Sequence[ev.Event], ledger: Ledger, rates: Mapping[str, Decimal]
    ) -> list[ev.Event]:
        """Return what a venue told with the trade of each foreign fill behind it.

        The ledger itself is not changed. A fill in a currency without a rate stays a balance.
        """
        scratch, found = ledger.scratch(), list[ev.Event]()
        for event in told:
            found.append(event)
            if not isinstance(event, ev.OrderFilled):
                continue
            before = scratch.cash.get(event.currency, 0)
            scratch.book_fill(event)
            if event.currency == ledger.base_currency or event.currency not in rates:
                continue
            cash = scratch.cash.get(event.currency, 0) - before
            trade = self.of_fill(event, cash, rates[event.currency], ledger.base_currency)
            if trade is not None:
                scratch.convert(trade)
                found.append(trade)
        return found

    def of_fill(
        self, fill: ev.OrderFilled, cash_minor: int, rate: Decimal, base_currency: str
    ) -> ev.CurrencyConverted | None:
        """Return the trade of what a fill did to its currency's cash; None where there is none."""
        base, fee = self.exchange(cash_minor, rate)
        if base == 0:
            return None
        sold, bought = (fill.currency, cash_minor), (base_currency, base)
        if cash_minor < 0:
            sold, bought = (base_currency, -base), (fill.currency, -cash_minor)
        return ev.CurrencyConverted(
            event_id=ev.make_event_id("CurrencyConverted", fill.execution_id),
            time_ns=fill.time_ns,
            correlation_id=fill.correlation_id,
            from_currency=sold[0],
            from_minor=sold[1],
            to_currency=bought[0],
            to_minor=bought[1],
            fee_currency=base_currency,
            fee_minor=fee,
        )
