"""A price for every moment: a random walk that can be asked anywhere without walking there.

Brownian motion by Levy's construction (P. Levy, 1948): each dyadic interval adds a tent whose
height is drawn from a hash of the seed, the level and the place. The same seed always gives the
same price at the same moment, so that history, bars of all sizes and the live market agree.
"""

import math
from functools import lru_cache
from hashlib import blake2b

_SPAN_S = 2**31
_LEVELS = 33  # down to a quarter of a second
ANCHOR_S = 1_767_225_600  # the first second of 2026, where every path stands at its start price
_YEAR_S = 365.25 * 86_400


@lru_cache(maxsize=1 << 18)
def _normal(seed: str, level: int, place: int) -> float:
    digest = blake2b(f"{seed}|{level}|{place}".encode(), digest_size=16).digest()
    first = (int.from_bytes(digest[:8], "big") + 1) / (2**64 + 1)
    second = int.from_bytes(digest[8:], "big") / 2**64
    return math.sqrt(-2.0 * math.log(first)) * math.cos(2.0 * math.pi * second)


def brownian(seed: str, time_s: float) -> float:
    """Return a standard Brownian motion at a moment, in square roots of a second."""
    place = time_s / _SPAN_S
    total = place * _normal(seed, 0, 0)
    for level in range(1, _LEVELS + 1):
        width = 2.0 ** (1 - level)
        index = int(place / width)
        inside = place / width - index
        tent = 1.0 - abs(2.0 * inside - 1.0)
        total += _normal(seed, level, index) * tent * math.sqrt(width) / 2.0
    return total * math.sqrt(_SPAN_S)


@lru_cache(maxsize=4_096)
def _at_anchor(seed: str) -> float:
    return brownian(seed, ANCHOR_S)


def growth(seed: str, time_s: float, volatility: float) -> float:
    """Return the price at a moment over the price at the anchor."""
    moved = brownian(seed, time_s) - _at_anchor(seed)
    years = (time_s - ANCHOR_S) / _YEAR_S
    return math.exp(volatility * moved / math.sqrt(_YEAR_S) - volatility**2 * years / 2.0)


def uniform(seed: str, *where: object) -> float:
    """Return a number in 0..1 that is always the same for one place."""
    text = "|".join([seed, *(str(part) for part in where)])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64
