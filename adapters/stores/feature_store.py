"""The feature store that the assets see: Feast, and beside it the fast ways to its storage."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from adapters.stores.feast_tables import replace_span
from adapters.stores.online_block import FeatureBlock, block_from_frame
from adapters.stores.online_features import (
    EmbeddedOnlineFeatures,
    OnlineFeatures,
    RedisOnlineFeatures,
)
from adapters.stores.postgres_address import PostgresAddress
from features.store.families import (
    INSTRUMENT_KEY,
    MARKET_KEY,
    MARKET_SERVICE,
    MARKET_VIEW,
    TIME_COLUMNS,
    families,
    feature_names,
    market_features,
    market_rows,
    service_views,
)

if TYPE_CHECKING:
    from adapters.stores.redis_namespace import RedisNamespace

_INSTRUMENT_TABLE = "offline/instrument_features"
_MARKET_TABLE = "offline/market_features"


class FeastFeatureStore:
    """Features under one root folder: registry, offline rows, online rows.

    Feast itself is imported by `apply` and `training_set` alone; writing and online reading go to
    the storage that Feast reads and writes through its plugins, without its price. With
    `redis_url` the online rows lie in Redis, under the desk's `namespace`, else in
    `root/online.db`; with `postgres` the registry lies in that database, else in
    `root/registry.db`.
    """

    def __init__(
        self,
        root: Path,
        *,
        redis_url: str | None = None,
        namespace: "RedisNamespace | None" = None,
        postgres: PostgresAddress | None = None,
        project: str = "apiary",
    ) -> None:
        self._root = Path(root)
        self._redis_url = redis_url
        self._postgres = postgres
        self._project = project
        self._namespace = namespace
        self._feast: Any = None
        self._online: OnlineFeatures = (
            RedisOnlineFeatures(
                redis_url, project=project, prefix=None if namespace is None else namespace.online
            )
            if redis_url
            else EmbeddedOnlineFeatures(self._root / "online.db")
        )

    def apply(self) -> Sequence[str]:
        """Register entities, views and services and return their names.

        What is defined no longer is forgotten. Applying twice changes nothing.
        """
        from adapters.stores.feast_registry import apply_definitions

        return apply_definitions(self.feast())

    def write_offline(self, rows: pl.DataFrame, *, start: datetime, end: datetime) -> Path:
        """Replace the offline rows with start <= event_time < end, in one new version.

        `rows` has instrument_id, event_time, knowledge_time, as_of and every feature. Raises
        ValueError where a column is missing or a row lies outside the span.
        """
        table = _conforming(rows)
        path = self._root / _INSTRUMENT_TABLE
        for folder, part in ((path, table), (self._root / _MARKET_TABLE, market_rows(table))):
            if part.width > len(TIME_COLUMNS) + 1:
                replace_span(folder, part, time_column="event_time", start=start, end=end)
        return path

    def training_set(self, entities: pl.DataFrame, service: str) -> pl.DataFrame:
        """Return, for each (instrument_id, event_timestamp), the features known then.

        Every entity row comes back, in its order and with its other columns; null where nothing
        was known or the newest row is older than the views allow. Raises KeyError for an unknown
        service.
        """
        service_views(service)
        store = self.feast()
        store.refresh_registry()  # another process may have applied since this one opened it
        job = store.get_historical_features(
            entity_df=entities,
            features=store.get_feature_service(service),
            filter_by_created_timestamp=True,  # Feast's default lets revisions leak into the past
        )
        return job.to_polars()

    def push_online(self, rows: pl.DataFrame) -> int:
        """Make the newest row per instrument readable online; return how many instruments.

        A row older than the one online is not taken. All views change at once or none does.
        """
        table = _conforming(rows)
        blocks = {v: _block(table, names, INSTRUMENT_KEY) for v, names in families().items()}
        if market_features():
            blocks[MARKET_VIEW] = _block(market_rows(table), market_features(), MARKET_KEY)
        self._online.write(blocks)
        return table[INSTRUMENT_KEY].n_unique()

    def online(self, instrument_ids: Sequence[str], service: str) -> pl.DataFrame:
        """Return one row per instrument, in the order asked; null where nothing is known.

        Columns: instrument_id, event_time (of the oldest view), knowledge_time (of the newest),
        and the service's features. Equal to Feast's get_online_features. Raises KeyError for an
        unknown service, CorruptBlockError where what is stored cannot be trusted.
        """
        views, on_demand = service_views(service)
        rows = self._online.read(instrument_ids, views)
        key = MARKET_KEY if service == MARKET_SERVICE else INSTRUMENT_KEY
        frame = rows.frame(key)
        columns = {n: rows.values[:, i] for i, n in enumerate(rows.feature_names)}
        return frame.hstack([_computed(feature, columns) for feature in on_demand])

    def newest_online(self) -> tuple[int, datetime | None]:
        """Return how many instruments have rows online, and of which time the newest is."""
        found = [b for b in self._online.blocks(list(families())) if b is not None]
        times = [int(b.event_us.max()) for b in found if len(b.event_us)]
        newest = datetime.fromtimestamp(max(times) / 1e6, UTC) if times else None
        return len({key for block in found for key in block.keys}), newest

    def feast(self) -> Any:
        """Return the feast.FeatureStore on this root, imported and opened once."""
        if self._feast is None:
            from adapters.stores.feast_registry import open_store

            namespace = None if self._namespace is None else self._namespace.name()
            self._feast = open_store(
                self._root, self._project, self._redis_url, self._postgres, namespace
            )
        return self._feast

    def close(self) -> None:
        """Give back file handles and connections."""
        self._online.close()


def _conforming(rows: pl.DataFrame) -> pl.DataFrame:
    columns = (INSTRUMENT_KEY, *TIME_COLUMNS, *feature_names())
    missing = [c for c in columns if c not in rows.columns]
    if missing:
        raise ValueError(f"feature rows must have the columns {missing}, had {rows.columns}")
    features = (pl.col(n).cast(pl.Float64).fill_nan(None) for n in feature_names())
    times = (pl.col(c).cast(pl.Datetime("us", "UTC")) for c in TIME_COLUMNS)
    return rows.select(pl.col(INSTRUMENT_KEY).cast(pl.String), *times, *features)


def _block(rows: pl.DataFrame, names: Sequence[str], key: str) -> FeatureBlock:
    return block_from_frame(rows, names, key=key, event="event_time", known="knowledge_time")


def _computed(feature: Any, columns: Mapping[str, Any]) -> pl.Series:
    """Run an on-demand feature on plain arrays: the formula that Feast runs on a pandas frame."""
    values = feature.transform(columns)[feature.name].to_numpy()
    return pl.Series(feature.name, values, dtype=pl.Float64, nan_to_null=True)
