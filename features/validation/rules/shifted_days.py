"""Daily series that move with another session of their market than the one they are dated.

A calendar does not tell a series that is dated a session late: all of its days are sessions. Its
returns tell it, which are correlated with those of the others a session before, and not with those
of its own day. Of 500 shares over five years the correlation with the mean of the others is 0.54 at
the median of its own session, and of the session before or after 0.16 at most.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl

from features.validation.context import CheckContext
from features.validation.findings import Hit, frame_hits
from features.validation.rule import TableRule
from features.validation.rules.sessions import series_by_calendar
from features.validation.view import Bools, Floats, Ints, SeriesArrays, TableView

_DAY_US = 86_400_000_000
_SERIES_MIN, _OTHERS_MIN = 6, 5  # of one calendar, and on one day
_RETURNS_MIN = 120
_NEWEST = 1_000  # sessions looked at
_RETURN_MAX = 0.1  # beyond it one bar would tell everything
_CORRELATION_MIN, _BETTER_MIN, _DEVIATIONS = 0.3, 0.25, 4
_FEW = 0.25  # of the series: of more it is open which of them are right
# Tokyo follows New York by a session in truth. In 2010 to 2023 0.09 of the days are a session of
# one of the two alone; of Toronto, Paris, London, Frankfurt, Sydney and Hong Kong 0.035 to 0.07.
_OTHER_DAYS_MAX = 0.01
_WHERE = {-1: ("late", "before"), 1: ("early", "after")}


def _find(view: TableView, context: CheckContext) -> Iterable[pl.DataFrame]:
    arrays = view.series
    daily = (arrays.names.get_column("interval") == "1d").fill_null(value=False).to_numpy()
    hits: list[Hit] = []
    for calendar, members in series_by_calendar(arrays, context, daily).items():
        if members.size >= _SERIES_MIN:
            hits += _judged(arrays, calendar, members)
    if hits:
        yield frame_hits("shifted_days", hits)


def _judged(arrays: SeriesArrays, calendar: str, members: Ints) -> list[Hit]:
    """Return the verdicts over the series of one calendar."""
    is_member = np.zeros(arrays.names.height, dtype=np.bool_)
    is_member[members] = True
    at = np.flatnonzero(is_member[arrays.series] & np.isfinite(arrays.log_return))
    days = arrays.time[at] // _DAY_US
    newest = np.unique(days)[-_NEWEST:]
    if not newest.size:
        return []
    at = at[days >= newest[0]]
    place = np.searchsorted(newest, arrays.time[at] // _DAY_US)
    moved = np.clip(arrays.log_return[at], -_RETURN_MAX, _RETURN_MAX)
    total = np.bincount(place, weights=moved, minlength=newest.size)
    count = np.bincount(place, minlength=newest.size)
    own = _correlation(
        arrays, at, moved, (total[place] - moved) / np.maximum(count[place] - 1, 1),
        count[place] > _OTHERS_MIN,
    )  # fmt: skip
    mean = total / np.maximum(count, 1)
    has_own_days = _other_days(arrays.series[at], place, count, arrays.names.height)
    found: list[tuple[int, int, float, float]] = []
    for lag in _WHERE:
        other = place + lag
        inside = (other >= 0) & (other < newest.size)
        other = np.clip(other, 0, newest.size - 1)
        told = inside & (count[other] > _OTHERS_MIN)
        moved_with, n = _correlation(arrays, at, moved, mean[other], told)
        limit = np.maximum(_BETTER_MIN, _DEVIATIONS * np.sqrt(2 / np.maximum(n, 1)))
        is_off = (n >= _RETURNS_MIN) & (moved_with >= _CORRELATION_MIN)
        is_off &= (moved_with - own[0] >= limit) & (own[0] < moved_with / 2)
        found += [
            (int(s), lag, float(moved_with[s]), float(own[0][s])) for s in np.flatnonzero(is_off)
        ]
    is_certain = (has_own_days <= _OTHER_DAYS_MAX) & (len(found) <= _FEW * members.size)
    return _hits(arrays, calendar, found, is_certain)


def _other_days(series: Ints, place: Ints, count: Ints, size: int) -> Floats:
    """Return by series which part of the days between its first and last is its own or the others'.

    `place` is the day of each row, `count` how many series have each day.
    """
    common = count > _OTHERS_MIN
    first, last = np.full(size, count.size), np.full(size, -1)
    np.minimum.at(first, series, place)
    np.maximum.at(last, series, place)
    before = np.concatenate([[0], np.cumsum(common)])
    span = np.maximum(before[last + 1] - before[np.minimum(first, last + 1)], 0)
    rows, shared = (np.bincount(series[m], minlength=size) for m in (place >= 0, common[place]))
    return (span - shared + rows - shared) / np.maximum(span, 1)


def _correlation(
    arrays: SeriesArrays, at: Ints, moved: Floats, others: Floats, told: Bools
) -> tuple[Floats, Ints]:
    """Return Pearson's correlation by series where it is `told`, and of how many returns."""
    series, x, y = arrays.series[at[told]], moved[told], others[told]
    size = arrays.names.height
    n = np.bincount(series, minlength=size)
    sums = [np.bincount(series, weights=w, minlength=size) for w in (x, y, x * y, x * x, y * y)]
    with np.errstate(invalid="ignore", divide="ignore"):
        mx, my, xy, xx, yy = (s / n for s in sums)
        value = (xy - mx * my) / np.sqrt((xx - mx * mx) * (yy - my * my))
    return np.nan_to_num(value, nan=0.0, posinf=0.0, neginf=0.0), n


def _hits(
    arrays: SeriesArrays,
    calendar: str,
    found: list[tuple[int, int, float, float]],
    is_certain: Bools,
) -> list[Hit]:
    hits: list[Hit] = []
    for series, lag, moved_with, own in found:
        severity, confidence = ("quarantine", 0.85) if is_certain[series] else ("warn", 0.5)
        dated, when = _WHERE[lag]
        first, end = int(arrays.start[series]), int(arrays.start[series + 1])
        reason = (
            f"{arrays.label(series)} must move with the others of {calendar or 'its market'} on "
            f"its own session, moved with the one {when} (correlation {moved_with:.2f}, with its "
            f"own {own:.2f}): dated a session {dated}, from {arrays.address(first)} on"
        )
        hits.append(Hit("wrong_date", severity, confidence, arrays.row[first:end], reason))
    return hits


SHIFTED_RULES = (
    TableRule(
        name="shifted_days",
        kinds=("wrong_date",),
        severity="quarantine",
        tables=("bars",),
        find=_find,
        text=(
            "a daily series moves with its market on its own session, not with the session "
            "before or after (judged among six series or more, over 120 returns or more)"
        ),
    ),
)
