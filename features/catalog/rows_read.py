"""The way back from a value: which rows of macro and news the features of one decision read.

The features count observations and windows of knowledge time, and read some rows in the version
that was the newest at a moment before the decision: a release's surprise is that of its first
publication, and a rewritten headline counts as it was first written.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import islice

import polars as pl

from features.catalog.macro_states import (
    FRESH_FOR,
    NO_SURPRISE,
    ROLES,
    SURPRISE_HISTORY,
    SURPRISE_HISTORY_MIN,
    SURPRISE_WINDOW,
)
from features.catalog.news_windows import WINDOWS
from features.catalog.registry import CATALOG

FEATURES = "features"  # the column of names, comma-separated in catalogue order
# Features of a month read the news of so many days before it at most, whenever they were known.
NEWS_REACH = timedelta(days=800)
_PLACE = "place"
Reach = dict[int, set[str]]  # place of a row -> the features that read it


def related_series(series_id: str | None) -> tuple[str, ...]:
    """Return the series on which it depends whether one is read: those of its role, and itself."""
    same = [n for names in ROLES.values() if series_id in names for n in names]
    return tuple(dict.fromkeys([*same, *([series_id] if series_id else [])]))


def macro_rows_read(rows: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Return those macro rows that the features decided on at as_of read, with FEATURES beside.

    Of a series with a role they are the observations from the newest back to the one that a
    feature compares it with, while they are fresh; of each release in the surprise's window the
    observations that it was weighed against, in the versions known at the release.
    """
    known = (
        rows.filter(pl.col("knowledge_time") <= as_of, pl.col("value").is_finite())
        .sort("series_id", "knowledge_time", "event_time", maintain_order=True)
        .with_row_index(_PLACE)
    )
    series = {str(name): s for (name,), s in known.partition_by("series_id", as_dict=True).items()}
    reach: Reach = {}
    for role, names in ROLES.items():
        fresh = (series[n] for n in names if n in series and _is_fresh(series[n], as_of))
        for part in islice(fresh, 1):
            _add_levels(reach, _as_known(part), role)
    for name in sorted(set(series) - NO_SURPRISE):
        for places in _surprises(series[name], as_of):
            _add(reach, places, _readers("surprise"))
    return _chosen(known, reach).sort("series_id", "event_time", "knowledge_time")


def news_rows_read(
    rows: pl.DataFrame, instrument_id: str, as_of: datetime, before: Sequence[datetime]
) -> pl.DataFrame:
    """Return those news rows that the features of an instrument at as_of read, FEATURES beside.

    `before` are the moments of its decisions before, oldest first. A headline is read by when it
    was known, in its first version; own ones and those that name no instrument.
    """
    first = (
        rows.filter(
            pl.col("knowledge_time") <= as_of,
            pl.col("instrument_id").is_null() | (pl.col("instrument_id") == instrument_id),
        )
        .sort("knowledge_time", "news_id", "headline", maintain_order=True)
        .unique(["news_id", "instrument_id"], keep="first", maintain_order=True)
        .with_row_index(_PLACE)
    )
    reach: Reach = {}
    for sessions, days_max in WINDOWS.items():
        opened = as_of - days_max
        if len(before) >= sessions:
            opened = max(opened, before[-sessions])
        names = [f"news_{what}_{sessions}" for what in ("sum", "count", "heard")]
        inside = first.filter(pl.col("knowledge_time") > opened)
        readers = {reader for name in names for reader in _readers(name)}
        _add(reach, inside[_PLACE].to_list(), readers)
    return _chosen(first, reach).sort("event_time", "knowledge_time", "news_id")


@cache
def _readers(column: str) -> frozenset[str]:
    """Return the names of the features whose formulas read a column of the panel."""
    return frozenset(f.name for f in CATALOG if column in f.expr.meta.root_names())


@cache
def _columns() -> frozenset[str]:
    return frozenset(c for f in CATALOG for c in f.expr.meta.root_names())


def _is_fresh(part: pl.DataFrame, as_of: datetime) -> bool:
    newest = part["event_time"].max()
    return isinstance(newest, datetime) and as_of - newest <= FRESH_FOR


def _as_known(part: pl.DataFrame) -> pl.DataFrame:
    """Return the last version of each observation of a series, oldest observation first."""
    return part.unique("event_time", keep="last", maintain_order=True).sort("event_time")


def _add_levels(reach: Reach, values: pl.DataFrame, role: str) -> None:
    for column in sorted(_columns()):
        of, _, lag = column.rpartition("_")
        if of == role and lag.isdecimal():
            _add(reach, values.tail(int(lag) + 1)[_PLACE].to_list(), _readers(column))


def _surprises(part: pl.DataFrame, as_of: datetime) -> Iterator[list[int]]:
    """Yield what each release of the window was weighed against: its change and those before.

    The places are of the versions known then; rows come sorted by when they were known.
    """
    places: dict[datetime, int] = {}  # of the version of each observation that is known so far
    known, newest = part["knowledge_time"].to_list(), part["event_time"].cum_max().to_list()
    highest: datetime | None = None
    for at, (event, place) in enumerate(part.select("event_time", _PLACE).iter_rows()):
        places[event] = place
        moment = known[at]
        if moment in known[at + 1 : at + 2]:  # more was published then
            continue
        is_release = highest is None or newest[at] > highest
        highest = newest[at]
        inside = moment > as_of - SURPRISE_WINDOW and len(places) - 2 >= SURPRISE_HISTORY_MIN
        if is_release and inside:
            yield [places[e] for e in sorted(places)[-SURPRISE_HISTORY - 2 :]]


def _add(reach: Reach, places: Iterable[int], names: Iterable[str]) -> None:
    for place in places:
        reach.setdefault(place, set()).update(names)


def _chosen(rows: pl.DataFrame, reach: Reach) -> pl.DataFrame:
    told = {
        place: ", ".join(f.name for f in CATALOG if f.name in names)
        for place, names in reach.items()
        if names
    }
    chosen = rows.filter(pl.col(_PLACE).is_in(list(told)))
    names = [told[place] for place in chosen[_PLACE].to_list()]
    return chosen.with_columns(pl.Series(FEATURES, names, dtype=pl.String)).drop(_PLACE)
