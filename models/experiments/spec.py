"""What an experiment is: universe, dates, what decides, costs, limits, sweep and windows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import fields as fields_of
from datetime import date
from types import MappingProxyType

from models.experiments import fields
from models.experiments.contracts import Contracts, read_contracts
from models.experiments.costs import read_costs
from models.experiments.strategy import Strategy, read_strategy
from swarm_core.orders import OrderKind, TimeInForce
from swarm_core.risk.limits import RiskLimits

ALL_TRADABLE = "all_tradable"
SEARCH = "optuna"
METHODS = ("grid", SEARCH)
_FIELDS = (
    *("name", "question", "universe", "start", "end", "senses", "colony", "costs"),
    *("risk_limits", "orders", "strategy", "contracts", "rolls"),
    *("sweep", "walk_forward", "seed", "look_ahead_samples"),
)
# Limits of the gate that the colony plans within as well, and its setting for each.
LIMITS = {
    "gross_fraction_max": "worker.gross_max",
    "net_fraction_max": "worker.net_max",
    "position_fraction_max": "worker.name_max",
    "sector_fraction_max": "worker.sector_max",
    "currency_fraction_max": "worker.currency_max",
    "drawdown_fraction_max": "drone.drawdown_max",
}
_LIMIT_NAMES = (
    *LIMITS,
    *(f.name for f in fields_of(RiskLimits) if f.name not in LIMITS),
)
# Orders of a decision have no prices of their own.
KINDS = tuple(k.value for k in OrderKind if not k.has_limit and not k.has_stop)
FORCES = tuple(f.value for f in TimeInForce)
_POINTS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Member:
    """An instrument that belongs to the universe from one day to another, both included."""

    instrument_id: str
    start: date | None = None
    end: date | None = None


@dataclass(frozen=True, slots=True)
class Universe:
    """Who may be traded: the members, or everything tradable that was known at the date."""

    members: tuple[Member, ...] = ()

    @property
    def is_all(self) -> bool:
        return not self.members


@dataclass(frozen=True, slots=True)
class WalkForward:
    """How many months the colony learns before each stretch of months that is scored."""

    warmup_months: int = 12
    test_months: int = 12


@dataclass(frozen=True, slots=True)
class Range:
    """An axis of a search: a number between two, on a logarithmic scale where it is so asked."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True)
class Sweep:
    """Which settings are tried: lists for a grid, lists or ranges for a search."""

    method: str
    axes: Mapping[str, tuple[object, ...] | Range]
    trials: int
    seed: int
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentSpec:
    """One experiment as it is written in `experiments/NAME.yaml`; None keeps the desk's own."""

    name: str
    question: str
    universe: Universe
    start: date
    end: date
    senses: tuple[str, ...] | None = None
    colony: Mapping[str, object] = field(default_factory=dict[str, object])
    costs: Mapping[str, object] = field(default_factory=dict[str, object])
    risk_limits: Mapping[str, object] = field(default_factory=dict[str, object])
    orders: Mapping[str, object] = field(default_factory=dict[str, object])
    strategy: Strategy | None = None
    contracts: Contracts = field(default_factory=Contracts)
    sweep: Sweep | None = None
    walk_forward: WalkForward | None = None
    seed: int | None = None
    look_ahead_samples: int = 3


def read_spec(name: str, content: object) -> ExperimentSpec:
    """Return the spec of what a file holds; raises ExperimentError with one line."""
    given = fields.mapping_of(content, "the experiment", _FIELDS)
    written = fields.text(given.get("name", name), "name")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", written):
        raise fields.wrong("name", "lower_snake_case of at most 41 letters", written)
    start, end = fields.day(given.get("start"), "start"), fields.day(given.get("end"), "end")
    if end <= start:
        raise fields.wrong("end", f"after start ({start})", str(end))
    senses = given.get("senses")
    seed, samples = given.get("seed"), given.get("look_ahead_samples", 3)
    return ExperimentSpec(
        name=written,
        question=fields.text(given.get("question"), "question"),
        universe=_universe(given.get("universe", ALL_TRADABLE)),
        start=start,
        end=end,
        senses=None
        if senses is None
        else tuple(fields.text(s, "senses") for s in fields.items(senses, "senses")),
        colony=MappingProxyType(dict(fields.mapping_of(given.get("colony", {}), "colony"))),
        costs=read_costs(given.get("costs")),
        risk_limits=_limits(given.get("risk_limits", {})),
        orders=_orders(given.get("orders", {})),
        strategy=read_strategy(given.get("strategy")),
        contracts=read_contracts(given.get("contracts"), given.get("rolls")),
        sweep=_sweep(given.get("sweep")),
        walk_forward=_walk_forward(given.get("walk_forward")),
        seed=None if seed is None else fields.count(seed, "seed", 0, 2**63 - 1),
        look_ahead_samples=fields.count(samples, "look_ahead_samples", 0, 1_000),
    )


