"""How the series of macro files are named: by columns, by their values, never two by one name."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import polars as pl

from adapters.sources.column_names import NAMES, OBSERVED, plain_name
from adapters.sources.draft import Draft
from adapters.sources.draft_pieces import overlap
from adapters.sources.mapping import MappingError, TableMapping
from adapters.sources.mapping_series import Deliveries
from adapters.sources.table_kinds import is_numeric

SAME_NAME = (
    "is it of the series of another file? their names are one and they hold the same days: name "
    "each file by its series, or write series_id: in a mapping"
)
_REPEATED = 1.5  # rows a moment, from which on a file is of several series
_TOLD_APART = 0.9  # of the rows


def series_columns(
    rows: pl.DataFrame, moments: Sequence[pl.Series], columns: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the columns whose texts together name the series of a row; empty where it is one.

    `moments` are of when a row is, and of when it was made public where that is told. Of columns
    that say the same, the first is taken; one named series, indicator or variable is among them.
    Raises MappingError where rows of one moment are told apart by none.
    """
    named = {plain_name(c): c for c in rows.columns}
    own = columns.get("series_id")
    if own is None and plain_name(columns.get("value", "")) == OBSERVED:
        own = next((named[n] for n in ("key", "series_key") if n in named), None)
    kept = [] if own is None else [own]
    told = pl.DataFrame({f"__{n}": moment for n, moment in enumerate(moments)}).hstack(rows)
    told = told.drop_nulls("__0")
    times = [f"__{n}" for n in range(len(moments))]
    count = told.height

    def apart(names: Sequence[str]) -> int:
        return told.select(*times, *names).n_unique()

    if count < _REPEATED * apart(kept):
        return tuple(kept)
    used = {columns["time"], columns.get("clock"), columns.get("value"), *kept}
    left = [
        name
        for name in rows.columns
        if name not in used
        and rows.schema[name] == pl.String
        and 1 < rows[name].n_unique() <= count / _REPEATED  # a number a row names none
        and not is_numeric(rows[name])
    ]
    most = apart([*kept, *left])
    if most < _TOLD_APART * count:
        raise MappingError(
            f"which of the columns {rows.columns} names the series? its times are there several "
            "times over; write series_id: in a mapping"
        )
    for name in reversed(list(left)):
        fewer = [other for other in left if other != name]
        if apart([*kept, *fewer]) == most:
            left = fewer
    return (*kept, *left)


def told_apart(
    made: Sequence[tuple[Draft, list[TableMapping]]], delivered: Mapping[str, Deliveries]
) -> tuple[list[tuple[Draft, list[TableMapping]]], list[str]]:
    """Return the tables with series that are named by their files, no two of them by one name.

    Where the files of one name have values of different names, these are the series' names. Files
    of one name that hold the same days, and are no deliveries, are returned to be asked about.
    """
    groups: dict[str, list[Draft]] = {}
    for draft, tables in made:
        if (name := _constant(tables)) is not None:
            groups.setdefault(name, []).append(draft)
    renamed: dict[str, str] = {}
    unsure: list[str] = []
    for alike in groups.values():
        values = {draft.relative: draft.columns["value"] for draft in alike}
        if len(set(values.values())) > 1 and _all_name(values.values()):
            renamed |= {relative: value_name(value) for relative, value in values.items()}
            continue
        left = [draft for draft in alike if draft.relative not in delivered]
        if overlap([replace(draft, symbols=[("", None)]) for draft in left]):
            unsure += [draft.relative for draft in left]
    return [(d, _named(tables, renamed.get(d.relative))) for d, tables in made], unsure


def value_name(column: str) -> str:
    """Return the name of a column of values as a word."""
    return re.sub(r"\W+", "_", column).strip("_")


def _all_name(values: Collection[str]) -> bool:
    return all(plain_name(value) not in NAMES["value"] for value in values)


def _constant(tables: Sequence[TableMapping]) -> str | None:
    is_macro = len(tables) == 1 and tables[0].table == "macro"
    field = tables[0].columns.get("series_id") if is_macro else None
    return None if field is None or field.constant is None else str(field.constant)


def _named(tables: list[TableMapping], name: str | None) -> list[TableMapping]:
    if name is None:
        return tables
    columns = tables[0].columns
    field = replace(columns["series_id"], constant=name)
    return [replace(tables[0], columns={**columns, "series_id": field})]
