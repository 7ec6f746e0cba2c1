"""Answers of web interfaces as frames: every field as text, types checked where they are read."""

import polars as pl

from adapters.sources.web.http import SourceRefusedError


def records(answer: object, what: str) -> list[dict[str, object]]:
    """Return a JSON list of objects; raises SourceRefusedError where it is something else."""
    if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
        raise SourceRefusedError(f"{what} must be a list of records, was {str(answer)[:200]}")
    return answer


def text_frame(rows: list[dict[str, object]], columns: tuple[str, ...], what: str) -> pl.DataFrame:
    """Return the columns of the records as text, null where a record lacks one or says null.

    Raises SourceRefusedError where no record has a column: the interface is another one.
    """
    missing = [c for c in columns if rows and not any(c in row for row in rows)]
    if missing:
        raise SourceRefusedError(f"{what} must have the fields {missing}, had {list(rows[0])}")
    data = {c: [None if row.get(c) is None else str(row[c]) for row in rows] for c in columns}
    return pl.DataFrame(data, schema=dict.fromkeys(columns, pl.String()))


def numbers(frame: pl.DataFrame, columns: tuple[str, ...], what: str) -> pl.DataFrame:
    """Return the frame with these text columns as Float64; null stays null.

    Raises SourceRefusedError that shows the first cell which is no finite number.
    """
    typed = frame.with_columns(pl.col(c).cast(pl.Float64, strict=False) for c in columns)
    for column in columns:
        good = typed[column].is_finite().fill_null(value=False)
        bad = frame.filter(pl.col(column).is_not_null() & ~good)
        if not bad.is_empty():
            raise SourceRefusedError(f"{column} of {what} must be a number, was {bad[column][0]!r}")
    return typed


def days(frame: pl.DataFrame, columns: tuple[str, ...], what: str) -> pl.DataFrame:
    """Return the frame with these text columns as days (YYYY-MM-DD).

    Raises SourceRefusedError that shows the first cell which is none: a record without its day
    would vanish from every span that is asked for.
    """
    typed = frame.with_columns(pl.col(c).str.to_date("%Y-%m-%d", strict=False) for c in columns)
    for column in columns:
        bad = frame.filter(typed[column].is_null())
        if not bad.is_empty():
            shown = bad[column][0]
            raise SourceRefusedError(f"{column} of {what} must be a day, was {shown!r}")
    return typed
