"""Files that are dated by their path alone: by their name, or by the partition they lie in."""

from dataclasses import replace

import polars as pl

from adapters.sources.file_names import DAY_IN_NAME, find_day_in
from adapters.sources.partitions import (
    DAY_PARTS,
    DAY_PARTS_FORMAT,
    FILE_DAY,
    FILE_YEAR,
    day_of_parts,
    find_day_partitions,
    partition_value,
    path_pattern,
)
from adapters.sources.stamps import Stamps


def dated_by_path(
    name: str, relative: str, rows: pl.DataFrame, columns: dict[str, str]
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return rows and columns with the day of a file's name, or of its partitions, as a column.

    They stay as they are where neither says a day, or nothing says of which instruments they are.
    """
    day = find_day_in(name) or find_day_in(relative)
    if day is not None and "symbol" in columns:
        return rows.with_columns(pl.lit(day).alias(FILE_DAY)), {**columns, "time": FILE_DAY}
    parts = find_day_partitions(relative)
    if parts is None or ("symbol" not in columns and partition_value(relative) is None):
        return rows, columns
    time = FILE_YEAR if FILE_YEAR in parts else FILE_DAY
    values = {**parts, FILE_DAY: day_of_parts(parts)}
    told = [pl.lit(value).alias(column) for column, value in values.items()]
    return rows.with_columns(told), {**columns, "time": time}


def with_day_parts(
    time: str, parts: tuple[str, ...], stamps: Stamps
) -> tuple[tuple[str, ...], Stamps]:
    """Return the columns of a moment and how they are read: three partitions are put together."""
    if time != FILE_YEAR:
        return parts, stamps
    return DAY_PARTS, replace(stamps, format=(DAY_PARTS_FORMAT,))


def day_pattern(relative: str, *, is_named: bool) -> str:
    """Return the pattern that finds the day of such a file, and the symbol no column names."""
    if is_named and find_day_in(relative) is not None:
        return DAY_IN_NAME
    return path_pattern(relative, with_symbol=not is_named)
