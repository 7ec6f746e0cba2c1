"""Ratios that prices jump by without anybody gaining or losing: splits and units."""

import math
from dataclasses import dataclass, replace

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
_TELLING_WEIGHT = 0.41  # all whole ratios, and 3 for 2
_BROKEN = ("5 for 3", "4 for 3", "5 for 4")
# Minor for major units, percent for fractions, and basis points.
_UNITS: tuple[int, ...] = (100, 1_000, 10_000)


@dataclass(frozen=True, slots=True)
class Match:
    """The nearest ratio: the move it makes (a natural log), its name, what it proves alone."""

    move: float
    name: str
    weight: float
    error: float


# The move that each makes, in either direction; an error is of a move that is looked at.
_SPLIT_MOVES: tuple[Match, ...] = tuple(
    Match(math.log(before / after), f"{after} for {before}", weight, math.inf)
    for new, old, weight in _SPLITS
    for after, before in ((new, old), (old, new))
)


def nearest_split(move: float) -> Match:
    """Return the split whose price move is nearest; a split of 2 for 1 moves by log(1/2)."""
    best = min(_SPLIT_MOVES, key=lambda match: abs(move - match.move))
    return replace(best, error=abs(move - best.move))


def split_at_open(move: float, gap: float) -> Match:
    """Return the split that both the move and its part before the open fit; the error of the worse.

    Of the broken ratios only 3 for 2: what is down by a quarter or a fifth has news, mostly.
    """

    def error(match: Match) -> float:
        return max(abs(move - match.move), abs(gap - match.move))

    best = min((m for m in _SPLIT_MOVES if m.weight >= _TELLING_WEIGHT), key=error)
    return replace(best, error=error(best))


def broken_split_at_open(move: float, gap: float) -> Match:
    """Return the split of 5 for 3, 4 for 3 or 5 for 4 that is nearest, with the worse error."""

    def error(match: Match) -> float:
        return max(abs(move - match.move), 0.5 * abs(gap - match.move))

    best = min((m for m in _SPLIT_MOVES if m.name in _BROKEN), key=error)
    return replace(best, error=error(best))


def nearest_unit(move: float) -> Match:
    """Return the unit factor whose move is nearest, in either direction."""
    candidates = [
        Match(sign * math.log(factor), name, 0.9, abs(move - sign * math.log(factor)))
        for factor in _UNITS
        for sign, name in ((1.0, f"x{factor}"), (-1.0, f"/{factor}"))
    ]
    return min(candidates, key=lambda match: match.error)
