"""Jobs: which assets run together, over which partitions."""

import dagster as dg

from assets.ingest import INGESTED
from assets.partitions import MONTHS

BOOK_TAG = {"apiary/book": "main"}  # one book is traded by one run at a time

RAW = [f"raw_{name}" for name in INGESTED]
CLEAN = [f"clean_{name}" for name in INGESTED]
FEATURES = ["features", "feature_registry", "online_features"]

history_job = dg.define_asset_job(
    "history_job",
    selection=dg.AssetSelection.assets("instruments", *RAW, *CLEAN, *FEATURES),
    partitions_def=MONTHS,
    description="Ingest, validate and compute features over any range of months, in one run.",
    executor_def=dg.in_process_executor,
)
session_job = dg.define_asset_job(
    "session_job",
    selection=dg.AssetSelection.assets("instruments", *RAW, *CLEAN, *FEATURES, "forecasts"),
    partitions_def=MONTHS,
    description="The newest session: what is new this month, up to forecasts.",
    executor_def=dg.in_process_executor,
)
training_job = dg.define_asset_job(
    "training_job",
    selection=dg.AssetSelection.assets("forecast_model", "champion_model"),
    description="Train a challenger and promote it where the written rule says so.",
    executor_def=dg.in_process_executor,
)
forecast_job = dg.define_asset_job(
    "forecast_job",
    selection=dg.AssetSelection.assets("forecasts"),
    partitions_def=MONTHS,
    description="Forecast with the champion over any range of months.",
    executor_def=dg.in_process_executor,
)
swarm_decision_job = dg.define_asset_job(
    "swarm_decision_job",
    selection=dg.AssetSelection.assets("decisions", "orders", "fills", "ledger"),
    description="The colony decides a session, the gate checks it, and orders go to the broker.",
    tags=BOOK_TAG,
    executor_def=dg.in_process_executor,
)
report_job = dg.define_asset_job(
    "report_job",
    selection=dg.AssetSelection.assets("tiers", "data_docs", "report"),
    description="Move what has aged to colder tiers and write the report.",
    tags=BOOK_TAG,
    executor_def=dg.in_process_executor,
)
upkeep_job = dg.define_asset_job(
    "upkeep_job",
    selection=dg.AssetSelection.assets("tiers", "cold_upkeep", "cold_archive"),
    description="Move what has aged, compact and vacuum the cold tier, archive its old months.",
    tags=BOOK_TAG,
    executor_def=dg.in_process_executor,
)

parity_job = dg.define_asset_job(
    "parity_job",
    selection=dg.AssetSelection.assets("session_parity"),
    description="Run the last session again through the path of backtests and tell what differs.",
    tags=BOOK_TAG,
    executor_def=dg.in_process_executor,
)

JOBS = [
    history_job,
    session_job,
    training_job,
    forecast_job,
    swarm_decision_job,
    report_job,
    parity_job,
    upkeep_job,
]
