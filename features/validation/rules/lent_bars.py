"""A bar that an instrument has of another one: the same four prices and volume on one day."""

from collections import Counter
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import polars as pl

from features.validation.context import CheckContext
from features.validation.findings import Hit, frame_hits
from features.validation.rule import TableRule
from features.validation.rules.prints import telling_volume
from features.validation.view import Bools, Ints, SeriesArrays, TableView

_BAR = ("open", "high", "low", "close", "volume")
# Odd constants spread the bits of times and values (Steele, Lea and Flood, 2014: splitmix).
_MIX_TIME = np.uint64(0x9E3779B97F4A7C15)
_MIX_VALUE = np.uint64(0xBF58476D1CE4E5B9)
_OWN_FACTOR = 3.0  # so much further from its own last price than the other: it is the borrower
_SERIES_SHARE = 0.5  # more equal bars than this are one series, which another rule judges


def _find(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield daily bars that two instruments share; the one that is far from its own prices."""
    arrays = view.series
    groups = _equal_bars(arrays)
    if groups.is_empty():
        return
    ids = arrays.names.get_column("instrument_id").to_list()
    pairs = _count_pairs(groups["id"].to_list())
    sizes = Counter(dict.fromkeys(ids, 0))
    for name, size in zip(ids, np.diff(arrays.start).tolist(), strict=True):
        sizes[name] = max(sizes[name], size)
    shared = np.zeros(arrays.row.size, dtype=np.bool_)
    shared[groups["at"].explode().to_numpy()] = True
    hits: list[Hit] = []
    for places, names in groups.select("at", "id").iter_rows():
        both = sorted(set(names))
        one_series = any(
            pairs[pair] > _SERIES_SHARE * min(sizes[pair[0]], sizes[pair[1]])
            for pair in combinations(both, 2)
        )
        if not one_series:
            hits.extend(_borrowers(arrays, places, names, shared))
    if hits:
        yield frame_hits("lent_bars", hits)


def _count_pairs(shared: Iterable[list[str]]) -> Counter[tuple[str, str]]:
    """Return how many bars two instruments share; names that stand together often, at once."""
    pairs = Counter[tuple[str, str]]()
    for names, count in Counter(tuple(sorted(set(found))) for found in shared).items():
        for pair in combinations(names, 2):
            pairs[pair] += count
    return pairs


def _equal_bars(arrays: SeriesArrays) -> pl.DataFrame:
    """Return the positions (`at`) and instruments (`id`) of bars that several instruments share."""
    with np.errstate(over="ignore"):
        mixed = arrays.time.view(np.uint64) * _MIX_TIME ^ arrays.close.view(np.uint64) * _MIX_VALUE
    mixed ^= mixed >> np.uint64(29)
    ordered = np.sort(mixed)  # faster than a hash table of all
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if twice.size == 0:
        return pl.DataFrame(schema={"at": pl.List(pl.Int64), "id": pl.List(pl.String)})
    at = np.flatnonzero(pl.Series(mixed).is_in(pl.Series(twice).implode()).to_numpy())
    bar = {column: arrays.column(column)[at] for column in _BAR}
    is_told = telling_volume(bar["volume"]) & (bar["high"] > bar["low"])
    is_told &= arrays.daily[arrays.series[at]]
    frame = pl.DataFrame({"at": at, "time": arrays.time[at], **bar}).with_columns(
        id=arrays.names.get_column("instrument_id")[arrays.series[at]]
    )
    told = frame.filter(pl.Series(is_told))
    grouped = told.group_by("time", *_BAR, maintain_order=True).agg("at", "id")
    return grouped.filter(pl.col("id").list.n_unique() > 1)


def _borrowers(
    arrays: SeriesArrays, places: list[int], names: list[str], shared: Bools
) -> Iterable[Hit]:
    """Return the bars of a group that are not near their own series; all where none can be told."""
    away = [_away(arrays, at, shared) for at in places]
    nearest = int(np.argmin(away))
    for at, name, distance in zip(places, names, away, strict=True):
        own = name == names[nearest]
        others = [d for d, n in zip(away, names, strict=True) if n != name]
        if own and min(others) >= _OWN_FACTOR * distance:
            continue
        other = next(n for n in (names[nearest], *names) if n != name)
        reason = (
            f"{name} must have a bar of its own, has the prices and the volume of {other} on that "
            f"day{' (which of them they are of cannot be told)' if own else ''}"
        )
        yield Hit("foreign", "quarantine", 0.9, _one(arrays, at), reason)


def _one(arrays: SeriesArrays, at: int) -> Ints:
    return arrays.row[at : at + 1]


def _away(arrays: SeriesArrays, at: int, shared: Bools) -> float:
    """Return how far a close lies from the series' last own one, in its standard deviations."""
    series = int(arrays.series[at])
    begin, end = int(arrays.start[series]), int(arrays.start[series + 1])
    before = np.flatnonzero(~shared[begin:at])
    after = np.flatnonzero(~shared[at:end])
    if before.size:
        own = begin + int(before[-1])
    elif after.size:
        own = at + int(after[0])
    else:
        return 0.0
    if not (arrays.close[at] > 0 and arrays.close[own] > 0):
        return float("inf")
    return float(abs(np.log(arrays.close[at] / arrays.close[own])) / arrays.sigma[series])


LENT_RULES = (
    TableRule(
        name="lent_bars",
        kinds=("foreign",),
        severity="quarantine",
        tables=("bars",),
        find=_find,
        text="a daily bar has not the four prices and the volume of another instrument's that day",
    ),
)
