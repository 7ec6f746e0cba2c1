"""Bars against the exchange's calendar: missing sessions, bars outside them, staleness."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from features.validation.context import CheckContext
from features.validation.findings import make_hits, table_hit
from features.validation.rule import TableRule
from features.validation.session_days import FIRST_DAY, Sessions, load_sessions
from features.validation.view import Bools, Ints, SeriesArrays, TableView

_DAY_US = 86_400_000_000
# A series that misses more than this share of its sessions is not on that calendar at all.
_SPARSE_SHARE = 0.5
# Monday-dated Sundays: this share of bars off the calendar is a wrong zone, not an odd session.
_OFF_SHARE = 0.1
_JUST_SESSIONS_MAX = 5  # a series that ended longer ago has ended


def _find_gaps(view: TableView, context: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield missing sessions, bars on closed days, and series whose days are shifted."""
    arrays = view.series
    daily = _daily(arrays)
    if not daily.any():
        return
    days = arrays.time // _DAY_US
    for calendar, members in series_by_calendar(arrays, context, daily).items():
        chosen = np.flatnonzero(np.isin(arrays.series, members) & (days >= FIRST_DAY))
        if chosen.size == 0:
            continue
        sessions = load_sessions(calendar, int(days[chosen].min()), int(days[chosen].max()))
        if sessions is None:
            continue
        yield from _gap_hits(arrays, chosen, days, sessions, context)
        yield from _off_session_hits(
            arrays, chosen, days, sessions, continuous_series(arrays, context)
        )


def _gap_hits(
    arrays: SeriesArrays, chosen: Ints, days: Ints, sessions: Sessions, context: CheckContext
) -> Iterable[pl.DataFrame]:
    position = sessions.position(arrays.time[chosen])
    missing = np.zeros(chosen.size, dtype=np.int64)
    missing[1:] = np.diff(position) - 1
    series = arrays.series[chosen]
    missing[1:][np.diff(series) != 0] = 0
    expected = np.bincount(series, weights=np.maximum(missing, 0))
    present = np.bincount(series)
    sparse = expected > _SPARSE_SHARE * np.maximum(present + expected, 1)
    gaps = np.flatnonzero((missing >= context.settings.gap_sessions_warn) & ~sparse[series])
    if gaps.size:
        reasons = [
            f"{arrays.label(int(series[g]))} must have a bar for every session of "
            f"{sessions.calendar}, missed {missing[g]} before {_day(int(days[chosen[g]]))}"
            for g in gaps.tolist()
        ]
        rows = arrays.row[chosen[gaps]]
        yield make_hits("session_gaps", "gap", "warn", 0.9, rows, reasons)
    for member in np.flatnonzero(sparse[: present.size] & (present > 0)):
        yield table_hit(
            "session_gaps",
            "sparse",
            "info",
            0.7,
            f"{arrays.label(int(member))} has {present[member]} of "
            f"{int(present[member] + expected[member])} sessions of {sessions.calendar}",
        )


def _off_session_hits(
    arrays: SeriesArrays,
    chosen: Ints,
    days: Ints,
    sessions: Sessions,
    is_continuous: Bools,
) -> Iterable[pl.DataFrame]:
    """Yield bars dated on days without a session; many of them are days shifted by a zone.

    `is_continuous` are the series that trade when exchanges are closed.
    """
    off = ~sessions.contains(arrays.time[chosen])
    if not off.any():
        return
    series = arrays.series[chosen]
    counts = np.bincount(series, minlength=int(series.max()) + 1)
    share = np.bincount(series, weights=off, minlength=counts.size) / np.maximum(counts, 1)
    moved = np.zeros(counts.size, dtype=np.bool_)
    for member in np.unique(series[share[series] > _OFF_SHARE]):
        rows = chosen[series == member]
        fits = {s: 1 - sessions.contains(arrays.time[rows] + s * _DAY_US).mean() for s in (-1, 1)}
        best = min(fits, key=lambda s: fits[s])
        if fits[best] > 0.02:
            continue
        moved[member] = True
        reason = (
            f"{arrays.label(int(member))} has {share[member]:.0%} of its bars on closed days of "
            f"{sessions.calendar}, none if its dates move by {best:+d} day: a wrong zone; "
            f"the first is {arrays.address(int(rows[off[series == member]][0]))}"
        )
        yield make_hits("off_session", "wrong_zone", "quarantine", 0.9, arrays.row[rows], reason)
    single = off & ~moved[series]
    never = single & sessions.never_open(arrays.time[chosen]) & ~is_continuous[series]
    holiday = single & ~never & (share[series] <= _OFF_SHARE)
    for which, severity, confidence, why in (
        (never, "quarantine", 0.9, "was closed, as on every such weekday: a wrong date or zone"),
        (holiday, "warn", 0.7, "was closed"),
    ):
        at = chosen[which]
        if at.size:
            reasons = [
                f"{arrays.label(int(arrays.series[i]))} has a bar on {_weekday(int(days[i]))}, "
                f"when {sessions.calendar} {why}: {arrays.address(int(i))}"
                for i in at.tolist()
            ]
            rows = arrays.row[at]
            yield make_hits("off_session", "off_session", severity, confidence, rows, reasons)


