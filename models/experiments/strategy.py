"""Strategies beside the colony: a function over the market, or orders that are written down."""

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from models.experiments import fields
from models.experiments.fields import ExperimentError, wrong
from models.experiments.sealing import check_readers, count_cores_of, only_the_market
from swarm_core.instruments import Instrument
from swarm_core.orders import Order, OrderKind, OrderSide, TimeInForce

Floats = NDArray[np.float64]
_Function = Callable[..., object]  # the function of a person's module
_FIELDS = ("file", "source", "function", "parameters", "orders")
_ORDER = (
    *("day", "instrument", "side", "quantity", "kind"),
    *("time_in_force", "limit", "stop"),
)
# What a person's own function may raise by mistake.
_MISTAKES = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError),
    *(OSError, RuntimeError, StopIteration, SystemExit, TypeError, ValueError),
)
# And what libraries raise that is of none of these.
_OF_LIBRARIES = (("numba.core.errors", "NumbaError"), ("polars.exceptions", "PolarsError"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketView:
    """What a strategy may look at: T sessions of N instruments, NaN where nothing is known.

    Closes move as a holder's value does: no split shows in them. A row is what is known when its
    session is decided.
    """

    days: tuple[date, ...]  # [T]
    instruments: tuple[str, ...]  # [N]
    close: Floats  # [T, N]
    features: Mapping[str, Floats]  # each [T, N]
    volume: Floats | None  # [T, N] in units as traded


def read_only_copy(values: Floats) -> Floats:
    """Return a copy that cannot be written to: the next trial reads the same numbers."""
    copied = values.copy()
    copied.flags.writeable = False
    return copied


class CopiedFeatures(Mapping[str, Floats]):
    """Features by name, each copied when it is first looked at."""

    def __init__(self, features: Mapping[str, Floats]) -> None:
        self._features, self._copied = features, dict[str, Floats]()

    def __getitem__(self, name: str) -> Floats:
        if name not in self._copied:
            self._copied[name] = read_only_copy(self._features[name])
        return self._copied[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)


@dataclass(frozen=True, slots=True)
class FunctionStrategy:
    """A Python function: function(market, **parameters) -> weights of NAV [T, N].

    NaN leaves a holding as it is. `source` is the text of the module that holds the function.
    """

    source: str
    function: str
    parameters: tuple[tuple[str, object], ...]

    def with_parameter(self, name: str, value: object) -> "FunctionStrategy":
        """Return the strategy with one parameter changed; ExperimentError where it has none."""
        names = [known for known, _ in self.parameters]
        if name not in names:
            raise wrong(f"strategy.{name}", f"one of {', '.join(names) or 'no parameters'}", name)
        changed = tuple((k, value if k == name else v) for k, v in self.parameters)
        return FunctionStrategy(self.source, self.function, changed)

    def weights(self, view: MarketView) -> Floats:
        """Return the weights; raises ExperimentError with one line on whatever goes wrong."""
        shape = len(view.days), len(view.instruments)
        try:
            asked = _function(self.source, self.function)
            with only_the_market():
                found = asked(view, **dict(self.parameters))
                weights = np.array(found, dtype=np.float64)
        except ExperimentError as error:
            raise ExperimentError(f"strategy.{self.function}: {error}") from error
        except _mistakes() as error:
            told = " ".join(f"{type(error).__name__}: {error}".split())
            raise ExperimentError(f"strategy.{self.function} must run, raised {told}") from error
        if weights.shape != shape:
            raise ExperimentError(
                f"strategy.{self.function} must give weights of the shape {shape}, "
                f"was {weights.shape}"
            )
        return weights


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedOrder:
    """An order that leaves after the close of a day, in units and prices."""

    day: date
    instrument_id: str
    side: OrderSide
    quantity: Decimal
    kind: OrderKind
    time_in_force: TimeInForce
    limit: Decimal | None
    stop: Decimal | None

    def on_grid(self, instrument: Instrument, number: int) -> Order:
        """Return the order in lots and ticks; raises ValueError where it does not fit."""
        if self.limit is not None and self.limit <= 0 and not instrument.is_margined:
            raise ValueError(
                f"limit of {self.instrument_id} must be positive where it is paid for in full, "
                f"was {self.limit}"
            )
        return Order(
            decision_id=f"planned-{self.day}",
            instrument_id=self.instrument_id,
            side=self.side,
            quantity_lots=instrument.quantity_to_lots(self.quantity),
            kind=self.kind,
            time_in_force=self.time_in_force,
            limit_price_ticks=None if self.limit is None else instrument.price_to_ticks(self.limit),
            stop_price_ticks=None if self.stop is None else instrument.price_to_ticks(self.stop),
            slice_index=number,
        )


@dataclass(frozen=True, slots=True)
class OrderList:
    """Orders of every kind, each on its day."""

    orders: tuple[PlannedOrder, ...]


Strategy = FunctionStrategy | OrderList


def read_strategy(value: object) -> Strategy | None:
    """Return the strategy of a file's field; None is the colony."""
    if value is None:
        return None
    given = fields.mapping_of(value, "strategy", _FIELDS)
    if "orders" in given:
        if len(given) > 1:
            raise wrong("strategy", "either orders or a function", sorted(given))
        listed = fields.items(given["orders"], "strategy.orders")
        return OrderList(
            tuple(_order(item, f"strategy.orders[{at}]") for at, item in enumerate(listed))
        )
    if "source" not in given:
        raise wrong("strategy.file", "the name of a Python file beside this one", given.get("file"))
    source = fields.text(given["source"], "strategy.file")
    name = fields.text(given.get("function", "weights"), "strategy.function")
    parameters = fields.mapping_of(given.get("parameters", {}), "strategy.parameters")
    try:
        _function(source, name)
        check_readers(source)
    except ExperimentError as error:
        raise ExperimentError(f"strategy.file: {error}") from error
    except (SyntaxError, *_mistakes()) as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise ExperimentError(f"strategy.file must define {name}, raised {told}") from error
    return FunctionStrategy(source, name, tuple(parameters.items()))


def _mistakes() -> tuple[type[Exception] | type[SystemExit], ...]:
    """Return them with those of the libraries that are loaded: others cannot be raised."""
    loaded = ((sys.modules.get(module), name) for module, name in _OF_LIBRARIES)
    return (*_MISTAKES, *(getattr(module, name) for module, name in loaded if module is not None))


def _order(value: object, where: str) -> PlannedOrder:
    given = fields.mapping_of(value, where, _ORDER)
    kinds = tuple(kind.value for kind in OrderKind)
    kind = OrderKind(fields.choice(given.get("kind", "market"), f"{where}.kind", kinds))
    force = given.get("time_in_force", "gtc")
    forces = tuple(force.value for force in TimeInForce)
    return PlannedOrder(
        day=fields.day(given.get("day"), f"{where}.day"),
        instrument_id=fields.text(given.get("instrument"), f"{where}.instrument"),
        side=OrderSide(fields.choice(given.get("side"), f"{where}.side", ("buy", "sell"))),
        quantity=_positive(given.get("quantity"), f"{where}.quantity"),
        kind=kind,
        time_in_force=TimeInForce(fields.choice(force, f"{where}.time_in_force", forces)),
        limit=_price(given, "limit", kind.has_limit, where, kind),
        stop=_price(given, "stop", kind.has_stop, where, kind),
    )


def _price(
    given: Mapping[str, object], name: str, needed: bool, where: str, kind: OrderKind
) -> Decimal | None:
    if needed != (name in given):
        must = "given" if needed else "left out"
        raise wrong(f"{where}.{name}", f"{must} for a {kind.value} order", given.get(name))
    if not needed:
        return None
    if name == "stop":
        return _positive(given[name], f"{where}.{name}")
    return Decimal(str(fields.number(given[name], f"{where}.{name}", -1e9, 1e9)))  # of a future


def _positive(value: object, where: str) -> Decimal:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(float(cast(float, value))) or float(cast(float, value)) <= 0:
        raise wrong(where, "a positive number", value)
    return Decimal(str(value))


@lru_cache(maxsize=16)
def _function(source: str, name: str) -> _Function:
    """Return the function that a module's text defines; the text is a person's own."""
    space: dict[str, object] = {"__name__": "strategy"}
    count_cores_of(source)
    with only_the_market():
        exec(compile(source, "strategy.py", "exec"), space)
    found = space.get(name)
    if not callable(found):
        raise NameError(f"there is no function {name}")  # noqa: TRY004  # what a call of it would raise
    return found
