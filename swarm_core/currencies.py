"""Cash from one currency to another: at the day's rates, with what a dealer takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from swarm_core import events as ev


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
        for currency in (from_currency, to_currency):
            if currency not in rates:
                raise ValueError(f"the rate of {currency} must be known to convert, was not")
        if from_currency == to_currency:
            raise ValueError(f"a conversion must be between two currencies, was of {to_currency}")
        cross = Fraction(rates[from_currency]) / Fraction(rates[to_currency])
        kept = 1 - Fraction(self.spread_bps) / 10_000
        value = from_minor * Fraction(rates[from_currency])
        fee = max(round(value * Fraction(self.fee_bps) / 10_000), int(self.fee_minimum * 10**8))
        return ev.CurrencyConverted(
            event_id=ev.make_event_id(
                "CurrencyConverted", from_currency, to_currency, time_ns, from_minor, reference
            ),
            time_ns=time_ns,
            from_currency=from_currency,
            from_minor=from_minor,
            to_currency=to_currency,
            to_minor=int(from_minor * cross * kept),
            fee_currency=base_currency,
            fee_minor=fee,
        )
