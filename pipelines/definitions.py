"""The code location: every asset, check, job, schedule, sensor and resource, in one place."""

import warnings

import dagster as dg

# A single-run backfill is beta in name; a test pins its behaviour.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

from assets.cleaning import CLEAN_TABLES  # noqa: E402 - the filter must stand before the assets
from assets.cleaning_checks import SUITE_CHECKS, data_docs  # noqa: E402
from assets.feature_tables import feature_registry, feature_table  # noqa: E402
from assets.ingest import RAW_TABLES, instruments  # noqa: E402
from assets.learning import (  # noqa: E402
    champion_model,
    forecast_model,
    forecasts,
    promotion_rule,
)
from assets.online_features import online_features  # noqa: E402
from assets.report import report  # noqa: E402
from assets.tiers import tiers  # noqa: E402
from assets.trading import trading_sessions  # noqa: E402
from pipelines.jobs import JOBS  # noqa: E402
from pipelines.resources import resource_definitions  # noqa: E402
from pipelines.schedules import SCHEDULES  # noqa: E402
from pipelines.sensors import run_failure_notification, swarm_decision_sensor  # noqa: E402

defs = dg.Definitions(
    assets=[
        instruments,
        *RAW_TABLES,
        *CLEAN_TABLES,
        feature_table,
        feature_registry,
        online_features,
        forecast_model,
        champion_model,
        forecasts,
        trading_sessions,
        tiers,
        data_docs,
        report,
    ],
    asset_checks=[promotion_rule, *SUITE_CHECKS],
    jobs=JOBS,
    schedules=SCHEDULES,
    sensors=[swarm_decision_sensor, run_failure_notification],
    resources=resource_definitions(),
)
