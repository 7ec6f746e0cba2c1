"""Limits below the firm's: of a tenant, a trader, a strategy or an instrument."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """Whose limit it is, from the widest to the narrowest; the tightest of all counts."""

    TENANT = "tenant"
    TRADER = "trader"
    STRATEGY = "strategy"
    INSTRUMENT = "instrument"


_ORDER = frozenset(
    {
        "collar_fraction_max",
        "order_value_max",
        "order_value_fraction_max",
        "order_volume_fraction_max",
        "volume_required",
    }
)
_POSITION = frozenset({"position_value_max", "position_fraction_max"})
_EXPOSURE = frozenset(
    {"gross_fraction_max", "net_fraction_max", "sector_fraction_max", "currency_fraction_max"}
)
_ACCOUNT = frozenset(
    {
        "quote_age_s_max",
        "messages_max",
        "repeats_max",
        "leverage_max",
        "daily_loss_fraction_max",
        "drawdown_fraction_max",
        "short_locate_required",
    }
)
_LISTS = frozenset({"restricted", "permitted_asset_classes"})
_LOSSES = frozenset({"daily_loss_fraction_max", "drawdown_fraction_max"})
# What can be measured at each level. A strategy's exposures, its day's loss and its fall from its
# peak are those of its own orders and fills.
FIELDS: Mapping[Level, frozenset[str]] = {
    Level.TENANT: _ORDER | _POSITION | _EXPOSURE | _ACCOUNT | _LISTS,
    Level.TRADER: _ORDER | _POSITION | _EXPOSURE | _ACCOUNT | _LISTS,
    Level.STRATEGY: _ORDER | _POSITION | _EXPOSURE | _LISTS | _LOSSES,
    Level.INSTRUMENT: _ORDER | _POSITION | {"repeats_max", "short_locate_required"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitValue:
    """One limit as text that reads back to the same value; lists are joined by commas."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelLimits:
    """The limits that one tenant, trader, strategy or instrument has of its own."""

    level: Level
    name: str
    values: tuple[LimitValue, ...]

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError(f"a {self.level.value} with limits must have a name, was ''")
        for value in self.values:
            if value.name not in FIELDS[self.level]:
                raise ValueError(
                    f"a limit of the {self.level.value} {self.name} must be one of "
                    f"{sorted(FIELDS[self.level])}, was {value.name}"
                )

    @property
    def title(self) -> str:
        """Return how a denial names it."""
        return f"{self.level.value} {self.name}"


def read_levels(content: object) -> tuple[tuple[Level, str, Mapping[str, object]], ...]:
    """Return (level, name, values) of the `levels` of a limits file.

    Raises ValueError with one line where it is not `level: {name: {limit: value}}`.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"levels must map a level to names, was {content!r:.80}")  # noqa: TRY004  # settings raise one kind
    known = {level.value: level for level in Level}
    found: list[tuple[Level, str, Mapping[str, object]]] = []
    for kind, names in content.items():  # pyright: ignore[reportUnknownVariableType]  # a parsed file
        if kind not in known:
            raise ValueError(f"a level must be one of {sorted(known)}, was {kind!r}")
        if not isinstance(names, Mapping):
            raise ValueError(f"levels.{kind} must map names to limits, was {names!r:.80}")  # noqa: TRY004  # the same
        for name, values in names.items():  # pyright: ignore[reportUnknownVariableType]  # a parsed file
            if not isinstance(values, Mapping):
                raise ValueError(f"limits of the {kind} {name} must be a mapping, was {values!r}")  # noqa: TRY004  # the same
            given = {str(n): v for n, v in values.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # a parsed file
            found.append((known[kind], str(name), given))  # pyright: ignore[reportUnknownArgumentType]  # a parsed file
    return tuple(sorted(found, key=lambda f: (list(Level).index(f[0]), f[1])))
