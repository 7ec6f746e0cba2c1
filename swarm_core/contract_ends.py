"""Contracts that end: what a desk asks for then, and limits under which they only get smaller."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from swarm_core.risk.levels import Level, LevelLimits, LimitValue
from swarm_core.risk.limits import RiskLimits

THENS = ("nothing", "close", "roll")
ENDING = ("future", "option")  # asset classes of contracts that end
_NOTHING_MORE = LimitValue(name="position_value_max", text="0")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSettings:
    """What is done so many sessions before the last trading day; that day itself is 0 before.

    From `warn_sessions` on it is told, from `reduce_sessions` on the position may only get
    smaller, from `act_sessions` on it is closed, or rolled `into` the contract named after it. What
    is of none of `asset_classes` is left alone.
    """

    warn_sessions: int = 5
    reduce_sessions: int = 2
    act_sessions: int = 1
    then: str = "nothing"
    into: Mapping[str, str] = field(default_factory=dict[str, str])
    asset_classes: tuple[str, ...] = ENDING

    def __post_init__(self) -> None:
        counts = (self.act_sessions, self.reduce_sessions, self.warn_sessions)
        if not 0 <= counts[0] <= counts[1] <= counts[2] <= 250:
            raise ValueError(
                "act_sessions <= reduce_sessions <= warn_sessions must hold within 0..250, "
                f"were {counts[0]}, {counts[1]} and {counts[2]}"
            )
        if self.then not in THENS:
            raise ValueError(f"then must be one of {THENS}, was {self.then!r}")
        if not set(self.asset_classes) <= set(ENDING):
            raise ValueError(f"asset_classes must be of {ENDING}, were {self.asset_classes}")
        for name, following in self.into.items():
            if name == following:
                raise ValueError(f"{name} must be rolled into another contract, was into itself")

    def following(self, name: str) -> str:
        """Return the contract that one is rolled into, empty where it is not."""
        return self.into.get(name, "") if self.then == "roll" else ""


def closed_to_more(limits: RiskLimits, names: Iterable[str]) -> RiskLimits:
    """Return the limits with a position of nothing allowed in these instruments."""
    names = frozenset(names)
    own = {one.name: one for one in limits.levels if one.level is Level.INSTRUMENT}
    closed = [
        LevelLimits(
            level=Level.INSTRUMENT,
            name=name,
            values=(*_others(own.get(name)), _NOTHING_MORE),
        )
        for name in sorted(names)
    ]
    others = [
        one for one in limits.levels if one.level is not Level.INSTRUMENT or one.name not in names
    ]
    return replace(limits, levels=(*others, *closed))


def _others(level: LevelLimits | None) -> tuple[LimitValue, ...]:
    values = () if level is None else level.values
    return tuple(value for value in values if value.name != _NOTHING_MORE.name)


def iso_day(last_trade_date: str) -> str | None:
    """Return YYYYMMDD as an ISO date; None where it names a month or nothing."""
    if len(last_trade_date) != 8:
        return None
    return datetime.strptime(last_trade_date, "%Y%m%d").replace(tzinfo=UTC).date().isoformat()
