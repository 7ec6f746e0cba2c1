"""The limits of the gate: typed, bounded, and resolved to integers before anything is compared."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from fractions import Fraction
from math import isfinite

from swarm_core.instruments import to_decimal

MICROS_PER_UNIT = 10**6
# Every value that the gate adds up stays below this, so that no sum leaves 64 bits.
VALUE_MICROS_MAX = 10**18
NS_PER_S = 10**9

_FRACTION_BOUNDS = {
    "collar_fraction_max": (0.0, 1.0),
    "order_value_fraction_max": (0.0, 100.0),
    "order_volume_fraction_max": (0.0, 1.0),
    "position_fraction_max": (0.0, 100.0),
    "gross_fraction_max": (0.0, 100.0),
    "net_fraction_max": (0.0, 100.0),
    "sector_fraction_max": (0.0, 100.0),
    "currency_fraction_max": (0.0, 100.0),
    "leverage_max": (0.0, 100.0),
    "daily_loss_fraction_max": (0.0, 1.0),
    "drawdown_fraction_max": (0.0, 1.0),
    "quote_age_s_max": (0.0, 604_800.0),
    "messages_window_s": (0.001, 86_400.0),
    "repeats_window_s": (0.001, 86_400.0),
    "duplicate_window_s": (0.0, 86_400.0),
}
_COUNT_BOUNDS = {"messages_max": (0, 1_000_000), "repeats_max": (0, 1_000_000)}
_MONEY_BOUND = Decimal(10**11)  # units of the base currency


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """What an order may be and do. Fractions are of NAV unless their name says otherwise.

    Money is in units of the base currency. A field out of its bounds raises ValueError with one
    line that says what must hold and what was given.
    """

    collar_fraction_max: float = 0.05
    quote_age_s_max: float = 93_600.0  # a day and two hours: the last daily close is fresh
    order_value_max: Decimal = Decimal(1_000_000)
    order_value_fraction_max: float = 0.25
    order_volume_fraction_max: float = 0.05
    volume_required: bool = False
    messages_max: int = 2_000
    messages_window_s: float = 60.0
    repeats_max: int = 20
    repeats_window_s: float = 60.0
    duplicate_window_s: float = 10.0
    position_value_max: Decimal = Decimal(5_000_000)
    position_fraction_max: float = 0.25
    gross_fraction_max: float = 2.0
    net_fraction_max: float = 1.0
    sector_fraction_max: float = 1.0
    currency_fraction_max: float = 1.0
    leverage_max: float = 2.0
    daily_loss_fraction_max: float = 0.05
    drawdown_fraction_max: float = 0.25
    short_locate_required: bool = True
    restricted: frozenset[str] = frozenset()
    permitted_asset_classes: frozenset[str] = frozenset({"equity", "etf", "fx", "future", "crypto"})

    def __post_init__(self) -> None:
        for name, (low, high) in (*_FRACTION_BOUNDS.items(), *_COUNT_BOUNDS.items()):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{name} must be a number, was {value!r}")  # noqa: TRY004  # settings raise one kind
            if not (isfinite(value) and low <= value <= high):
                raise ValueError(f"{name} must be in [{low}, {high}], was {value}")
        for name in ("order_value_max", "position_value_max"):
            value = getattr(self, name)
            if not (value.is_finite() and 0 <= value <= _MONEY_BOUND):
                raise ValueError(f"{name} must be in [0, {_MONEY_BOUND}], was {value}")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> "RiskLimits":
        """Return the limits of a mapping, as read from a file; absent fields keep their defaults.

        Raises ValueError with one line on an unknown field or a value of the wrong kind.
        """
        defaults = {f.name: f.default for f in fields(cls)}
        unknown = sorted(set(mapping) - set(defaults))
        if unknown:
            raise ValueError(f"limits must be among {sorted(defaults)}, had {unknown}")
        return cls(**{n: _read(n, v, defaults[n]) for n, v in mapping.items()})  # pyright: ignore[reportArgumentType]  # _read gives each field its default's type

    def to_mapping(self) -> dict[str, object]:
        """Return plain values that `from_mapping` reads back to the same limits."""
        plain: dict[str, object] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, frozenset):
                value = sorted(str(item) for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # getattr loses the element type
            plain[field.name] = str(value) if isinstance(value, Decimal) else value
        return plain

    def resolve(self, nav_micros: int) -> "ResolvedLimits":
        """Return the limits as integers for a NAV in micros of the base currency."""

        def share(fraction: float) -> int:
            return min(VALUE_MICROS_MAX, int(Fraction(str(fraction)) * nav_micros))

        def micros(amount: Decimal) -> int:
            return int(amount * MICROS_PER_UNIT)

        return ResolvedLimits(
            collar_ppm=int(Fraction(str(self.collar_fraction_max)) * 10**6),
            quote_age_ns=int(self.quote_age_s_max * NS_PER_S),
            order_value=min(micros(self.order_value_max), share(self.order_value_fraction_max)),
            order_volume_ppm=int(Fraction(str(self.order_volume_fraction_max)) * 10**6),
            volume_required=self.volume_required,
            messages=self.messages_max,
            repeats=self.repeats_max,
            position_value=micros(self.position_value_max),
            concentration=share(self.position_fraction_max),
            gross=share(self.gross_fraction_max),
            net=share(self.net_fraction_max),
            sector=share(self.sector_fraction_max),
            currency=share(self.currency_fraction_max),
            buying_power=share(self.leverage_max),
            daily_loss_ppm=int(Fraction(str(self.daily_loss_fraction_max)) * 10**6),
            drawdown_ppm=int(Fraction(str(self.drawdown_fraction_max)) * 10**6),
            locate_required=self.short_locate_required,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedLimits:
    """The limits in the gate's integers: micros of the base currency, parts per million, ns."""

    collar_ppm: int
    quote_age_ns: int
    order_value: int
    order_volume_ppm: int
    volume_required: bool
    messages: int
    repeats: int
    position_value: int
    concentration: int
    gross: int
    net: int
    sector: int
    currency: int
    buying_power: int
    daily_loss_ppm: int
    drawdown_ppm: int
    locate_required: bool


def _read(name: str, value: object, default: object) -> object:
    """Return the value in the type of the field's default; ValueError where it cannot be."""
    if isinstance(default, frozenset):
        if isinstance(value, str) or not isinstance(value, list | tuple | set | frozenset):
            raise ValueError(f"{name} must be a list of names, was {value!r}")  # noqa: TRY004  # settings raise one kind
        return frozenset(str(item) for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # a parsed file
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false, was {value!r}")  # noqa: TRY004  # settings raise one kind
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"{name} must be a number, was {value!r}")  # noqa: TRY004  # settings raise one kind
    number = to_decimal(value, name)
    if isinstance(default, Decimal):
        return number
    if isinstance(default, int):
        if number != int(number):
            raise ValueError(f"{name} must be a whole number, was {value!r}")
        return int(number)
    return float(number)
