"""The points of a sweep: which values each of them sets, and the colony that results."""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from models.experiments.costs import venue_with
from models.experiments.fields import ExperimentError, wrong
from models.experiments.spec import LIMITS, ExperimentSpec, Range
from models.experiments.strategy import FunctionStrategy, Strategy
from swarm_core.backtest.settings import EngineSettings
from swarm_core.colony.blueprint import blueprint
from swarm_core.colony.settings import ColonySettings
from swarm_core.derivatives.futures import ROLL
from swarm_core.frictions.venue import Venue
from swarm_core.orders import OrderKind, TimeInForce
from swarm_core.risk.limits import RiskLimits
from swarm_core.sizing_settings import SizingSettings

COSTS, GATE, ORDERS, STRATEGY = "costs", "risk_limits", "orders", "strategy"
SENSES = "senses"
Point = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What an experiment stands on where it says nothing itself: the desk's own choices."""

    colony: ColonySettings
    venue: Venue
    limits: RiskLimits
    seed: int
    nav: float
    base_currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings of one point, whole and checked."""

    colony: ColonySettings
    venue: Venue
    limits: RiskLimits
    sizing: SizingSettings
    strategy: Strategy | None


def point_text(point: Point) -> str:
    """Return the point as people read it and as it is told apart, "" for no sweep."""
    return " ".join(f"{axis}={json.dumps(value)}" for axis, value in sorted(point.items()))


def grid_points(spec: ExperimentSpec) -> tuple[Point, ...]:
    """Return the points of a grid in the axes' order, or one empty point without a sweep."""
    if spec.sweep is None:
        return ({},)
    axes = spec.sweep.axes
    return tuple(
        dict(zip(axes, values, strict=True)) for values in itertools.product(*_listed(spec))
    )


def _listed(spec: ExperimentSpec) -> Iterator[tuple[object, ...]]:
    assert spec.sweep is not None
    for name, axis in spec.sweep.axes.items():
        if isinstance(axis, Range):
            raise wrong(f"sweep.axes.{name}", "a list of values in a grid", "a range")
        yield axis


def check_points(spec: ExperimentSpec, ground: Ground) -> None:
    """Resolve every value of every axis once; raises ExperimentError on the first that fails."""
    resolve(spec, {}, ground)
    if spec.sweep is None:
        return
    for name, axis in spec.sweep.axes.items():
        for value in (axis.low, axis.high) if isinstance(axis, Range) else axis:
            resolve(spec, {name: value}, ground)


def resolve(spec: ExperimentSpec, point: Point, ground: Ground) -> Resolved:
    """Return the settings of a point; raises ExperimentError with one line where they fail."""
    parts = {COSTS: dict(spec.costs), GATE: dict(spec.risk_limits), ORDERS: dict(spec.orders)}
    strategy = spec.strategy
    plain: dict[str, object] = ground.colony.to_mapping()
    if spec.senses is not None:
        plain[SENSES] = list(spec.senses)
    _merge(plain, spec.colony, "colony")
    for axis, value in point.items():
        part, _, name = axis.partition(".")
        if part == STRATEGY:
            strategy = _with_parameter(strategy, axis, name, value)
        elif part in parts and name:
            parts[part] = _with(parts[part], name.split("."), value)
        else:
            _set(plain, axis, value, axis)
    for limit, path in LIMITS.items():
        if limit in parts[GATE]:
            _set(plain, path, parts[GATE][limit], f"risk_limits.{limit}")
    where = f"{point_text(point)}: " if point else ""
    try:
        colony = ColonySettings.from_mapping(plain)
        blueprint(colony)
        venue = venue_with(parts[COSTS], ground.venue)
        limits = RiskLimits.from_mapping({**ground.limits.to_mapping(), **parts[GATE]})
        sizing = _sizing(parts[ORDERS])
        EngineSettings(
            limits=limits,
            fills=venue.fills,
            commission=venue.commission,
            sizing=sizing,
            conversion=venue.conversion,
        ).check_alone([sizing.strategy, ROLL] if spec.contracts.roll else [sizing.strategy])
    except (ValueError, TypeError, KeyError) as error:
        told = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise ExperimentError(f"{where}{' '.join(str(told).split())}") from error
    return Resolved(colony, venue, limits, sizing, strategy)


def _sizing(given: Mapping[str, object]) -> SizingSettings:
    default = SizingSettings()
    dust = given.get("dust_fraction", default.dust_fraction)
    return SizingSettings(
        kind=OrderKind(given.get("kind", default.kind)),
        time_in_force=TimeInForce(given.get("time_in_force", default.time_in_force)),
        dust_fraction=float(cast(float, dust)),
    )


def _with_parameter(
    strategy: Strategy | None, axis: str, name: str, value: object
) -> FunctionStrategy:
    if not isinstance(strategy, FunctionStrategy):
        raise wrong(f"sweep.axes.{axis}", "a parameter of a strategy with a function", name)
    return strategy.with_parameter(name, value)


def _with(given: Mapping[str, object], path: list[str], value: object) -> dict[str, object]:
    """Return a mapping with the value at a path; what lies on the way is made."""
    first, *rest = path
    if not rest:
        return {**given, first: value}
    inner = given.get(first, {})
    known = cast(Mapping[str, object], inner) if isinstance(inner, Mapping) else {}
    return {**given, first: _with(known, rest, value)}


def _merge(plain: dict[str, object], given: Mapping[str, object], path: str) -> None:
    for name, value in given.items():
        if name not in plain:
            raise wrong(f"{path}.{name}", f"one of {', '.join(plain)}", name)
        inner = plain[name]
        if isinstance(inner, dict) and isinstance(value, Mapping):
            _merge(
                cast(dict[str, object], inner), cast(Mapping[str, object], value), f"{path}.{name}"
            )
        else:
            plain[name] = value


def _set(plain: dict[str, object], path: str, value: object, field: str) -> None:
    *outer, last = path.split(".")
    inner = plain
    for name in outer:
        found = inner.get(name)
        if not isinstance(found, dict):
            raise wrong(
                field, "a setting of the colony, costs, risk_limits, orders or strategy", path
            )
        inner = cast(dict[str, object], found)
    if last not in inner:
        raise wrong(field, f"one of {', '.join(inner)}", last)
    inner[last] = value
