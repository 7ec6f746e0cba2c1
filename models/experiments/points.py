"""The points of a sweep: which values each of them sets, and the colony that results."""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from models.experiments.fields import ExperimentError, wrong
from models.experiments.spec import LIMITS, Costs, ExperimentSpec, Range
from swarm_core.colony.blueprint import blueprint
from swarm_core.colony.settings import ColonySettings

COSTS = ("costs.commission_bps", "costs.slippage_bps")
SENSES = "senses"
Point = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What an experiment stands on where it says nothing itself: the desk's own choices."""

    colony: ColonySettings
    costs: Costs
    seed: int
    nav: float


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings of one point, whole and checked."""

    colony: ColonySettings
    costs: Costs


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
    plain: dict[str, object] = ground.colony.to_mapping()
    if spec.senses is not None:
        plain[SENSES] = list(spec.senses)
    _merge(plain, spec.colony, "colony")
    for limit, value in spec.risk_limits.items():
        _set(plain, LIMITS[limit], value, f"risk_limits.{limit}")
    given = spec.costs or ground.costs
    costs = {"commission_bps": given.commission_bps, "slippage_bps": given.slippage_bps}
    for axis, value in point.items():
        if axis in COSTS:
            costs[axis.removeprefix("costs.")] = _cost(axis, value)
        else:
            _set(plain, LIMITS.get(axis.removeprefix("risk_limits."), axis), value, axis)
    try:
        colony = ColonySettings.from_mapping(plain)
        blueprint(colony)
    except (ValueError, TypeError, KeyError) as error:
        told = error.args[0] if isinstance(error, KeyError) and error.args else error
        where = f"{point_text(point)}: " if point else ""
        raise ExperimentError(f"{where}{' '.join(str(told).split())}") from error
    return Resolved(colony, Costs(**costs))


def _cost(axis: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 500:
        raise wrong(f"sweep.axes.{axis}", "in 0..500", value)
    return float(value)


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
            raise wrong(field, "a setting of the colony, a cost or a limit", path)
        inner = cast(dict[str, object], found)
    if last not in inner:
        raise wrong(field, f"one of {', '.join(inner)}", last)
    inner[last] = value
