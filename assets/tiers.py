"""Tiers: what has aged goes down, and only after it was read back; the cold tier is kept."""

from collections.abc import Sequence
from datetime import datetime

import dagster as dg
import polars as pl

from assets.ingest import preview
from assets.ports import Clock, RowTiers, TierArchive, TierDamage, TierUpkeep

LIES_ONCE = "every_row_lies_in_one_tier"
UNDAMAGED = "everything_is_as_it_was_written"
PINS_STAND = "pinned_versions_can_be_read"
ARCHIVE_WHOLE = "the_archive_has_lost_nothing"


@dg.asset(
    group_name="operations",
    deps=["decisions", "orders", "fills", "ledger"],
    kinds={"deltalake", "parquet"},
    check_specs=[
        dg.AssetCheckSpec(
            LIES_ONCE,
            asset="tiers",
            description="As many rows lie in all tiers together as there are different ones.",
        ),
        dg.AssetCheckSpec(
            UNDAMAGED,
            asset="tiers",
            description="Every segment and every file of every tier has the hash it was given.",
        ),
    ],
)
def tiers(rows: dg.ResourceParam[RowTiers]) -> dg.MaterializeResult:
    """Decisions, orders, fills and NAV by age, down the hot, warm and cold tier.

    A row leaves a tier only after the next one was read back and its hash compared. Age counts
    from the newest session, so that past sessions tier as they would have when they were new.
    """
    newest: datetime = rows.query("nav")["event_time"].max()  # type: ignore[assignment]  # a column of times
    moves = rows.demote(newest, closed_until=newest)
    moved = pl.DataFrame(
        [(m.table, m.source, m.target, m.row_count) for m in moves],
        schema=["table", "from", "to", "rows"],
        orient="row",
    )
    places = rows.places()
    return dg.MaterializeResult(
        metadata={
            "moves": len(moves),
            "moved": preview(
                moved.group_by("table", "from", "to").agg(pl.col("rows").sum()).sort("table")
                if moves
                else moved,
                count=40,
            ),
            "places": preview(places, count=100),
        },
        check_results=[_lies_once(rows), _undamaged(rows)],
    )


def _lies_once(rows: RowTiers) -> dg.AssetCheckResult:
    counted = rows.counted()
    doubled = counted.filter(pl.col("rows") != pl.col("distinct"))
    return dg.AssetCheckResult(
        check_name=LIES_ONCE,
        passed=doubled.is_empty(),
        metadata={"counted": preview(counted, count=40)},
    )


def _undamaged(rows: RowTiers) -> dg.AssetCheckResult:
    return _told(UNDAMAGED, rows.damages())


def _told(check: str, damages: Sequence[TierDamage]) -> dg.AssetCheckResult:
    named = pl.DataFrame(
        [(d.tier, d.table, d.name, d.reason) for d in damages],
        schema=dict.fromkeys(("tier", "table", "name", "reason"), pl.String()),
        orient="row",
    )
    return dg.AssetCheckResult(
        check_name=check,
        passed=not damages,
        metadata={"damages": preview(named, count=40)},
    )


@dg.asset(
    group_name="operations",
    deps=["tiers"],
    kinds={"deltalake"},
    check_specs=[
        dg.AssetCheckSpec(
            PINS_STAND,
            asset="cold_upkeep",
            description="Every version that a decision, model or backtest read has all its files.",
        )
    ],
)
def cold_upkeep(upkeep: dg.ResourceParam[TierUpkeep]) -> dg.MaterializeResult:
    """The cold tier compacted and vacuumed: months of many files become one, sorted by instrument.

    Files go when no newer version reads them and the retention is over, but never one that a
    version on record reads.
    """
    done = upkeep.keep()
    missing = upkeep.broken_pins()
    told = pl.DataFrame(
        [(d.table, d.version, d.removed_file_count, len(d.kept_versions)) for d in done],
        schema={"table": pl.String, "version": pl.Int64, "removed": pl.Int64, "pinned": pl.Int64},
        orient="row",
    )
    return dg.MaterializeResult(
        metadata={
            "tables": preview(told, count=100),
            "removed_files": sum(d.removed_file_count for d in done),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=PINS_STAND,
                passed=not missing,
                metadata={"missing": dg.MetadataValue.json(list(missing))},
            )
        ],
    )


@dg.asset(
    group_name="operations",
    deps=["cold_upkeep"],
    kinds={"deltalake", "s3"},
    check_specs=[
        dg.AssetCheckSpec(
            ARCHIVE_WHOLE,
            asset="cold_archive",
            description="What can be read of the archive has the sum that it was taken with.",
        )
    ],
)
def cold_archive(
    archive: dg.ResourceParam[TierArchive], clock: dg.ResourceParam[Clock]
) -> dg.MaterializeResult:
    """Old months of the cold tier in the archive class, or on the medium, that the settings name.

    Readers find them where they were; what must be thawed first is named in one line. What was
    asked back (`apiary tiers thaw`) stays out until its time.
    """
    kept = archive.keep(clock.now())
    told = pl.DataFrame(
        [(k.table, k.taken_count, k.kept_count, k.kept_bytes, k.frozen_count) for k in kept],
        schema={"table": pl.String}
        | dict.fromkeys(("taken", "kept", "bytes", "frozen"), pl.Int64()),
        orient="row",
    )
    return dg.MaterializeResult(
        metadata={
            "tables": preview(told, count=100),
            "taken_files": sum(k.taken_count for k in kept),
            "archived_bytes": sum(k.kept_bytes for k in kept),
        },
        check_results=[_told(ARCHIVE_WHOLE, archive.damages())],
    )
