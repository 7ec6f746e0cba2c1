"""Opening Feast on a folder, and registering the house's definitions in it."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL

from adapters.stores.feast_loading import load_feast
from adapters.stores.postgres_address import PostgresAddress

_SCHEMA = "apiary_feast"


def open_store(
    root: Path,
    project: str,
    redis_url: str | None,
    postgres: PostgresAddress | None = None,
    namespace: str | None = None,
) -> Any:
    """Return the feast.FeatureStore whose registry, offline and online rows lie under the root.

    With `redis_url` the online rows lie in Redis, under `namespace`, with `postgres` the registry
    lies there, in a schema of its own.
    """
    feast = load_feast()
    root.mkdir(parents=True, exist_ok=True)
    online: dict[str, object] = {"type": "adapters.stores.feast_online.PackedOnlineStore"}
    config = feast.RepoConfig(
        project=project,
        provider="local",
        registry=_sql_registry(postgres) if postgres else str(root.resolve() / "registry.db"),
        offline_store={"type": "adapters.stores.feast_offline.PolarsOfflineStore"},
        online_store=online
        | ({"url": redis_url, "namespace": namespace} if redis_url else {"path": "online.db"}),
        entity_key_serialization_version=3,
        repo_path=root.resolve(),
    )
    return feast.FeatureStore(config=config)


def _sql_registry(address: PostgresAddress) -> dict[str, object]:
    with address.connect("apiary feast registry") as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
    parts: dict[str, Any] = dict(conninfo_to_dict(address.conninfo()))
    url = URL.create(
        "postgresql+psycopg",
        username=parts.pop("user", None),
        password=parts.pop("password", None),
        host=parts.pop("host", None),
        port=int(parts.pop("port", 5432)),
        database=parts.pop("dbname", None),
        query={k: str(v) for k, v in parts.items()} | {"options": f"-csearch_path={_SCHEMA}"},
    )
    return {
        "registry_type": "sql",
        "path": url.render_as_string(hide_password=False),
        "cache_ttl_seconds": 60,
        "sqlalchemy_config_kwargs": {"echo": False, "pool_pre_ping": True},
    }


def apply_definitions(store: Any) -> Sequence[str]:
    """Register every definition, delete what is defined no more, and return the names."""
    load_feast()
    from features.store.definitions import feast_objects

    objects = feast_objects()
    names = {(type(o).__name__, getattr(o, "name", "")) for o in objects}
    gone = [o for o in _registered(store) if (type(o).__name__, o.name) not in names]
    with warnings.catch_warnings():
        # Said at every apply; what "does not scale" is Feast's own job, which ours replaces.
        warnings.filterwarnings("ignore", message="On demand feature view is an experimental")
        store.apply(objects, objects_to_delete=gone, partial=False)
    return tuple(dict.fromkeys(str(getattr(o, "name", "")) for o in objects))


def _registered(store: Any) -> list[Any]:
    return [
        *store.list_feature_services(),
        *store.list_on_demand_feature_views(),
        *store.list_feature_views(),
        *store.list_entities(),
        *store.list_data_sources(),
    ]
