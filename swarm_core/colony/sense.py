"""What a sense is: a family of scouts, the columns they read, and where the idea comes from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from math import isfinite

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MEMORY_RETURN = "memory_return_"  # + bars: the return over so many bars, in its own sigmas
CONSENSUS = "colony_consensus"  # the colony's conviction one bar ago
CROWDING = "colony_crowding"  # committed foragers, long less short, one bar ago


class Shape(IntEnum):
    """How a column becomes a conviction; x is gain * (column - center)."""

    FOLLOW = 0  # x / sqrt(1 + x^2): follow, saturating
    HUMP = 1  # 2 x / (1 + x^2): follow, but distrust extremes
    BREAK = 2  # as FOLLOW of what exceeds 1 in size: nothing until a threshold is passed


@dataclass(frozen=True, slots=True, kw_only=True)
class Genome:
    """One scout's parameters; a negative gain fades what a positive one follows."""

    column: str
    shape: Shape = Shape.FOLLOW
    gain: float = 1.0
    center: float = 0.0
    scale: str = ""  # a column; the conviction is multiplied by it, clipped to [0, 1]
    gate: str = ""  # a market key; the conviction is multiplied by a sigmoid of it
    gate_gain: float = 1.0
    gate_center: float = 0.0

    def __post_init__(self) -> None:
        if not self.column:
            raise ValueError("column must name an input, was empty")
        for name in ("gain", "center", "gate_gain", "gate_center"):
            if not isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be finite, was {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A column computed from others, instrument by instrument: no sums over instruments or time.

    The function gets the inputs in order and must work on arrays of any shape; made of IEEE
    operations (+ - * / sqrt, comparisons, np.where) it gives the same bits for one bar as for
    ten years. NaN in must give NaN out: it is how a scout abstains.
    """

    inputs: tuple[str, ...]
    function: Callable[..., Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sense:
    """A family of scouts; `source` says where the idea was published."""

    name: str
    source: str
    genomes: tuple[Genome, ...]
    derived: Mapping[str, Derived] = field(default_factory=dict[str, Derived])
    gain_range: tuple[float, float] = (0.05, 20.0)  # of the gain's size, for mutations

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"name must be an identifier, was {self.name!r}")
        if not self.genomes:
            raise ValueError(f"sense {self.name} must have at least one genome, had none")
        if not 0.0 < self.gain_range[0] < self.gain_range[1]:
            raise ValueError(f"gain_range must be positive and rising, was {self.gain_range}")

    def columns(self) -> tuple[str, ...]:
        """Return every column that the genomes read, once each, sorted."""
        named = {g.column for g in self.genomes} | {g.scale for g in self.genomes if g.scale}
        return tuple(sorted(named))

    def gates(self) -> tuple[str, ...]:
        """Return every market key that the genomes read, once each, sorted."""
        return tuple(sorted({g.gate for g in self.genomes if g.gate}))
