"""Whether data may be traded on: the outcome of every blocking check, kept beside the tables.

The outcome is stored, not only shown, because orders are released long after a check ran and in
another process: what is not written here as passed counts as failed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from features.schemas import UTC_TIME, TableSchema

DATA_STATUS = TableSchema(
    name="data_status",
    columns={
        "table": pl.String(),
        "partition": pl.String(),
        "event_time": UTC_TIME,  # start of the partition
        "knowledge_time": UTC_TIME,  # the moment the rows were judged at
        "passed": pl.Boolean(),
        "reasons": pl.String(),
        "withheld": pl.String(),  # instruments whose newest record is bad, comma-separated
        # From which event_time on each of them has no good one (ISO), comma-separated.
        "withheld_since": pl.String(),
        "row_count": pl.Int64(),
        "quarantined_count": pl.Int64(),
        "raw_version": pl.Int64(),  # of the raw table that was judged
    },
    key=("table", "partition"),
    required=("table", "partition", "event_time", "knowledge_time", "passed"),
)


@dataclass(frozen=True, slots=True)
class Release:
    """Whether orders may leave, and if not, why."""

    passed: bool
    reason: str
    withheld: frozenset[str] = frozenset()  # instruments that may not be traded


def may_release(
    status: pl.DataFrame, required_tables: Sequence[str], partition: str, moment: datetime
) -> Release:
    """Return whether the newest outcome of every required table's partition is a pass.

    A missing outcome is a failure: what could not be measured is not traded on. At a `moment`
    before an instrument's records were bad it may be traded: a backfill knows no more than a desk
    did then.
    """
    found = {
        row["table"]: row
        for row in status.filter(pl.col("partition") == partition)
        .sort("knowledge_time")
        .iter_rows(named=True)
    }
    problems: list[str] = []
    for table in required_tables:
        row = found.get(table)
        if row is None:
            problems.append(f"{table} of {partition} was not checked")
        elif not row["passed"]:
            problems.append(f"{table} of {partition} failed: {row['reasons']}")
    withheld = frozenset(name for row in found.values() for name in _withheld_at(row, moment))
    return Release(passed=not problems, reason="; ".join(problems), withheld=withheld)


def _withheld_at(row: Mapping[str, Any], moment: datetime) -> Iterator[str]:
    """Yield the instruments that an outcome withholds; one of an older release at all moments."""
    names = (row["withheld"] or "").split(",")
    told = row.get("withheld_since")
    since = told.split(",") if told else [""] * len(names)
    for name, begins in zip(names, since, strict=True):
        if name and (not begins or datetime.fromisoformat(begins) <= moment):
            yield name
