"""The code location: every asset, check, job, schedule, sensor and resource, in one place."""

import dagster as dg

from assets.backtests import backtests
from assets.cleaning import CLEAN_TABLES
from assets.cleaning_checks import SUITE_CHECKS, data_docs
from assets.feature_tables import feature_registry, feature_table
from assets.ingest import RAW_TABLES, instruments
from assets.learning import (
    champion_model,
    forecast_model,
    forecasts,
    promotion_rule,
)
from assets.online_features import online_features
from assets.parity import session_parity
from assets.partitions import session_partitions
from assets.report import report
from assets.tearsheets import tearsheets
from assets.tiers import cold_archive, cold_upkeep, tiers
from assets.trading import trading_sessions
from pipelines.backtests import (
    backtest_job,
    backtest_resources,
    experiments_sensor,
    tearsheet_job,
)
from pipelines.halting import halt_job
from pipelines.jobs import JOBS
from pipelines.market import desk_calendar
from pipelines.resources import resource_definitions
from pipelines.schedules import build_schedules
from pipelines.sensors import (
    run_failure_notification,
    swarm_decision_sensor,
    tearsheets_sensor,
)


def build_definitions(calendar: str) -> dg.Definitions:
    """Return the code location of a desk whose sessions are those of this calendar."""
    sessions = session_partitions(calendar)
    traded = trading_sessions.map_asset_specs(
        lambda spec: spec.replace_attributes(partitions_def=sessions)
    )
    return dg.Definitions(
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
            traded,
            tiers,
            cold_upkeep,
            cold_archive,
            data_docs,
            report,
            session_parity,
            backtests,
            tearsheets,
        ],
        asset_checks=[promotion_rule, *SUITE_CHECKS],
        jobs=[*JOBS, backtest_job, tearsheet_job, halt_job],
        schedules=build_schedules(calendar),
        sensors=[
            swarm_decision_sensor,
            run_failure_notification,
            experiments_sensor,
            tearsheets_sensor,
        ],
        resources={**resource_definitions(), **backtest_resources()},
    )


defs = build_definitions(desk_calendar())
