"""Instruments, and the one place where prices, sizes and money become exact integers."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal, InvalidOperation
from fractions import Fraction

# One minor unit is 1e-8 of a currency unit: fine enough for every tick of a currency pair, and
# 92 billion currency units still fit a signed 64-bit column.
MINOR_PER_UNIT = 10**8
# A price or a size a million times larger still fits 64 bits, which the compiled gate relies on.
TICKS_MAX = 10**12
LOTS_MAX = 10**12

# Asset classes whose gains and losses are paid in cash each day, and whose price is not.
MARGINED = frozenset({"future"})

# Asset classes whose short sale needs a located borrow.
BORROWED_WHEN_SHORT = frozenset({"equity", "stock", "etf", "fund", "adr"})


def to_decimal(value: Decimal | float | int | str, name: str) -> Decimal:
    """Return the value as the Decimal of its shortest text; ValueError unless it is finite."""
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{name} must be a number, was {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"{name} must be finite, was {value!r}")
    return number


def to_minor(amount: Decimal | float | int | str) -> int:
    """Return an amount of money (currency units) in minor units, rounded half to even."""
    scaled = to_decimal(amount, "amount") * MINOR_PER_UNIT
    return int(scaled.to_integral_value(ROUND_HALF_EVEN))


def from_minor(minor: int) -> Decimal:
    """Return minor units as an exact amount in currency units."""
    return Decimal(minor).scaleb(-8)


def convert_minor(minor: int, rate: Decimal) -> int:
    """Return minor units of one currency in another at `rate`, rounded half to even."""
    numerator, denominator = rate.as_integer_ratio()
    if denominator == 1:
        return minor * numerator
    return round(Fraction(minor * numerator, denominator))


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One tradable: its identity, where it trades, and the exact grid of its prices and sizes.

    `price_increment` is one tick, `size_increment` one lot, `multiplier` the units of the
    underlying that one unit of size stands for. A tick times a lot must be a whole number of
    minor units, so that the value of every position is an exact integer.
    """

    instrument_id: str
    asset_class: str
    currency: str
    venue: str = ""
    calendar: str = "24/7"
    price_increment: Decimal = Decimal("0.01")
    size_increment: Decimal = Decimal(1)
    multiplier: Decimal = Decimal(1)
    sector: str = "unknown"

    def __post_init__(self) -> None:
        for name in ("instrument_id", "asset_class", "currency", "calendar"):
            if not getattr(self, name):
                raise ValueError(f"{name} of an instrument must not be empty, was ''")
        for name in ("price_increment", "size_increment", "multiplier"):
            if not (getattr(self, name).is_finite() and getattr(self, name) > 0):
                raise ValueError(
                    f"{name} of {self.instrument_id} must be finite and positive, "
                    f"was {getattr(self, name)}"
                )
        value = self._tick_value()
        if value != int(value) or value < 1:
            raise ValueError(
                f"price_increment x size_increment x multiplier of {self.instrument_id} must be "
                f"a multiple of 1e-8, was {from_minor(1) * value}"
            )

    @classmethod
    def from_mapping(cls, row: Mapping[str, object]) -> "Instrument":
        """Return the instrument of one row of the instruments table; absent fields take defaults.

        Raises ValueError with one line that names the field that cannot be read.
        """

        def text(name: str, default: str) -> str:
            value = row.get(name)
            return default if value is None or value == "" else str(value)

        return cls(
            instrument_id=text("instrument_id", ""),
            asset_class=text("asset_class", "").lower(),
            currency=text("currency", "").upper(),
            venue=text("venue", ""),
            calendar=text("calendar", "24/7"),
            price_increment=to_decimal(text("price_increment", "0.01"), "price_increment"),
            size_increment=to_decimal(text("size_increment", "1"), "size_increment"),
            multiplier=to_decimal(text("multiplier", "1"), "multiplier"),
            sector=text("sector", "unknown"),
        )

    def _tick_value(self) -> Decimal:
        return self.price_increment * self.size_increment * self.multiplier * MINOR_PER_UNIT

    @property
    def lot_tick_minor(self) -> int:
        """Minor units of `currency` that one lot gains when the price rises one tick."""
        return int(self._tick_value())

    @property
    def needs_locate(self) -> bool:
        return self.asset_class in BORROWED_WHEN_SHORT

    @property
    def is_margined(self) -> bool:
        return self.asset_class in MARGINED

    def price_to_ticks(self, price: Decimal | float | int | str) -> int:
        """Return the nearest tick (half to even); ValueError unless finite and in range."""
        number = to_decimal(price, f"price of {self.instrument_id}")
        ticks = int((number / self.price_increment).to_integral_value(ROUND_HALF_EVEN))
        if abs(ticks) > TICKS_MAX:
            raise ValueError(
                f"price of {self.instrument_id} must be within {TICKS_MAX} ticks, was {price}"
            )
        return ticks

    def ticks_to_price(self, ticks: int) -> Decimal:
        return ticks * self.price_increment

    def quantity_to_lots(self, quantity: Decimal | float | int | str) -> int:
        """Return whole lots towards zero; ValueError unless finite and in range."""
        number = to_decimal(quantity, f"quantity of {self.instrument_id}")
        lots = int((number / self.size_increment).to_integral_value(ROUND_DOWN))
        if abs(lots) > LOTS_MAX:
            raise ValueError(
                f"quantity of {self.instrument_id} must be within {LOTS_MAX} lots, was {quantity}"
            )
        return lots

    def lots_to_quantity(self, lots: int) -> Decimal:
        return lots * self.size_increment

    def value_minor(self, lots: int, price_ticks: int) -> int:
        """Return the exact value of a position in minor units of the instrument's currency."""
        return lots * price_ticks * self.lot_tick_minor
