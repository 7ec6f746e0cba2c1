"""Ratios that prices jump by without anybody gaining or losing: splits and units."""

import math
from dataclasses import dataclass

# Shares after for shares before, as exchanges have carried them out, and how much a match alone
# proves: a fall by half is seldom chance, a fall by a fifth often is.
_SPLITS: tuple[tuple[int, int, float], ...] = (
    *((n, 1, 0.62) for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75)),
    *((n, 1, 0.62) for n in (100, 150, 200, 250, 500, 1000)),
    (3, 2, 0.42),
    (5, 2, 0.4),
    (7, 2, 0.4),
    (4, 3, 0.35),
    (5, 3, 0.3),
    (5, 4, 0.3),
    (6, 5, 0.2),
)
# Minor for major units, percent for fractions, and basis points.
_UNITS: tuple[int, ...] = (100, 1_000, 10_000)


@dataclass(frozen=True, slots=True)
class Match:
    """The nearest ratio: the move it makes (a natural log), its name, what it proves alone."""

    move: float
    name: str
    weight: float
    error: float


def nearest_split(move: float) -> Match:
    """Return the split whose price move is nearest; a split of 2 for 1 moves by log(1/2)."""
    best: Match | None = None
    for new, old, weight in _SPLITS:
        for after, before in ((new, old), (old, new)):
            expected = math.log(before / after)
            error = abs(move - expected)
            if best is None or error < best.error:
                best = Match(expected, f"{after} for {before}", weight, error)
    if best is None:
        raise ValueError("splits must be known, were none")
    return best


def nearest_unit(move: float) -> Match:
    """Return the unit factor whose move is nearest, in either direction."""
    candidates = [
        Match(sign * math.log(factor), name, 0.9, abs(move - sign * math.log(factor)))
        for factor in _UNITS
        for sign, name in ((1.0, f"x{factor}"), (-1.0, f"/{factor}"))
    ]
    return min(candidates, key=lambda match: match.error)
