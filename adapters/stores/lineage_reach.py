"""How far a decision's features reach back: which rows of which table can be in which feature."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import polars as pl

from features.calendars import day_of, day_of_close
from features.catalog import CATALOG, Feature
from features.catalog.news_windows import WINDOWS

# The decisions before one that a window of news may begin with lie within so many days.
NEWS_DAYS = max(WINDOWS.values())


def reads(table: str, *, other_instrument: bool = False) -> tuple[Feature, ...]:
    """Return the features that read a source table; of another instrument, the cross-section's.

    A corporate action is read with the bars: a split scales those before it.
    A row of one instrument enters the features of another only through ranks, means and
    regressions over all instruments of the same close.
    """
    source = "bars" if table == "corporate_actions" else table
    found = (f for f in CATALOG if source in f.source_tables)
    if table in ("bars", "corporate_actions"):
        # Macro and news features take only the session's time from the bars.
        found = (f for f in found if f.source_tables == ("bars",) and f.family != "calendar")
    if other_instrument:
        found = (f for f in found if f.family == "cross_section")
    return tuple(found)


def lookback_sessions(features: Sequence[Feature]) -> int:
    """Return the longest reach of these features in sessions, their lag included."""
    return max((f.lookback_sessions + f.lag_sessions for f in features), default=0)


def reaching(features: Sequence[Feature], sessions_back: int) -> tuple[str, ...]:
    """Return the names of the features that reach a row this many sessions before their own."""
    return tuple(
        f.name
        for f in features
        if f.lag_sessions <= sessions_back <= f.lookback_sessions + f.lag_sessions
    )


def splits_of(actions: pl.DataFrame, instrument_id: str) -> pl.DataFrame:
    """Return the instrument's splits: the one kind of action that prices are adjusted by."""
    return actions.filter(pl.col("instrument_id") == instrument_id, pl.col("kind") == "split")


def newest_versions(rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Return the newest version of each record, in order of event time."""
    ordered = rows.sort("event_time", "knowledge_time", maintain_order=True)
    return ordered.unique(list(key), keep="last", maintain_order=True)


def decided_before(
    rows: pl.DataFrame, instrument_id: str, event_time: datetime
) -> tuple[datetime, ...]:
    """Return the moments at which an instrument was decided on before a row of the feature table,
    oldest first."""
    earlier = (pl.col("instrument_id") == instrument_id) & (pl.col("event_time") < event_time)
    return tuple(rows.filter(earlier).sort("event_time")["as_of"].to_list())


def last_sessions(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """Return the rows of the last `count` days that have any; a day may have many bars."""
    days = rows.select(day_of_close()).to_series().unique().sort().tail(count)
    return rows.filter(day_of_close().is_in(days.implode()))


def calendar_days(sessions: int) -> timedelta:
    """Return a span of days that surely holds this many sessions of any exchange."""
    return timedelta(days=2 * sessions + 15)


def sessions_between(dates: Sequence[date], earlier: datetime, session: date) -> int:
    """Return how many of the sorted session dates lie after `earlier` and up to `session`."""
    return sum(1 for d in dates if day_of(earlier) < d <= session)
