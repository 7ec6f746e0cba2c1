"""Which files of a folder are deliveries of one data set: they hold the same days, each its own."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import product
from typing import Literal

from adapters.sources.draft import TRADED, Draft
from adapters.sources.draft_pieces import layout_of, overlap
from adapters.sources.file_names import file_stem
from adapters.sources.mapping import Field, TableMapping
from adapters.sources.mapping_series import Deliveries
from adapters.sources.name_days import days_in, forms_of, pattern_of, undated
from features import calendars

Answer = Literal["by-name", "apart"]
_LAST_ZONE = "Etc/GMT+12"  # where a day ends last
_UNTIL_SHARE = 0.99  # of a file's moments; a wrong stamp among them is no reason to ask
_TOLD_APART_MAX = 100  # files of a layout, of which each pair is compared for a question
_SOON = timedelta(days=7)  # after its last record; of two readings of a name, the other is not
UNSURE = (
    "is it another delivery of a series, or a series of another source? they have days of one "
    "instrument in common, and no day in their names says when each was delivered; write "
    "--deliveries by-name where each follows the one before it by its name, or --deliveries apart"
)


def deliveries_of(
    drafts: Sequence[Draft], answer: Answer | None, day_first: bool | None
) -> tuple[dict[str, Deliveries], list[str]]:
    """Return how each file that is a delivery is one, by relative path, and the files to ask about.

    Files that differ in the days of their paths alone, and hold the same days, are deliveries of
    the days in their paths where no file holds a later one; so is the first of them. Other files
    of one layout that hold the same days of one instrument are asked about.
    """
    if answer == "apart":
        return {}, []
    found: dict[str, Deliveries] = {}
    of_layout = Counter(map(layout_of, drafts))
    for alike in _grouped(drafts, lambda d: (d.table, _data_set(d), len(_days(d)))):
        again = (overlap(same) for same in _grouped(alike, lambda d: days_in(d.relative).blanked))
        # Others will follow a first one, and are of its data set.
        is_alone = of_layout[layout_of(alike[0])] == len(alike)
        is_first = is_alone and len(set(map(_days, alike))) == 1
        if not _days(alike[0]) or not (is_first or any(again)):
            continue
        dated = _dated(alike, day_first)
        if dated is not None:
            found |= dict.fromkeys((draft.relative for draft in alike), dated)
    unsure: list[str] = []
    for alike in _grouped((d for d in drafts if d.table in TRADED), layout_of):
        left = [draft for draft in alike if draft.relative not in found]
        names = {name for draft in left for name, _ in draft.symbols}
        told = [
            draft
            for draft in alike
            if draft.relative in found and not names.isdisjoint(name for name, _ in draft.symbols)
        ]
        if not overlap(left) and not any(map(overlap, product(left, told))):
            continue
        if answer == "by-name":
            found |= dict.fromkeys((draft.relative for draft in alike), Deliveries(by="name"))
        else:
            unsure += [draft.relative for draft in left if _has_another(draft, alike)]
    return found, unsure


def _has_another(draft: Draft, alike: Sequence[Draft]) -> bool:
    """Return whether a file holds days that another one holds; of thousands it is not told."""
    others = (other for other in alike if other is not draft)
    return len(alike) > _TOLD_APART_MAX or any(overlap([draft, other]) for other in others)


def with_deliveries(
    draft: Draft, tables: Sequence[TableMapping], found: Mapping[str, Deliveries]
) -> list[TableMapping]:
    """Return a file's tables, as parts of a data set where the file is a delivery of it."""
    deliveries = found.get(draft.relative)
    if deliveries is None:
        return list(tables)
    named = draft.table if deliveries.by == "name" else _data_set(draft)
    return [
        replace(
            table, source_per_file=False, columns=_undated_series(draft, table),
            dataset=named if table.table == draft.table else f"{named}_{table.table}",
            deliveries=replace(deliveries, zone=_zone_of(table)),
        )
        for table in tables
    ]  # fmt: skip


def _data_set(draft: Draft) -> str:
    bare = undated(draft.relative)
    is_day_alone = bare == draft.relative and bool(_days(draft))
    return draft.table if draft.is_named_by_file or is_day_alone else file_stem(bare)


def _undated_series(draft: Draft, table: TableMapping) -> Mapping[str, Field]:
    """Return the columns with series that are named by the file named without its day."""
    series = table.columns.get("series_id")
    stem, bare = file_stem(draft.relative), file_stem(undated(draft.relative))
    is_of_file = series is not None and str(series.template or "").startswith(stem)
    if series is None or not (series.constant == stem or is_of_file):
        return table.columns
    if series.constant == stem:
        return {**table.columns, "series_id": replace(series, constant=bare)}
    template = bare + str(series.template).removeprefix(stem)
    return {**table.columns, "series_id": replace(series, template=template)}


def _days(draft: Draft) -> tuple[str, ...]:
    return days_in(draft.relative).days


def _zone_of(table: TableMapping) -> str:
    """Return the zone in which the day of a delivery is over."""
    if table.instrument is not None:
        return calendars.usual_close(table.instrument.calendar)[0]
    return (None if table.time is None else table.time.zone) or _LAST_ZONE


def _grouped(drafts: Iterable[Draft], key: Callable[[Draft], object]) -> list[list[Draft]]:
    groups: dict[object, list[Draft]] = {}
    for draft in drafts:
        groups.setdefault(key(draft), []).append(draft)
    return list(groups.values())


def _dated(alike: Sequence[Draft], day_first: bool | None) -> Deliveries | None:
    """Return how the days of the files' paths are read, where one of each can be its delivery's."""
    written = [_days(draft) for draft in alike]
    ends = [_end_of(draft) for draft in alike]
    count = len(written[0])
    found: dict[tuple[date, ...], Deliveries] = {}
    for place in {0, count - 1}:
        for form, days in forms_of([days[place] for days in written], day_first):
            if all(end <= day for end, day in zip(ends, days, strict=True)):
                pattern = pattern_of(form, last=place > 0)
                found[tuple(days)] = Deliveries(by="day", day=pattern, format=form)
    near = [days for days in found if all(d - e <= _SOON for d, e in zip(days, ends, strict=True))]
    days = near if len(near) == 1 else list(found)
    return found[days[0]] if len(days) == 1 else None


def _end_of(draft: Draft) -> date:
    """Return the day by which nearly all moments of a file are over."""
    days = draft.stamps.moments.drop_nulls().dt.date()
    last = days.sort().gather([int(_UNTIL_SHARE * len(days))])[0] if len(days) else None
    return last or date.min
