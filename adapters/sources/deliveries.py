"""Files that hold the same records again: what a later delivery changes is a version."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from adapters.sources.batches import ROW_BITS
from adapters.sources.mapping import MappingError
from adapters.sources.mapping_series import Deliveries
from features.schemas import MISSING_LATER, QUARANTINE_COLUMNS, UTC_TIME, TableSchema
from features.text_format import format_text

_SUBJECTS = ("instrument_id", "interval", "series_id", "index_id", "metric", "period", "kind")
_SCHEMA = {"tag": pl.Int64(), "order": pl.Int64(), "delivered": UTC_TIME, "path": pl.String()}
_NEVER = datetime.max.replace(tzinfo=UTC)
_SAID, _BEFORE = "__said", "__before"


def delivered(deliveries: Deliveries, tags: Iterable[tuple[int, str]]) -> pl.DataFrame:
    """Return `tag`, `order`, `delivered` and `path` of each file, given the tag and the path.

    `delivered` is null where the files follow one another by name. Raises MappingError where the
    path of one tells no day.
    """
    files = [(_day_over(deliveries, path), path, tag) for tag, path in tags]
    # Files of one day are one delivery: a symbol each, say.
    moments = [
        (over, []) if over is not None else (_NEVER, _natural(path)) for over, path, _ in files
    ]
    order = {repr(moment): n for n, moment in enumerate(sorted(moments))}
    return pl.DataFrame(
        [
            (tag, order[repr(moment)], over, path)
            for (over, path, tag), moment in zip(files, moments, strict=True)
        ],
        schema=_SCHEMA,
        orient="row",
    ).unique("tag", keep="first")


def as_versions(rows: pl.DataFrame, schema: TableSchema, files: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that say what no delivery before theirs said, in their versions.

    `rows` are of one data set, `files` come from `delivered`. A record stays as it was delivered
    first. What a later delivery says otherwise is known when that is; so is a record that is late:
    a delivery before had reached its time, and held what it is of, without it. Records of which
    one delivery holds several versions are compared as a whole.
    """
    key = [c for c in schema.key if c in rows.columns]
    values = [c for c in rows.columns if c not in {*key, "event_time", "knowledge_time", "source",
                                                   "source_row"}]  # fmt: skip
    marked = (
        rows.with_columns(tag=pl.col("source_row") // (1 << ROW_BITS))
        .join(files, on="tag", how="left", maintain_order="left")
        .with_columns(
            pl.col("delivered").fill_null(pl.col("knowledge_time").max().over("order")),
            pl.struct(values).hash().alias(_SAID),
        )
    )
    groups = (
        marked.group_by(*key, "order")
        .agg(pl.col(_SAID).unique().sort())
        .sort("order")
        .with_columns(pl.col(_SAID).shift(1).over(key, order_by="order").alias(_BEFORE))
        .with_columns(
            __new=pl.col(_BEFORE).is_null() | (pl.col(_SAID) != pl.col(_BEFORE)),
            __first=pl.col(_BEFORE).is_null(),
        )
    )
    kept = marked.join(
        groups.filter("__new").select(*key, "order", "__first"), on=[*key, "order"], how="inner",
        nulls_equal=True, maintain_order="left",
    )  # fmt: skip
    by_name = files["delivered"].null_count() > 0
    return _known(kept, marked, schema, is_by_name=by_name).select(rows.columns)


def missing_later(rows: pl.DataFrame, schema: TableSchema, files: pl.DataFrame) -> pl.DataFrame:
    """Return the records that a later delivery lacks, as warnings in QUARANTINE_COLUMNS form.

    `rows` and `files` are those of `as_versions`. A delivery lacks a record where it holds others
    of its series from before and from after it; one of the newest days alone lacks nothing of the
    days before. A record that a still later one holds again is not missing.
    """
    subject = [c for c in _SUBJECTS if c in schema.key]
    key = [c for c in schema.key if c in rows.columns]
    if not subject or rows.is_empty():
        return pl.DataFrame(schema=QUARANTINE_COLUMNS)
    marked = rows.with_columns(tag=pl.col("source_row") // (1 << ROW_BITS)).join(
        files, on="tag", how="left"
    )
    since = pl.col("__since").cum_min(reverse=True).shift(-1)
    spans = (
        marked.group_by(*subject, "order")
        .agg(
            __since=pl.col("event_time").min(),
            __until=pl.col("event_time").max(),
            __lacking=pl.col("path").min(),
        )
        .with_columns(__earliest=since.over(subject, order_by="order"))
    )
    newest = marked.sort("order").unique(key, keep="last", maintain_order=True)
    # Of deliveries of the newest days nearly all records are older than whatever comes later.
    doubtful = newest.join(
        spans.select(*subject, "order", "__earliest"), on=[*subject, "order"], nulls_equal=True
    ).filter(pl.col("event_time") > pl.col("__earliest"))
    later = spans.rename({"order": "__later"}).drop("__earliest")
    found = (
        doubtful.join(later, on=subject, nulls_equal=True)
        .filter(
            pl.col("__later") > pl.col("order"),
            pl.col("event_time").is_between("__since", "__until"),
        )
        .sort("__later", *key)
        .unique(key, keep="first", maintain_order=True)
    )
    return _warnings(found, schema, rows.columns)


def _warnings(found: pl.DataFrame, schema: TableSchema, columns: list[str]) -> pl.DataFrame:
    """Return records that `__lacking` lacks as warnings: lost on the way, or withdrawn."""
    named = pl.struct([c for c in schema.key if c not in {"source", "event_time"}])
    return found.select(
        rule=pl.lit("deliveries"),
        table=pl.lit(schema.name),
        kind=pl.lit(MISSING_LATER),
        confidence=pl.lit(0.5),
        severity=pl.lit("warn"),
        reason=format_text(
            "a later delivery must hold what it spans: {} holds days around it and lacks {} of {}",
            pl.col("__lacking"),
            named.struct.json_encode(),
            pl.col("event_time").dt.to_string("iso:strict"),
        ),
        event_time="event_time",
        knowledge_time="knowledge_time",
        source="source",
        source_row="source_row",
        row=pl.struct(columns).struct.json_encode(),
    ).select(pl.col(name).cast(dtype) for name, dtype in QUARANTINE_COLUMNS.items())


def _known(
    kept: pl.DataFrame, marked: pl.DataFrame, schema: TableSchema, *, is_by_name: bool
) -> pl.DataFrame:
    """Give revised and late records the moment of their delivery.

    How far a delivery reached is seen over all that it holds; of files that follow one another by
    name alone, a file each, over what they hold of the same.
    """
    subject = [c for c in _SUBJECTS if c in schema.key]
    spans = (
        marked.group_by(*subject, "order")
        .agg(__first_at=pl.col("event_time").min(), __last_at=pl.col("event_time").max())
        .sort("order")
        .with_columns(__of=pl.struct(subject).hash() if subject else pl.lit(0, pl.UInt64))
        .with_columns(
            __began=pl.col("__first_at").cum_min().shift(1).over("__of"),
            __reached=pl.col("__last_at").cum_max().shift(1).over("__of"),
        )
    )
    if not is_by_name:
        whole = spans.group_by("order").agg(pl.col("__last_at").max()).sort("order")
        reached = whole.select("order", __reached=pl.col("__last_at").cum_max().shift(1))
        spans = spans.drop("__reached").join(reached, on="order", how="left")
    placed = kept.join(
        spans.select(*subject, "order", "__began", "__reached"), on=[*subject, "order"],
        how="left", nulls_equal=True, maintain_order="left",
    )  # fmt: skip
    is_late = pl.col("event_time").is_between("__began", "__reached").fill_null(value=False)
    later = pl.max_horizontal("knowledge_time", "delivered")
    return placed.with_columns(
        knowledge_time=pl.when(~pl.col("__first") | is_late)
        .then(later)
        .otherwise(pl.col("knowledge_time"))
    )


def _day_over(deliveries: Deliveries, path: str) -> datetime | None:
    if deliveries.by == "name":
        return None
    found = re.search(deliveries.day, path)
    text = "" if found is None else found["day"]
    try:
        day = datetime.strptime(text, deliveries.format).date()  # noqa: DTZ007 - a day
    except ValueError:
        raise MappingError(
            f"{path} must tell the day of its delivery as {deliveries.format} where "
            f"{deliveries.day!r} finds it, did not"
        ) from None
    over = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(deliveries.zone))
    return over.astimezone(UTC)


def _natural(path: str) -> list[Any]:
    """Return a path as it sorts where v10 comes after v2."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in
            re.split(r"(\d+)", path)]  # fmt: skip
