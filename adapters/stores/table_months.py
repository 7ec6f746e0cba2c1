"""Months as the partitions of a table: where a row lies, and which ones a span touches."""

from datetime import UTC, datetime, timedelta

import polars as pl

MONTH = "_month"  # the partition column; it never leaves the store
UNDATED = "undated"  # sorts after every month
INSTANT = timedelta(microseconds=1)


def with_month(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with the month of their event_time ("2024-03", or "undated" for null)."""
    if "event_time" not in rows.columns:
        return rows.with_columns(pl.lit(UNDATED).alias(MONTH))
    month = pl.col("event_time").dt.strftime("%Y-%m").fill_null(UNDATED)
    return rows.with_columns(month.alias(MONTH))


def month_span(start: datetime | None, end: datetime | None) -> tuple[str | None, str | None]:
    """Return the first and the last month that start <= event_time < end touches."""
    first = None if start is None else f"{utc('start', start):%Y-%m}"
    last = None if end is None else f"{utc('end', end) - INSTANT:%Y-%m}"
    return first, last


def month_start(month: str, *, after: int = 0) -> datetime:
    """Return when a month ("2024-03") begins, or the one so many months after it."""
    year, number = (int(part) for part in month.split("-"))
    number += after - 1
    return datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def utc(name: str, time: datetime) -> datetime:
    """Return the time in UTC; raise ValueError where it has no zone."""
    if time.tzinfo is None:
        raise ValueError(f"{name} must carry a time zone, was {time!r}")
    return time.astimezone(UTC)


def span_filter(start: datetime | None, end: datetime | None) -> pl.Expr:
    """Return start <= event_time < end as an expression; an open side does not bound."""
    inside = pl.lit(True)
    if start is not None:
        inside = inside & (pl.col("event_time") >= utc("start", start))
    if end is not None:
        inside = inside & (pl.col("event_time") < utc("end", end))
    return inside
