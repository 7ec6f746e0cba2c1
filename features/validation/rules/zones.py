"""Intraday bars against session hours: constant offsets, clocks that ignore summer time."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from features import calendars
from features.validation.context import CheckContext
from features.validation.findings import make_hits
from features.validation.rule import TableRule
from features.validation.rules.sessions import continuous_series, series_by_calendar
from features.validation.session_days import Sessions, load_sessions
from features.validation.view import Floats, Ints, SeriesArrays, TableView

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
# Around-the-clock markets have no hours to be outside of.
_SESSION_MAX_US = 20 * _HOUR_US
_SAMPLE = 4_000
_SHIFTS = np.arange(-28, 29) * (_HOUR_US // 2)
_DAYS_MIN = 5
_EVE_US = 14 * _HOUR_US  # before an open: the longest night session of stocks begins 13.5 h before
_LATE_US = 8 * _HOUR_US  # after a close: late trading ends before, in New York on half days too
# A shifted series must fit this well, and this much better than unshifted, to be called shifted.
_FIT_MIN, _FIT_GAIN = 0.9, 0.25


def _find(view: TableView, context: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield the bars of series that stand outside their exchange's hours by a fixed shift."""
    arrays = view.series
    intraday = (arrays.names.get_column("interval") != "1d").fill_null(False).to_numpy()
    if not intraday.any():
        return
    is_short = arrays.names.get_column("interval").str.contains(r"^\d+[smh]$")
    is_short = is_short.fill_null(value=False).to_numpy()
    rests_never = continuous_series(arrays, context)
    weight = np.nan_to_num(arrays.column("volume"), nan=0.0)
    for calendar, members in series_by_calendar(arrays, context, intraday).items():
        chosen = np.flatnonzero(np.isin(arrays.series, members))
        days = arrays.time[chosen] // _DAY_US
        sessions = load_sessions(calendar, int(days.min()), int(days.max()))
        if sessions is None or np.median(sessions.closes - sessions.opens) > _SESSION_MAX_US:
            continue
        for member in members.tolist():
            at = np.arange(int(arrays.start[member]), int(arrays.start[member + 1]))
            yield from _offset_hits(arrays, member, at, weight[at], sessions, context)
            if is_short[member] and not rests_never[member]:
                yield from _weekend_hits(arrays, member, at, sessions)


