"""Which files of a folder are pieces of one data set."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from adapters.sources.draft import TRADED, Draft
from adapters.sources.name_days import days_in


def pieces_of_one(drafts: Sequence[Draft]) -> set[str]:
    """Return the files that are pieces of one data set: of one layout, none of a day twice.

    A year or a month a file is one series; two files that speak of the same symbol on the same
    days are two, and are kept apart.
    """
    layouts: dict[tuple[object, ...], list[Draft]] = {}
    for draft in drafts:
        layouts.setdefault(layout_of(draft), []).append(draft)
    pieces: set[str] = set()
    for files in layouts.values():
        if len(files) > 1 and files[0].table in TRADED and not overlap(files):
            pieces |= {draft.relative for draft in files}
    return pieces


def layout_of(draft: Draft) -> tuple[object, ...]:
    """Return what pieces of one data set have in common."""
    return draft.table, tuple(sorted(draft.columns.items())), draft.stamps.interval


def overlap(drafts: Sequence[Draft], *, but_of_other_days: bool = False) -> bool:
    """Return whether two files have days of one symbol in common.

    Files whose paths speak of different days may be two deliveries, `but_of_other_days`. Moments
    are known to the minute: in one of a file's end, ticks of the next may begin.
    """
    is_of_ticks = all(d.table in ("trades", "quotes") and not d.stamps.days_only for d in drafts)
    spans: dict[tuple[object, ...], list[tuple[datetime, datetime]]] = {}
    for draft in drafts:
        moments = draft.stamps.moments.drop_nulls()
        told = days_in(draft.relative).days if but_of_other_days else ()
        if not moments.is_empty():
            for symbol, _ in draft.symbols:
                span: Any = (moments.min(), moments.max())
                spans.setdefault((symbol, told), []).append(span)
    return any(
        later[0] < earlier[1] or later == earlier or (later[0] == earlier[1] and not is_of_ticks)
        for found in spans.values()
        for earlier, later in pairwise(sorted(found))
    )


def ticks_alone(drafts: Sequence[Draft]) -> set[str]:
    """Return the files of trades beside whose symbols no bars stand, and of quotes with neither."""
    held: dict[str, set[str]] = {}
    for draft in drafts:
        held.setdefault(draft.table, set()).update(name.upper() for name, _ in draft.symbols)
    bars, trades = held.get("bars", set[str]()), held.get("trades", set[str]())
    priced = {"trades": bars, "quotes": bars | trades}
    return {
        draft.relative
        for draft in drafts
        if draft.table in priced
        and priced[draft.table].isdisjoint(name.upper() for name, _ in draft.symbols)
    }