def _universe(value: object) -> Universe:
    if value == ALL_TRADABLE:
        return Universe()
    if not isinstance(value, list) or not value:
        raise fields.wrong("universe", f"{ALL_TRADABLE} or a list of members", value)
    members: list[Member] = []
    for place, item in enumerate(value):
        where = f"universe[{place}]"
        if isinstance(item, str):
            members.append(Member(fields.text(item, where)))
            continue
        given = fields.mapping_of(item, where, ("instrument", "from", "to"))
        start, end = given.get("from"), given.get("to")
        member = Member(
            fields.text(given.get("instrument"), f"{where}.instrument"),
            None if start is None else fields.day(start, f"{where}.from"),
            None if end is None else fields.day(end, f"{where}.to"),
        )
        if member.start and member.end and member.end < member.start:
            raise fields.wrong(f"{where}.to", f"at or after from ({member.start})", str(member.end))
        members.append(member)
    return Universe(tuple(members))


def _limits(value: object) -> Mapping[str, object]:
    given = fields.mapping_of(value, "risk_limits", _LIMIT_NAMES)
    try:
        RiskLimits.from_mapping(given)
    except ValueError as error:
        raise fields.ExperimentError(f"risk_limits.{error}") from error
    return MappingProxyType(dict(sorted(given.items())))


def _orders(value: object) -> Mapping[str, object]:
    given = fields.mapping_of(value, "orders", ("kind", "time_in_force", "dust_fraction"))
    for name, choices in (("kind", KINDS), ("time_in_force", FORCES)):
        if name in given:
            fields.choice(given[name], f"orders.{name}", choices)
    if "dust_fraction" in given:
        fields.number(given["dust_fraction"], "orders.dust_fraction", 0.0, 1.0)
    return MappingProxyType(dict(given))


def _walk_forward(value: object) -> WalkForward | None:
    if value is None:
        return None
    given = fields.mapping_of(value, "walk_forward", ("warmup_months", "test_months"))
    warmup, test = given.get("warmup_months", 12), given.get("test_months", 12)
    return WalkForward(
        fields.count(warmup, "walk_forward.warmup_months", 0, 240),
        fields.count(test, "walk_forward.test_months", 1, 240),
    )


def _sweep(value: object) -> Sweep | None:
    if value is None:
        return None
    given = fields.mapping_of(value, "sweep", ("method", "axes", "trials", "seed", "workers"))
    method = fields.choice(given.get("method", "grid"), "sweep.method", METHODS)
    axes = {
        name: _axis(axis, f"sweep.axes.{name}", method)
        for name, axis in fields.mapping_of(given.get("axes"), "sweep.axes").items()
    }
    if not axes:
        raise fields.wrong("sweep.axes", "at least one axis", axes)
    size = 1
    for axis in axes.values():
        size *= len(axis) if isinstance(axis, tuple) else 1
    if method == "grid" and size > _POINTS_MAX:
        raise fields.wrong("sweep.axes", f"at most {_POINTS_MAX} points together", size)
    return Sweep(
        method=method,
        axes=MappingProxyType(axes),
        trials=fields.count(given.get("trials", 32), "sweep.trials", 1, _POINTS_MAX),
        seed=fields.count(given.get("seed", 0), "sweep.seed", 0, 2**31 - 1),
        workers=fields.count(given.get("workers", 2), "sweep.workers", 1, 256),
    )


def _axis(value: object, where: str, method: str) -> tuple[object, ...] | Range:
    if isinstance(value, list):
        return tuple(fields.items(value, where))
    if isinstance(value, Mapping) and "from" in value:
        counted = fields.mapping_of(value, where, ("from", "to"))
        first = fields.count(counted["from"], f"{where}.from", 0, 2**31 - 1)
        last = fields.count(counted.get("to"), f"{where}.to", first, first + _POINTS_MAX - 1)
        return tuple(range(first, last + 1))
    if method == "grid":
        raise fields.wrong(where, "a list of values, or whole numbers {from, to}", value)
    given = fields.mapping_of(value, where, ("low", "high", "log"))
    low = fields.number(given.get("low"), f"{where}.low", -1e12, 1e12)
    high = fields.number(given.get("high"), f"{where}.high", -1e12, 1e12)
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise fields.wrong(f"{where}.log", "true or false", log)
    if not low < high:
        raise fields.wrong(f"{where}.high", f"above low ({low:g})", high)
    if log and low <= 0.0:
        raise fields.wrong(f"{where}.low", "positive on a logarithmic axis", low)
    return Range(low, high, log)
