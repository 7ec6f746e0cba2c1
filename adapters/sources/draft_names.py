"""Which instruments files are of that no column names: what their paths have in common, and not."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from adapters.sources.draft import Draft
from adapters.sources.draft_pieces import overlap
from adapters.sources.file_names import is_of_data, symbols_in_paths
from adapters.sources.stamps import shared_interval

UNNAMED = (
    "which instrument is it of? a name that speaks of the data alone says none: name each file by "
    "its symbol (AAPL.csv, daily_AAPL.csv), or write symbol: in a mapping"
)

_STEPS_FROM = 2  # moments of a file, from which on it has a step between them
# Among so many files that are named by tickers, a short word such as ALL or DAY is one as well.
_TICKERS_MIN, _TICKERS_SHARE = 20, 0.95
_SHORT_TICKER = re.compile(r"[A-Z]{1,4}")


def with_shared_intervals(drafts: list[Draft]) -> list[Draft]:
    """Return the drafts with the interval of their layout where a file has one moment alone."""
    layouts: dict[tuple[object, ...], list[Draft]] = {}
    for draft in drafts:
        layouts.setdefault((draft.table, tuple(sorted(draft.columns.items()))), []).append(draft)
    intervals: dict[str, str] = {}
    for alike in layouts.values():
        is_alone = [draft for draft in alike if draft.stamps.moments.n_unique() < _STEPS_FROM]
        timed = [draft.stamps for draft in alike if not draft.stamps.days_only]
        if is_alone and len(timed) > 1:
            intervals |= dict.fromkeys((d.relative for d in is_alone), shared_interval(timed))
    return [
        replace(draft, stamps=replace(draft.stamps, interval=intervals[draft.relative]))
        if draft.relative in intervals and not draft.stamps.days_only
        else draft
        for draft in drafts
    ]


def named_by_path(drafts: list[Draft]) -> tuple[list[Draft], list[Draft]]:
    """Return the drafts with the symbols that their paths say, and those whose paths say none.

    Files named for their instrument are taken at their word. Where the word speaks of the data
    (daily_adjusted_AAPL.csv, symbol=AAPL/part-0.parquet), the one other place in the paths of the
    files of that layout which may be a symbol, and is not of two files at once, is it.
    """
    layouts: dict[tuple[object, ...], list[Draft]] = {}
    taken = _tickers_among_tickers(drafts)
    for draft in drafts:
        if draft.relative not in taken and _speaks_of_data(draft):
            layouts.setdefault((draft.table, tuple(sorted(draft.columns))), []).append(draft)
    renamed: dict[str, Draft] = {}
    unnamed: list[Draft] = []
    for alike in layouts.values():
        options: list[list[Draft]] = []
        if all(len(draft.symbols) == 1 for draft in alike):  # the members of archives have no place
            for symbols in symbols_in_paths([draft.relative for draft in alike]):
                named = [
                    replace(draft, symbols=[(symbol, draft.symbols[0][1])])
                    for draft, symbol in zip(alike, symbols, strict=True)
                ]
                if not overlap(named, but_of_other_days=True):
                    options.append(named)
        if len(options) == 1:
            renamed |= {draft.relative: draft for draft in options[0]}
        else:
            unnamed += alike
    told = {draft.relative for draft in unnamed}
    kept = [renamed.get(draft.relative, draft) for draft in drafts if draft.relative not in told]
    return kept, unnamed


def _speaks_of_data(draft: Draft) -> bool:
    return draft.is_named_by_file and any(is_of_data(symbol) for symbol, _ in draft.symbols)


def _tickers_among_tickers(drafts: Sequence[Draft]) -> set[str]:
    """Return the files whose name is a ticker because nearly all beside them are named by theirs.

    ALL.csv and DAY.csv between hundreds of AAPL.csv are Allstate and Dayforce; alone they are not.
    """
    groups: dict[tuple[object, ...], list[Draft]] = {}
    for draft in drafts:
        if draft.is_named_by_file and len(draft.symbols) == 1:
            folder = Path(draft.relative).parent
            groups.setdefault((folder, draft.table, tuple(sorted(draft.columns))), []).append(draft)
    found: set[str] = set()
    for alike in groups.values():
        unsure = [draft for draft in alike if _speaks_of_data(draft)]
        sure = len(alike) - len(unsure)
        if sure >= _TICKERS_MIN and sure >= _TICKERS_SHARE * len(alike):
            names = ((draft.relative, Path(draft.relative).name.split(".")[0]) for draft in unsure)
            found |= {relative for relative, stem in names if _SHORT_TICKER.fullmatch(stem)}
    return found
