"""Prices and values at or below zero of what may lie there: true near it, a fault far away.

Oil fell from 18 to -38 on 20 April 2020 after days that moved by 2 each, nine of such moves above
zero. A price that stands twenty of its moves above zero is not its own negative a bar later, and
one that stands fifty above is not below zero for a whole bar, nor alone in its bar.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl

from features.validation.asset_classes import may_be_negative
from features.validation.context import CheckContext
from features.validation.findings import Hit, frame_hits
from features.validation.rule import TableRule
from features.validation.view import Bools, Floats, Ints, SeriesArrays, TableView

_MIRROR_MOVES_MIN, _FAR_MOVES_MIN = 20, 50  # of the level, in usual moves
_FAR_TIMES_MIN = 50  # of the level: -9999 beside 2.5
_MIRROR_FIT_MOVES, _MIRROR_FIT_PART = 3.0, 0.02  # how near a mirrored price comes to its neighbour
_NEAR = 20  # bars on either side, of which the usual move is taken
_MOVES_MIN = 5
_SHORT = 3  # bars
_MINORITY = 0.5  # of a series: of which sign it is, most of its bars say


def _find(view: TableView, context: CheckContext) -> Iterable[pl.DataFrame]:
    arrays = view.series
    columns = [arrays.close, *(arrays.column(c) for c in ("open", "high", "low"))]
    if not any((values <= 0).any() for values in columns):
        return
    prices = np.stack(columns)
    reaches = (prices <= 0).any(axis=0)
    allowed = np.ones(arrays.names.height, dtype=np.bool_)
    if view.table == "bars":
        allowed = may_be_negative(arrays.names["instrument_id"], context.instruments).to_numpy()
    hits: list[Hit] = []
    for series in np.unique(arrays.series[reaches]).tolist():
        if allowed[series]:
            low, high = int(arrays.start[series]), int(arrays.start[series + 1])
            hits += _judged(arrays, series, prices[:, low:high], low)
    if hits:
        yield frame_hits("below_zero", hits)


def _judged(arrays: SeriesArrays, series: int, prices: Floats, offset: int) -> Iterable[Hit]:
    """Yield the verdicts over one series; `prices` are close, open, high and low by bar (4, n)."""
    close = prices[0]
    top, bottom = np.fmax.reduce(prices), np.fmin.reduce(prices)
    moves = np.abs(np.diff(close))
    usual = _median_move(moves)
    if np.isnan(usual):
        return
    label = arrays.label(series)
    whole = top <= 0
    for first, end in _runs(whole, close > _MIRROR_MOVES_MIN * usual):
        why = _why_not_below(close, first, end, moves, usual, float(whole.mean()))
        if why:
            rows = arrays.row[offset + first : offset + end]
            reason = f"{label} must not be at {close[first]:g}, {why}"
            yield Hit("bad_print", "quarantine", 0.9, rows, reason)
    near = np.minimum(close, np.concatenate([close[:1], close[:-1]]))
    for at in np.flatnonzero(~whole & (bottom <= 0) & (near > _MIRROR_MOVES_MIN * usual)).tolist():
        level = float(near[at])
        noise = _noise_at(moves, at, usual)
        if level > _FAR_MOVES_MIN * noise or (
            level > _MIRROR_MOVES_MIN * noise and _mirrors(bottom[at], close[at], noise)
        ):
            reason = (
                f"{label} must not reach {bottom[at]:g} in a bar that closes at {close[at]:g}, "
                f"{level / noise:.0f} times its usual move above zero"
            )
            yield Hit("bad_print", "quarantine", 0.9, arrays.row[[offset + at]], reason)


def _why_not_below(
    close: Floats, first: int, end: int, moves: Floats, usual: float, share: float
) -> str:
    """Return why the bars from `first` to `end` are not truly below zero; "" where they may be."""
    sides = [(n, i) for n, i in ((first - 1, first), (end, end - 1)) if 0 <= n < close.size]
    if not sides:
        return ""
    noise = max(_noise_at(moves, n, usual) for n, _ in sides)
    level = min(close[n] for n, _ in sides)
    is_mirrored = all(_mirrors(close[i], close[n], noise) for n, i in sides)
    if level > _MIRROR_MOVES_MIN * noise and share < _MINORITY and is_mirrored:
        return f"which is {-close[first]:g} with a wrong sign: beside it stands {level:g}"
    if end - first > _SHORT:
        return ""
    if level > _MIRROR_MOVES_MIN * noise and -close[first:end].max() > _FAR_TIMES_MIN * level:
        return f"beside it stands {level:g}: a number that stands for none"
    if level > _FAR_MOVES_MIN * noise:
        return f"beside it stands {level:g}, {level / noise:.0f} times its usual move above zero"
    return ""


def _mirrors(price: float, other: float, noise: float) -> bool:
    return abs(-price - other) <= max(_MIRROR_FIT_MOVES * noise, _MIRROR_FIT_PART * other)


def _runs(mask: Bools, far: Bools) -> Iterable[tuple[int, int]]:
    """Yield where runs of true values begin and end, of those beside which a bar is `far`."""
    edges: Ints = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    first, end = edges[::2], edges[1::2]
    padded = np.concatenate([[False], far, [False]])
    chosen = padded[first] | padded[end + 1]
    yield from zip(first[chosen].tolist(), end[chosen].tolist(), strict=True)


def _noise_at(moves: Floats, at: int, usual: float) -> float:
    """Return the usual move of a series, or of the bars around where these move more."""
    around = _median_move(moves[max(0, at - _NEAR) : at + _NEAR])
    return usual if np.isnan(around) else max(usual, around)


def _median_move(moves: Floats) -> float:
    """Return the median of what moved at all; NaN of too few moves."""
    moved = moves[moves > 0]
    return float(np.median(moved)) if moved.size >= _MOVES_MIN else float("nan")


BELOW_ZERO_RULES = (
    TableRule(
        name="below_zero",
        kinds=("bad_print",),
        severity="quarantine",
        tables=("bars", "macro"),
        find=_find,
        text=(
            "prices and values lie below zero where their series comes near it: not as the "
            "negative of those around them, and not for a moment from fifty usual moves above"
        ),
    ),
)
