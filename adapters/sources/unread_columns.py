"""Columns of files that no table of the mapping reads, told once for all files that are alike."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from adapters.sources.batches import FileRows
from adapters.sources.mapping import Field, TableMapping, TimeField

_TOLD_MAX = 12  # columns in a line
_PLACES = re.compile(r"\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns with a cell in them that some files have in common."""

    columns: tuple[str, ...]
    files: tuple[str, ...]


def filled_columns(file: FileRows) -> tuple[str, ...]:
    """Return a file's columns with a cell in them; one that is empty says nothing."""
    rows = file.raw.rows
    return tuple(
        name
        for name in rows.columns
        if name != "source_row" and rows[name].null_count() < rows.height
    )


def columns_read(spec: TableMapping, columns: Iterable[str]) -> set[str]:
    """Return which of a file's columns the table reads, in whatever place of its mapping."""
    columns = set(columns)
    fields = [*spec.columns.values(), spec.symbol, spec.calendar]
    times = [spec.time, spec.end_time, spec.knowledge.time]
    named = {name for f in fields if f is not None for name in _of_field(f)}
    named |= {name for t in times if t is not None for name in _of_time(t)}
    named |= {condition.column for condition in spec.where}
    if spec.instrument is not None:
        named |= set(_PLACES.findall(spec.instrument.id))
    if spec.unpivot is not None:
        named |= {*spec.unpivot.index, *spec.unpivot.chosen(columns)}
    return named & columns


def unread_columns(layouts: Iterable[tuple[TableMapping, Layout]]) -> dict[str, str]:
    """Return a line for each set of columns that no table reads, by the table it is told with.

    A file may be read by several tables: what one of them reads is read.
    """
    read: dict[str, set[str]] = {}
    held: dict[str, tuple[str, tuple[str, ...]]] = {}
    for spec, layout in layouts:
        used = columns_read(spec, layout.columns)
        for file in layout.files:
            read.setdefault(file, set()).update(used)
            held.setdefault(file, (spec.table, layout.columns))
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for file, (table, columns) in sorted(held.items()):
        left = tuple(column for column in columns if column not in read[file])
        if left:
            alike.setdefault((table, left), []).append(file)
    lines: dict[str, list[str]] = {}
    for (table, left), files in alike.items():
        lines.setdefault(table, []).append(_line(files, left))
    return {table: "; ".join(told) for table, told in lines.items()}


def _line(files: list[str], left: tuple[str, ...]) -> str:
    more = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
    shown = ", ".join(left[:_TOLD_MAX])
    rest = f" and {len(left) - _TOLD_MAX} more" if len(left) > _TOLD_MAX else ""
    return f"{files[0]}{more}: not read {'is' if len(left) == 1 else 'are'} {shown}{rest}"


def _of_field(field: Field) -> set[str]:
    return {*field.column, *field.hash_of, *field.mean_of, *_PLACES.findall(field.template or "")}


def _of_time(field: TimeField) -> set[str]:
    return {*field.column, *field.join}