def _find_stale(view: TableView, context: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield a blocking finding where the newest session is not there, and ended series."""
    arrays, settings = view.series, context.settings
    if not settings.require_fresh:
        yield from _just_ended(arrays, context, np.zeros(arrays.start.size - 1, dtype=np.bool_))
        return
    as_of = int(context.as_of.timestamp() * 1_000_000)
    last_at = arrays.start[1:] - 1
    last = arrays.time[last_at]
    daily = _daily(arrays)
    newest = int(last[last <= as_of].max(initial=last.min()))
    members = series_by_calendar(arrays, context, np.ones_like(daily))
    lags = np.full(last.size, -1, dtype=np.int64)
    limits = np.full(last.size, settings.stale_days_max, dtype=np.int64)
    for calendar, series in members.items():
        sessions = load_sessions(calendar, int(last.min()) // _DAY_US - 1, as_of // _DAY_US)
        lag = (as_of - last[series]) // _DAY_US
        if sessions is not None:
            lag = sessions.lag(last[series], as_of)
            limits[series] = settings.stale_sessions_max
        lags[series] = lag
    stale = lags > limits
    if stale.all():
        yield table_hit(
            "staleness",
            "stale",
            "block",
            1.0,
            f"the newest bar must lag as_of {context.as_of:%Y-%m-%d %H:%M} by at most "
            f"{limits.max()} sessions, was of {_moment(newest)} ({lags.min()} missed)",
        )
        return
    yield from _just_ended(arrays, context, stale)
    at = last_at[stale]
    if at.size:
        reasons = [
            f"{arrays.label(int(arrays.series[i]))} ends at {_moment(int(arrays.time[i]))}, "
            f"{lags[arrays.series[i]]} sessions before as_of: halted, delisted or not delivered"
            for i in at.tolist()
        ]
        yield make_hits("staleness", "stale", "warn", 0.8, arrays.row[at], reasons)


def _just_ended(arrays: SeriesArrays, context: CheckContext, told: Bools) -> Iterable[pl.DataFrame]:
    """Yield the series that lack the newest sessions which most of their calendar have.

    Those that are `told` already (s) are left out.
    """
    last_at = arrays.start[1:] - 1
    own = arrays.time[last_at]
    # Another source or interval may go on where one ends.
    names = arrays.names.select("instrument_id", last=pl.Series(own))
    last = names.select(pl.col("last").max().over("instrument_id")).to_series().to_numpy()
    members = series_by_calendar(arrays, context, np.ones(last.size, dtype=np.bool_))
    for calendar, series in members.items():
        newest = int(np.sort(last[series])[series.size // 2])  # of most: one may be dated to come
        sessions = load_sessions(calendar, int(last.min()) // _DAY_US - 1, newest // _DAY_US + 1)
        if sessions is None:
            continue
        lags = sessions.lag(last[series], newest)
        lags[told[series] | (own[series] < last[series])] = 0
        for i, lag in zip(last_at[series].tolist(), lags.tolist(), strict=True):
            if 0 < lag <= _JUST_SESSIONS_MAX:
                reason = (
                    f"{arrays.label(int(arrays.series[i]))} ends at "
                    f"{_moment(int(arrays.time[i]))}, {lag} sessions before most others: halted, "
                    "delisted or not delivered"
                )
                yield make_hits("staleness", "stale", "warn", 0.8, arrays.row[[i]], reason)


def _daily(arrays: SeriesArrays) -> Bools:
    """Return which series hold daily bars (s)."""
    return (arrays.names.get_column("interval") == "1d").fill_null(False).to_numpy()


def continuous_series(arrays: SeriesArrays, context: CheckContext) -> Bools:
    """Return which series are of instruments that trade when exchanges are closed (s)."""
    if context.instruments is None:
        return np.zeros(arrays.names.height, dtype=np.bool_)
    classes = context.instruments.select("instrument_id", "asset_class").unique("instrument_id")
    joined = arrays.names.select("instrument_id").join(
        classes, on="instrument_id", how="left", maintain_order="left"
    )
    return joined["asset_class"].is_in(["crypto", "fx", "future"]).fill_null(False).to_numpy()


def series_by_calendar(
    arrays: SeriesArrays, context: CheckContext, wanted: Bools
) -> dict[str, Ints]:
    """Return the wanted series by the calendar of their instrument; unknown ones under ''."""
    names = arrays.names.select("instrument_id")
    if context.instruments is None or context.instruments.is_empty():
        return {"": np.flatnonzero(wanted)}
    calendars = context.instruments.select("instrument_id", "calendar").unique(
        "instrument_id", keep="last", maintain_order=True
    )
    joined = names.join(calendars, on="instrument_id", how="left", maintain_order="left")
    by = joined.with_row_index("series").filter(pl.Series(wanted))
    return {
        str(calendar or ""): rows.get_column("series").to_numpy().astype(np.int64)
        for (calendar,), rows in by.group_by("calendar", maintain_order=True)
    }


def _day(days: int) -> str:
    return str(date(1970, 1, 1) + timedelta(days=int(days)))


def _weekday(days: int) -> str:
    return f"{date(1970, 1, 1) + timedelta(days=days):%A %Y-%m-%d}"


def _moment(time_us: int) -> str:
    return f"{datetime(1970, 1, 1) + timedelta(microseconds=time_us):%Y-%m-%d %H:%M}Z"  # noqa: DTZ001  # printed with its zone


SESSION_RULES = (
    TableRule(
        name="session_gaps",
        kinds=("gap", "sparse", "off_session", "wrong_zone"),
        severity="quarantine",
        tables=("bars",),
        find=_find_gaps,
        text=(
            "daily bars must stand on the sessions of their exchange, one on each, and never on a "
            "weekday on which it does not open; a series whose dates fit only when moved by a day "
            "is in a wrong zone"
        ),
    ),
    TableRule(
        name="staleness",
        kinds=("stale",),
        severity="block",
        tables=("bars",),
        find=_find_stale,
        text="the newest closed session before as_of must be there; a single series may end",
    ),
)
