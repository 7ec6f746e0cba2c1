"""Feast's online store on packed blocks: Feast's path and the fast one read the same."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from feast import Entity
from feast.feature_view import FeatureView
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.types import Float64

from adapters.stores.online_block import FeatureBlock, newest
from adapters.stores.online_features import (
    EmbeddedOnlineFeatures,
    OnlineFeatures,
    RedisOnlineFeatures,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]


class PackedOnlineStoreConfig(FeastConfigBaseModel):
    """Where the blocks lie: a file, or a Redis server if `url` is given."""

    type: Literal["adapters.stores.feast_online.PackedOnlineStore"] = (
        "adapters.stores.feast_online.PackedOnlineStore"
    )
    path: str = "online.db"  # relative to the folder of feature_store.yaml
    url: str | None = None
    namespace: str | None = None  # what a desk's keys on a server begin with; the project if unset
    timeout_s: float = 1.0


@cache
def _open(path: Path, url: str | None, namespace: str, timeout_s: float) -> OnlineFeatures:
    if url:
        return RedisOnlineFeatures(url, project=namespace, timeout_s=timeout_s)
    return EmbeddedOnlineFeatures(path)


class PackedOnlineStore(OnlineStore):
    """Views of Float64 features under one text key, each view one block."""

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[Row],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Take the rows that are not older than those there.

        Raises ValueError where the view is not of Float64 under one text key.
        """
        _require_packable(table)
        if data:
            self._store(config).write({table.name: _block(table, data)})
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """Return each key's event time and values; (None, None) where nothing is known."""
        (block,) = self._store(config).blocks([table.name])
        if block is None:
            return [(None, None)] * len(entity_keys)
        wanted = requested_features or [f.name for f in table.features]
        columns = [(n, block.feature_names.index(n)) for n in wanted if n in block.feature_names]
        rows = [block.positions.get(_text_key(key)) for key in entity_keys]
        return [(None, None) if r is None else _protos(block, r, columns) for r in rows]

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Forget the deleted views; refuse a view that cannot be packed before it is registered."""
        for view in tables_to_keep:
            _require_packable(view)
        if tables_to_delete:
            self._store(config).delete([view.name for view in tables_to_delete])

    def teardown(
        self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]
    ) -> None:
        """Forget every view."""
        self._store(config).delete([view.name for view in tables])

    def _store(self, config: RepoConfig) -> OnlineFeatures:
        settings = config.online_store
        if not isinstance(settings, PackedOnlineStoreConfig):
            raise TypeError(f"online_store must be ours, was {type(settings).__name__}")
        path = (Path(config.repo_path or ".") / settings.path).resolve()
        namespace = settings.namespace or config.project
        return _open(path, settings.url, namespace, settings.timeout_s)


def _require_packable(view: FeatureView) -> None:
    other = [f.name for f in view.features if f.dtype != Float64]
    if other:
        raise ValueError(f"online features of {view.name} must be Float64, {other} were not")
    if len(view.join_keys) != 1:
        raise ValueError(f"{view.name} must have one key online, had {view.join_keys}")


def _text_key(key: EntityKey) -> str:
    (value,) = key.entity_values
    if value.WhichOneof("val") != "string_val":
        raise ValueError(f"the key {list(key.join_keys)} must be text, was {value}")
    return value.string_val


def _microseconds(time: datetime | None) -> int:
    if time is None:
        return 0
    return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def _block(view: FeatureView, data: Sequence[Row]) -> FeatureBlock:
    names = tuple(f.name for f in view.features)
    values = np.array([[_number(row[1].get(n)) for n in names] for row in data])
    event = np.array([_microseconds(row[2]) for row in data], dtype=np.int64)
    # A source without a knowledge time is known when it happens.
    known = np.array([_microseconds(row[3] or row[2]) for row in data], dtype=np.int64)
    keys = tuple(_text_key(row[0]) for row in data)
    return newest([FeatureBlock(names, keys, event, known, values.reshape(len(data), len(names)))])


def _number(value: Value | None) -> float:
    known = value is not None and value.WhichOneof("val") == "double_val"
    return value.double_val if known and value is not None else float("nan")


def _protos(
    block: FeatureBlock, row: int, columns: Sequence[tuple[str, int]]
) -> tuple[datetime, dict[str, Value]]:
    numbers = block.values[row].tolist()
    event = _EPOCH + int(block.event_us[row]) * _MICROSECOND
    return event, {
        name: Value(double_val=number) if (number := numbers[c]) == number else Value()
        for name, c in columns
    }
