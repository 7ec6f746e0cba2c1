"""Books kept by a second author in exact fractions: slow, obvious, and sharing no code."""

from dataclasses import dataclass, field
from fractions import Fraction

MINOR = 10**8


@dataclass
class NaiveBooks:
    """Cash by currency and units by instrument, as sums of what was told, in currency units."""

    cash: dict[str, Fraction]
    units: dict[str, int] = field(default_factory=dict)
    prices: dict[str, Fraction] = field(default_factory=dict)
    currencies: dict[str, str] = field(default_factory=dict)
    owed: dict[str, tuple[str, Fraction]] = field(default_factory=dict)
    rates: dict[str, Fraction] = field(default_factory=lambda: {"USD": Fraction(1)})

    def pay(self, currency: str, amount: Fraction) -> None:
        self.cash[currency] = self.cash.get(currency, Fraction(0)) + amount

    def trade(self, name: str, currency: str, units: int, price: Fraction, fee: Fraction) -> None:
        self.units[name] = self.units.get(name, 0) + units
        self.currencies[name] = currency
        self.prices.setdefault(name, price)
        self.pay(currency, -units * price - fee)

    def split(self, name: str, n: int, d: int, cent: Fraction) -> None:
        old = self.units[name]
        exact = Fraction(abs(old) * n, d)
        whole = exact.numerator // exact.denominator
        sign = 1 if old > 0 else -1
        # A fraction of a new unit is worth that fraction of the old price over the ratio.
        in_lieu = (exact - whole) * self.prices[name] * Fraction(d, n)
        self.pay(self.currencies[name], sign * Fraction(round(in_lieu * MINOR), MINOR))
        self.units[name] = sign * whole
        ticks = self.prices[name] * Fraction(d, n) / cent
        self.prices[name] = max(1, round(ticks)) * cent

    def cash_out(self, name: str, price: Fraction) -> None:
        self.pay(self.currencies[name], self.units[name] * price)
        self.units[name] = 0
        self.prices[name] = price

    def dividend(self, key: str, name: str, amount: Fraction) -> None:
        self.owed[key] = (self.currencies[name], self.units[name] * amount)

    def pay_all(self) -> None:
        for currency, amount in self.owed.values():
            self.pay(currency, amount)
        self.owed.clear()

    def nav_minor(self) -> int:
        """Return each currency's sum at its rate, rounded half to even, added up."""
        total = 0
        for currency in {*self.cash, *self.currencies.values()}:
            held = sum(
                (
                    u * self.prices[n]
                    for n, u in self.units.items()
                    if self.currencies[n] == currency
                ),
                Fraction(0),
            )
            owed = sum((a for c, a in self.owed.values() if c == currency), Fraction(0))
            line = self.cash.get(currency, Fraction(0)) + held + owed
            total += round(line * MINOR * self.rates[currency])
        return total
