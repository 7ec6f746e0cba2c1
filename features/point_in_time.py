"""Point-in-time discipline: a row may be used only once it was known, in the version then known."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import polars as pl

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


def known_at(
    table: Frame,
    moment: datetime,
    *,
    key: Sequence[str] = ("instrument_id", "event_time"),
) -> Frame:
    """Return the newest version of each record among those known by that moment.

    A record is named by `key`; of two versions with one knowledge time the later row wins. The
    order is that of `knowledge_time`.
    """
    if moment.tzinfo is None:
        raise ValueError(f"moment must carry a time zone, was {moment!r}")
    return (
        table.filter(pl.col("knowledge_time") <= moment)
        .sort("knowledge_time", maintain_order=True)
        .unique(list(key), keep="last", maintain_order=True)
    )


def leaking_rows(table: Frame) -> Frame:
    """Return the rows used before they were known (look-ahead), or with either time missing."""
    known = pl.col("knowledge_time") <= pl.col("as_of")
    return table.filter(~known.fill_null(value=False))


def as_of_join(
    entity: pl.DataFrame,
    table: pl.DataFrame | pl.LazyFrame,
    *,
    by: str | Sequence[str] = "instrument_id",
    ttl: timedelta | None = None,
) -> pl.DataFrame:
    """Return the entity rows, in order, each with the table's newest record known at its as_of.

    Bitemporal: of the versions with knowledge_time <= as_of, the record with the newest
    event_time is taken (not after as_of, and with a `ttl` not older than as_of - ttl), and of its
    versions the newest one known. Rows without such a record get nulls; none is dropped.
    `entity` has the columns of `by` and `as_of`; of the table come event_time, knowledge_time and
    all values. Raises ValueError where a column would come from both.
    """
    keys = [by] if isinstance(by, str) else list(by)
    newest = _newest_records(table.lazy(), keys).collect()
    both = sorted((set(entity.columns) & set(newest.columns)) - set(keys))
    if both:
        raise ValueError(f"entity must not have columns of the table, had {both}")
    if ttl is not None and ttl < timedelta(0):
        raise ValueError(f"ttl must be 0 or more, was {ttl}")
    row, at = "__row", "__at"
    joined = (
        entity.with_row_index(row)
        .sort("as_of")
        .join_asof(
            newest.with_columns(pl.col("__usable").alias(at)).sort(at),
            left_on="as_of",
            right_on=at,
            by=keys,
            check_sortedness=False,
        )
        .sort(row)
    )
    values = [c for c in newest.columns if c not in keys and c != "__usable"]
    if ttl is not None:
        fresh = pl.col("event_time") >= pl.col("as_of") - ttl
        joined = joined.with_columns(pl.when(fresh).then(pl.col(values)))
    return joined.select(*entity.columns, *values)


def _newest_records(table: pl.LazyFrame, keys: list[str]) -> pl.LazyFrame:
    """Return, per key, the versions that are the newest record from `__usable` on.

    A version can be used from when it is both true and known; in that order it becomes the
    newest record exactly where no earlier one speaks of a later event.
    """
    usable = pl.max_horizontal("event_time", "knowledge_time")
    order = ["__usable", "event_time", "knowledge_time"]
    return (
        table.with_columns(__usable=usable)
        .sort(*order, maintain_order=True)
        .filter(pl.col("event_time") >= pl.col("event_time").cum_max().over(keys))
    )
