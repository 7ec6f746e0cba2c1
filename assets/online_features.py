"""Online features: the newest row of each instrument, where a decision reads it in microseconds."""

from datetime import timedelta

import dagster as dg
import polars as pl

from assets.ports import FeatureStore, TableStore
from features import catalog
from features.store.families import DECISION_SERVICE

EQUALS_OFFLINE = "online_equals_offline"
RECENT = timedelta(days=14)


@dg.asset(
    group_name="features",
    deps=["features", "feature_registry"],
    kinds={"feast"},
    check_specs=[
        dg.AssetCheckSpec(
            EQUALS_OFFLINE,
            asset="online_features",
            blocking=True,
            description="What a decision reads online is what the feature table holds.",
        )
    ],
)
def online_features(
    tables: dg.ResourceParam[TableStore], feature_store: dg.ResourceParam[FeatureStore]
) -> dg.MaterializeResult:
    """The newest feature row of every instrument, pushed to the online store."""
    end = tables.read("features", columns=["event_time"])["event_time"].max()
    if end is None:
        raise ValueError(
            "there must be features of a session, were none: no bar is known by its decision "
            "(book.decision_lag_minutes after the close)"
        )
    rows = tables.read("features", start=end - RECENT)  # type: ignore[operator]  # a column of times
    newest = rows.sort("event_time").unique("instrument_id", keep="last", maintain_order=True)
    written = feature_store.push_online(newest)
    ids = newest["instrument_id"].to_list()
    read = feature_store.online(ids, DECISION_SERVICE)
    names = [f.name for f in catalog.CATALOG]
    equal = read.select(names).equals(newest.select(pl.col(n).fill_nan(None) for n in names))
    return dg.MaterializeResult(
        metadata={"instrument_count": written, "newest": str(end)},
        check_results=[
            dg.AssetCheckResult(
                check_name=EQUALS_OFFLINE, passed=equal, metadata={"compared": len(ids)}
            )
        ],
    )
