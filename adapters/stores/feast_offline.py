"""Feast's offline store on polars: point-in-time retrieval without leaks, whole and in order."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Literal

import pandas as pd
import polars as pl
import pyarrow as pa
from feast.data_source import DataSource
from feast.feature_view import FeatureView
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig

from adapters.stores.feast_job import PolarsRetrievalJob
from adapters.stores.feast_requests import plan_joins, request_frame, with_features
from adapters.stores.feast_tables import append, offline_root, scan_source, source_path


class PolarsOfflineStoreConfig(FeastConfigBaseModel):
    """Settings of the store, as they stand under `offline_store` in feature_store.yaml."""

    type: Literal["adapters.stores.feast_offline.PolarsOfflineStore"] = (
        "adapters.stores.feast_offline.PolarsOfflineStore"
    )
    # The folder that relative paths of sources start from; that of feature_store.yaml if not given.
    root: str | None = None
    # Feast serves values revised after the decision unless each call asks it not to. Here a row
    # counts only from its knowledge time on, whatever the call says; False gives Feast's own way.
    known_only: bool = True


class PolarsOfflineStore(OfflineStore):
    """Reads Delta tables, Parquet files and folders of them; joins as of event and knowledge."""

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | pl.DataFrame | pa.Table | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **_ranges: datetime,
    ) -> PolarsRetrievalJob:
        """Return the job that looks up, for each entity row, the features known at its time.

        Keeps every entity row, its order and its other columns; null where nothing was known.
        Raises TypeError where the entities are not a frame, ValueError where they name no time.
        """
        requests, time_column = request_frame(entity_df)
        known_only = filter_by_created_timestamp or _settings(config).known_only
        joins = plan_joins(
            feature_views, feature_refs, time_column, full_feature_names, known_only=known_only
        )
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        span = requests[time_column].min(), requests[time_column].max()
        return PolarsRetrievalJob(
            lambda: with_features(requests, joins, lambda s: scan_source(config, s)),
            on_demand_feature_views=on_demand,
            full_feature_names=full_feature_names,
            root=offline_root(config),
            metadata=RetrievalMetadata(
                features=feature_refs,
                keys=[c for c in requests.columns if c != time_column],
                min_event_timestamp=_instant(span[0]),
                max_event_timestamp=_instant(span[1]),
            ),
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime | None,
        end_date: datetime | None,
    ) -> PolarsRetrievalJob:
        """Return each key's newest row of the span: newest event, then newest knowledge."""
        times = [c for c in (timestamp_field, created_timestamp_column) if c]
        columns = [*join_key_columns, *feature_name_columns, *times]
        rows = _between(scan_source(config, data_source), timestamp_field, start_date, end_date)
        ordered = rows.select(columns).sort(times, maintain_order=True, nulls_last=False)
        newest = (
            ordered.unique(join_key_columns, keep="last", maintain_order=True)
            if join_key_columns
            else ordered.last()
        )
        return PolarsRetrievalJob(newest.collect, root=offline_root(config))

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> PolarsRetrievalJob:
        """Return every row of the span, every version of it, both ends included."""
        times = [c for c in (timestamp_field, created_timestamp_column) if c]
        rows = _between(scan_source(config, data_source), timestamp_field, start_date, end_date)
        wanted = rows.select([*join_key_columns, *feature_name_columns, *times])
        return PolarsRetrievalJob(wanted.collect, root=offline_root(config))

    @staticmethod
    def offline_write_batch(
        config: RepoConfig,
        feature_view: FeatureView,
        table: pa.Table,
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Add the rows to the view's source: new versions beside the old, never over them.

        Raises ValueError where the columns are not exactly the source's.
        """
        source = feature_view.batch_source
        if source is None:
            raise ValueError(f"feature view {feature_view.name} must have a batch source, had none")
        append(source_path(config, source), source, pl.DataFrame(pl.from_arrow(table)))
        if progress:
            progress(table.num_rows)

    def get_table_column_names_and_types_from_data_source(
        self, config: RepoConfig, data_source: DataSource
    ) -> Iterable[tuple[str, str]]:
        """Return the source's columns with their Arrow types."""
        schema = scan_source(config, data_source).head(0).collect().to_arrow().schema
        return [(f.name, str(f.type).removeprefix("large_")) for f in schema]

    def validate_data_source(self, config: RepoConfig, data_source: DataSource) -> None:
        """Accept a source that has no rows yet; refuse one without the declared columns."""
        if not source_path(config, data_source).exists():
            return
        names = scan_source(config, data_source).collect_schema().names()
        declared = (data_source.timestamp_field, data_source.created_timestamp_column)
        missing = [c for c in declared if c and c not in names]
        if missing:
            raise ValueError(f"source {data_source.name} must have the columns {missing}")


def _settings(config: RepoConfig) -> PolarsOfflineStoreConfig:
    found = config.offline_store
    if not isinstance(found, PolarsOfflineStoreConfig):
        raise TypeError(f"offline_store must be ours, was {type(found).__name__}")
    return found


def _between(
    rows: pl.LazyFrame, column: str, start: datetime | None, end: datetime | None
) -> pl.LazyFrame:
    zone = getattr(rows.collect_schema()[column], "time_zone", None)
    for bound, compare in ((start, pl.Expr.ge), (end, pl.Expr.le)):
        if bound is not None:
            instant = pl.lit(
                pd.Timestamp(bound).tz_localize("UTC") if bound.tzinfo is None else bound
            )
            aligned = instant.cast(pl.Datetime("us", "UTC"))
            same = aligned if zone else aligned.dt.replace_time_zone(None)
            rows = rows.filter(compare(pl.col(column), same))
    return rows


def _instant(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None
