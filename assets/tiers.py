"""Tiers: what has aged moves from hot to warm to cold, and only after it was read back."""

from datetime import datetime

import dagster as dg
import polars as pl

from assets.ingest import preview
from assets.ports import RowTiers


@dg.asset(
    group_name="operations",
    deps=["decisions", "orders", "fills", "ledger"],
    kinds={"deltalake", "parquet"},
)
def tiers(rows: dg.ResourceParam[RowTiers]) -> dg.MaterializeResult:
    """Decisions, orders, fills and NAV by age: hot in process, warm in Parquet, cold in Delta.

    A row leaves a tier only after the next one was read back and its hash compared. Age counts
    from the newest session, so that past sessions tier as they would have when they were new.
    """
    newest: datetime = rows.query("nav")["event_time"].max()  # type: ignore[assignment]  # a column of times
    moves = rows.demote(newest)
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
        }
    )
