"""The limits of the gate: typed, bounded, and resolved to integers before anything is compared."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache, reduce
from hashlib import sha256
from math import isfinite
from typing import Any

from swarm_core.instruments import to_decimal
from swarm_core.risk.levels import FIELDS, Level, LevelLimits, LimitValue, read_levels

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
    levels: tuple[LevelLimits, ...] = ()  # of tenants, traders, strategies and instruments

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

        for level in self.levels:
            _own(level)  # raises where a value of a level does not hold

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> "RiskLimits":
        """Return the limits of a mapping, as read from a file; absent fields keep their defaults.

        Raises ValueError with one line on an unknown field or a value of the wrong kind.
        """
        defaults = {f.name: f.default for f in fields(cls)}
        unknown = sorted(set(mapping) - set(defaults))
        if unknown:
            raise ValueError(f"limits must be among {sorted(defaults)}, had {unknown}")
        flat = {n: v for n, v in mapping.items() if n != "levels"}
        levels = tuple(_level(*read) for read in read_levels(mapping.get("levels", {})))
        read = {n: _read(n, v, defaults[n]) for n, v in flat.items()}
        return cls(**read, levels=levels)  # pyright: ignore[reportArgumentType]  # _read gives each field its default's type

    def to_mapping(self) -> dict[str, object]:
        """Return plain values that `from_mapping` reads back to the same limits."""
        plain = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name != "levels"}
        levels: dict[str, dict[str, dict[str, object]]] = {}
        for level in self.levels:
            own = _own(level)
            values = {value.name: _plain(getattr(own, value.name)) for value in level.values}
            levels.setdefault(level.level.value, {})[level.name] = values
        return plain | ({"levels": levels} if levels else {})

    def of_desk(self, tenant: str, trader: str) -> "RiskLimits":
        """Return the limits that hold for one tenant's trader: what is of others falls away."""
        names = {Level.TENANT: tenant, Level.TRADER: trader}
        mine = (lv for lv in self.levels if names.get(lv.level, lv.name) == lv.name)
        return replace(self, levels=tuple(mine))

    def find_level(self, level: Level, name: str) -> "RiskLimits | None":
        """Return what this one level sets, and no limit where it sets none; None without any."""
        for own in self.levels:
            if (own.level, own.name) == (level, name):
                return _own(own)
        return None

    @property
    def permits_all(self) -> bool:
        return ANY_ASSET_CLASS in self.permitted_asset_classes

    def get_level(self, level: LevelLimits) -> "RiskLimits":
        """Return what one of these levels sets, and no limit where it sets none."""
        return _own(level)

    def accounts(self) -> "tuple[tuple[str, RiskLimits], ...]":
        """Return the limits on the whole book, each with the name of its level."""
        above = (lv for lv in self.levels if lv.level in (Level.TENANT, Level.TRADER))
        return (("firm", self), *((lv.title, _own(lv)) for lv in above))

    def on_book(self) -> "RiskLimits":
        """Return firm, tenants and traders as the one set of limits that resolves as they do.

        What instruments and strategies have of their own is kept beside it.
        """
        narrower = tuple(lv for lv in self.levels if lv.level in (Level.INSTRUMENT, Level.STRATEGY))
        folded = reduce(_tighter, (own for _, own in self.accounts()))
        return replace(folded, levels=narrower)

    def on_instruments(self) -> "dict[str, RiskLimits]":
        """Return the limits of the book for each instrument with some of its own."""
        book = replace(self.on_book(), levels=())
        return {
            lv.name: _tighter(book, _own(lv)) for lv in self.levels if lv.level is Level.INSTRUMENT
        }

    def digest(self) -> str:
        """Return 16 hex characters that name these limits."""
        text = json.dumps(self.to_mapping(), sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]

    def resolve(self, nav_micros: int) -> "ResolvedLimits":
        """Return the limits on the whole book as integers, for a NAV in micros of base currency.

        The tightest of firm, tenant and trader counts, each named where it does.
        """
        resolved = self._alone(nav_micros)
        for title, limits in self.accounts()[1:]:
            resolved = resolved.tightened(limits._alone(nav_micros), title)
        return resolved

    def resolve_level(self, level: Level, name: str, nav_micros: int) -> "ResolvedLimits | None":
        """Return one level's own limits as integers, or None where it has none."""
        own = self.find_level(level, name)
        return None if own is None else own._alone(nav_micros)

    def _alone(self, nav_micros: int) -> "ResolvedLimits":
        def share(fraction: float) -> int:
            above, below = _ratio(fraction)
            return min(VALUE_MICROS_MAX, above * nav_micros // below)

        def ppm(fraction: float) -> int:
            above, below = _ratio(fraction)
            return above * 10**6 // below

        def micros(amount: Decimal) -> int:
            return int(amount * MICROS_PER_UNIT)

        return ResolvedLimits(
            collar_ppm=ppm(self.collar_fraction_max),
            quote_age_ns=int(self.quote_age_s_max * NS_PER_S),
            order_value=min(micros(self.order_value_max), share(self.order_value_fraction_max)),
            order_volume_ppm=ppm(self.order_volume_fraction_max),
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
            daily_loss_ppm=ppm(self.daily_loss_fraction_max),
            drawdown_ppm=ppm(self.drawdown_fraction_max),
            locate_required=self.short_locate_required,
        )


@lru_cache(maxsize=1_024)
def _ratio(fraction: float) -> tuple[int, int]:
    """Return the fraction that the shortest text of a float means, exactly."""
    return Fraction(str(fraction)).as_integer_ratio()


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
    # Which level set a limit that is tighter than the firm's.
    origins: Mapping[str, str] = field(default_factory=dict[str, str])

    def tightened(self, other: "ResolvedLimits", title: str) -> "ResolvedLimits":
        """Return the tighter of both in every limit; what is the other's gets its title."""
        values: dict[str, int] = {}
        for name in LIMIT_NAMES:
            mine, theirs = getattr(self, name), getattr(other, name)
            tighter = theirs > mine if name in _SWITCHES else theirs < mine
            if tighter:
                values[name] = theirs
        origins = {**self.origins, **dict.fromkeys(values, title)}
        return replace(self, **values, origins=origins)  # pyright: ignore[reportArgumentType]  # each in its own type


# On is the tighter side of a switch, the smaller number that of every other limit.
_SWITCHES = frozenset({"volume_required", "locate_required"})
LIMIT_NAMES = tuple(f.name for f in fields(ResolvedLimits) if f.name != "origins")


def _tighter(mine: RiskLimits, other: RiskLimits) -> RiskLimits:
    """Return the tighter of both in every limit; the windows of time are the first one's.

    Each limit is resolved by a function that never falls, so that the smaller number before is
    the smaller one after.
    """
    values: dict[str, object] = {}
    for f in fields(RiskLimits):
        a, b = getattr(mine, f.name), getattr(other, f.name)
        if f.name in ("levels", "messages_window_s", "repeats_window_s", "duplicate_window_s"):
            continue
        if f.name == "restricted":
            values[f.name] = a | b
        elif f.name == "permitted_asset_classes":
            values[f.name] = b if mine.permits_all else a if other.permits_all else a & b
        elif isinstance(a, bool):
            values[f.name] = a or b
        else:
            values[f.name] = min(a, b)
    return replace(mine, **values)  # pyright: ignore[reportArgumentType]  # each in its own type


def _level(level: Level, name: str, values: Mapping[str, object]) -> LevelLimits:
    """Return the limits of one level as they are stored, each value read in its own type."""
    defaults = {f.name: f.default for f in fields(RiskLimits)}
    unknown = sorted(set(values) - set(FIELDS[level]))
    if unknown:
        raise ValueError(
            f"limits of the {level.value} {name} must be among {sorted(FIELDS[level])}, "
            f"had {unknown}"
        )
    texts: list[LimitValue] = []
    for key in sorted(values):
        try:
            read = _read(key, values[key], defaults[key])
        except ValueError as error:
            raise ValueError(f"{level.value} {name}: {error}") from error
        texts.append(LimitValue(name=key, text=_text(read)))
    return LevelLimits(level=level, name=name, values=tuple(texts))


def _own(level: LevelLimits) -> RiskLimits:
    """Return what a level sets, and everything else as loose as it can be."""
    defaults = {f.name: f.default for f in fields(RiskLimits)}
    read: dict[str, object] = {}
    for value in level.values:
        default: Any = defaults[value.name]
        given: object = value.text
        if isinstance(default, frozenset):
            given = [item for item in value.text.split(",") if item]
        elif isinstance(default, bool):
            given = value.text == "true"
        read[value.name] = _read(value.name, given, default)  # pyright: ignore[reportUnknownArgumentType]  # a default of any field
    try:
        return replace(LOOSEST, **read)  # pyright: ignore[reportArgumentType]  # read in their types
    except ValueError as error:
        raise ValueError(f"{level.title}: {error}") from error


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, frozenset):
        return ",".join(sorted(str(item) for item in value))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # names
    return str(value)


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(str(item) for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # names
    return str(value) if isinstance(value, Decimal) else value


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


ANY_ASSET_CLASS = "*"
# No limit at all: what a level does not set stands here.
LOOSEST = RiskLimits(
    **{name: high for name, (_, high) in (*_FRACTION_BOUNDS.items(), *_COUNT_BOUNDS.items())},  # pyright: ignore[reportArgumentType]  # bounds of numbers
    order_value_max=_MONEY_BOUND,
    position_value_max=_MONEY_BOUND,
    volume_required=False,
    short_locate_required=False,
    permitted_asset_classes=frozenset({ANY_ASSET_CLASS}),
)