def _offset_hits(
    arrays: SeriesArrays,
    member: int,
    at: Ints,
    weight: Floats,
    sessions: Sessions,
    context: CheckContext,
) -> Iterable[pl.DataFrame]:
    time = arrays.time[at]
    weight = weight if weight.sum() > 0 else np.ones(at.size)
    outside = 1 - _inside_share(time, weight, sessions)
    if outside > context.settings.outside_session_fraction_max:
        step = max(1, at.size // _SAMPLE)
        sample, heavy = time[::step], weight[::step]
        shares = [_inside_share(sample + shift, heavy, sessions) for shift in _SHIFTS]
        best = int(np.argmax(shares))
        if shares[best] >= _FIT_MIN and shares[best] - (1 - outside) >= _FIT_GAIN:
            reason = (
                f"{arrays.label(member)} has {outside:.0%} of its trading outside the hours of "
                f"{sessions.calendar}, {1 - shares[best]:.0%} if moved by "
                f"{_SHIFTS[best] / _HOUR_US:+g} h: a wrong zone"
            )
            yield make_hits(
                "session_hours", "wrong_zone", "quarantine", 0.9, arrays.row[at], reason
            )
            return
        reason = (
            f"{arrays.label(member)} has {outside:.0%} of its trading outside the hours of "
            f"{sessions.calendar}"
        )
        yield make_hits("session_hours", "off_session", "warn", 0.5, arrays.row[at[-1:]], reason)
    yield from _summer_hits(arrays, member, at, sessions)


def _inside_share(time: Ints, weight: Floats, sessions: Sessions) -> float:
    """Return the share of the weight that lies within sessions, ends included."""
    session = np.clip(np.searchsorted(sessions.opens, time, side="right") - 1, 0, None)
    inside = (time >= sessions.opens[session]) & (time <= sessions.closes[session])
    return float(weight[inside].sum() / weight.sum())


def _weekend_hits(
    arrays: SeriesArrays, member: int, at: Ints, sessions: Sessions
) -> Iterable[pl.DataFrame]:
    """Yield the bars of weekdays on which the exchange never opens, by its own clock.

    Those of its holidays are told and pass: it may have opened where its calendar did not know.
    Bars before the open and after the close of a session are some vendors' extended hours, and so
    are those of the night before an open: a Sunday's evening in New York.
    """
    time = arrays.time[at]
    zone, _ = calendars.usual_close(sessions.calendar)
    moments = pl.Series(time).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
    local = moments.dt.replace_time_zone(None).to_physical().to_numpy()
    after = np.minimum(np.searchsorted(sessions.opens, time), sessions.opens.size - 1)
    is_eve = (sessions.opens[after] >= time) & (sessions.opens[after] - time <= _EVE_US)
    never = sessions.never_open(local) & ~is_eve
    before = np.maximum(np.searchsorted(sessions.closes, time) - 1, 0)
    is_late = (sessions.closes[before] < time) & (time - sessions.closes[before] <= _LATE_US)
    is_in = sessions.opens[np.maximum(after - 1, 0)] < time
    is_in &= time <= sessions.closes[np.maximum(after - 1, 0)]
    closed = np.flatnonzero(~(never | is_eve | is_late | is_in))
    if closed.size:
        first = moments[int(closed[0])]
        reason = (
            f"{arrays.label(member)} has {closed.size} bars on days on which {sessions.calendar} "
            f"was closed, the first on {first:%A %Y-%m-%d %H:%M} in {zone}; hours: extended in a "
            "mapping puts them aside"
        )
        rows = arrays.row[at[closed]]
        yield make_hits("session_hours", "off_session", "warn", 0.7, rows, reason)
    found = np.flatnonzero(never)
    if found.size:
        first = moments[int(found[0])]
        reason = (
            f"{arrays.label(member)} has {found.size} bars on weekdays on which "
            f"{sessions.calendar} never opens, the first on {first:%A %Y-%m-%d %H:%M} in {zone}: "
            "a wrong date or zone"
        )
        rows = arrays.row[at[found]]
        yield make_hits("session_hours", "off_session", "quarantine", 0.9, rows, reason)


def _summer_hits(
    arrays: SeriesArrays, member: int, at: Ints, sessions: Sessions
) -> Iterable[pl.DataFrame]:
    """Yield the bars of the half-year in which each day begins an hour off the other's."""
    time = arrays.time[at]
    nearest = np.searchsorted(sessions.opens + 12 * _HOUR_US, time)
    nearest = np.minimum(nearest, sessions.opens.size - 1)
    first = np.append(True, nearest[1:] != nearest[:-1])
    offset = time[first] - sessions.opens[nearest[first]]
    regime = sessions.opens[nearest] % _DAY_US
    hours, counts = np.unique(regime[first], return_counts=True)
    if hours.size < 2 or np.sort(counts)[-2] < _DAYS_MIN:
        return
    pair = hours[np.argsort(-counts)[:2]]
    middle = [float(np.median(offset[regime[first] == hour])) for hour in pair]
    if abs(abs(middle[0] - middle[1]) - _HOUR_US) > 120_000_000:
        return
    wrong = pair[int(np.argmax(np.abs(middle)))]
    reason = (
        f"{arrays.label(member)} begins its days {middle[0] / _HOUR_US:+.1f} h and "
        f"{middle[1] / _HOUR_US:+.1f} h from the opening of {sessions.calendar} in its two "
        "half-years: the clock ignores summer time"
    )
    rows = arrays.row[at[regime == wrong]]
    yield make_hits("session_hours", "wrong_zone", "quarantine", 0.85, rows, reason)


ZONE_RULES = (
    TableRule(
        name="session_hours",
        kinds=("wrong_zone", "off_session"),
        severity="quarantine",
        tables=("bars",),
        find=_find,
        text=(
            "intraday volume lies within the exchange's hours; if it does so only when moved by "
            "a constant, or by an hour in summer, the zone is wrong; no intraday bar lies on a "
            "weekday on which the exchange never opens, and those of its holidays are told"
        ),
    ),
)
