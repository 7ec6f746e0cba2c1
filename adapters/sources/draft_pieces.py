"""Which files of a folder are pieces of one data set."""

import os.path
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import combinations, pairwise
from pathlib import PurePosixPath
from typing import Any

from adapters.sources.draft import TRADED, Draft
from adapters.sources.name_days import days_in


def pieces_of_one(drafts: Sequence[Draft]) -> dict[str, str]:
    """Return the files that are pieces of one data set, by relative path, and its name.

    They are of one layout, and none holds a day twice: a year or a month a file is one series; two
    files that speak of the same symbol on the same days are two, and are kept apart. Layouts share
    a data set where their days go on from one another. Those that speak of the same days are of two
    vendors, and each is a data set of its own.
    """
    layouts: dict[tuple[object, ...], list[Draft]] = {}
    for draft in drafts:
        layouts.setdefault(layout_of(draft), []).append(draft)
    joined = [
        files
        for files in layouts.values()
        if len(files) > 1 and files[0].table in TRADED and not overlap(files)
    ]
    apart = _of_the_same_days(joined)
    folders = Counter(_folder_of(files) for files in apart)
    pieces: dict[str, str] = {}
    for files in joined:
        folder = _folder_of(files)
        name = files[0].table
        if files in apart:
            named = folder if folder and folders[folder] == 1 else _digest_of(files[0])
            name = f"{name}_{named}"
        pieces |= {draft.relative: name for draft in files}
    return pieces


def _of_the_same_days(layouts: Sequence[list[Draft]]) -> list[list[Draft]]:
    """Return the layouts that speak of days of an instrument that another one speaks of too."""
    found: list[list[Draft]] = []
    alike: dict[tuple[str, str], list[list[Draft]]] = {}
    for files in layouts:
        alike.setdefault((files[0].table, files[0].stamps.interval), []).append(files)
    for several in alike.values():
        bare = [[_with_bare_symbols(draft) for draft in files] for files in several]
        if len(several) > 1 and overlap([draft for files in bare for draft in files]):
            pairs = list(combinations(range(len(several)), 2))
            same = {n for pair in pairs if overlap([*bare[pair[0]], *bare[pair[1]]]) for n in pair}
            found += [several[n] for n in sorted(same)]
    return found


def _with_bare_symbols(draft: Draft) -> Draft:
    """Return a draft with KO for KO.US: vendors name one instrument in more than one way."""
    return replace(draft, symbols=[(s.partition(".")[0].upper(), e) for s, e in draft.symbols])


def _folder_of(files: Sequence[Draft]) -> str:
    """Return the folder that all of the files are in, as a word; empty where it is the source's."""
    common = os.path.commonpath([PurePosixPath(draft.relative).parent for draft in files])
    return re.sub(r"\W+", "_", common).strip("_")


def _digest_of(draft: Draft) -> str:
    """Return a word for a layout, which stays when files come to it."""
    return f"{zlib.crc32(repr(layout_of(draft)).encode()):08x}"


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
