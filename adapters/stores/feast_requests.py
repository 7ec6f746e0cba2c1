"""From Feast's request (entity rows, feature references, views) to joins, and their evaluation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pandas as pd
import polars as pl
import pyarrow as pa
from feast.data_source import DataSource
from feast.feature_view import FeatureView

from adapters.stores.feast_join import AsOf, matching_rows

_EVENT_TIMESTAMP = "event_timestamp"


@dataclass(frozen=True, slots=True)
class Join:
    """One look-up in one source: the rule, and each feature's column there and in the result."""

    source: DataSource
    rule: AsOf
    outputs: tuple[tuple[str, str], ...]


def request_frame(entities: object) -> tuple[pl.DataFrame, str]:
    """Return the entity rows as a polars frame, and the name of their time.

    The time is `event_timestamp` or the only column of instants. A naive time is taken as UTC.
    """
    if isinstance(entities, pl.LazyFrame):
        frame = entities.collect()
    elif isinstance(entities, pl.DataFrame):
        frame = entities
    elif isinstance(entities, pd.DataFrame):
        frame = pl.from_pandas(entities)
    elif isinstance(entities, pa.Table):
        frame = pl.DataFrame(pl.from_arrow(entities))
    else:
        raise TypeError(
            f"entities must be a polars, pandas or Arrow table, was {type(entities).__name__}"
        )
    instants = [c for c, t in frame.schema.items() if isinstance(t, pl.Datetime)]
    if _EVENT_TIMESTAMP in frame.columns:
        return frame, _EVENT_TIMESTAMP
    if len(instants) == 1:
        return frame, instants[0]
    raise ValueError(f"entities must have a column {_EVENT_TIMESTAMP}, had {frame.columns}")


def plan_joins(
    views: Sequence[FeatureView],
    references: Sequence[str],
    time_column: str,
    full_names: bool,
    *,
    known_only: bool,
) -> tuple[Join, ...]:
    """Return the joins that answer the references; views on one source and one rule share one."""
    outputs: dict[tuple[str, AsOf], list[tuple[str, str]]] = {}
    sources: dict[str, DataSource] = {}
    for view in views:
        source = view.batch_source
        if source is None:
            raise ValueError(f"feature view {view.name} must have a batch source, had none")
        sources[source.name] = source
        found = outputs.setdefault((source.name, _rule(view, source, time_column, known_only)), [])
        prefix = view.projection.name_to_use()
        shown = view.projection.name_alias or view.name
        for reference in references:
            of_view, _, feature = reference.partition(":")
            pair = (feature, f"{shown}__{feature}" if full_names else feature)
            if of_view == prefix and pair not in found:
                found.append(pair)
    return tuple(
        Join(sources[name], rule, tuple(pairs)) for (name, rule), pairs in outputs.items() if pairs
    )


def _rule(view: FeatureView, source: DataSource, time_column: str, known_only: bool) -> AsOf:
    keys = tuple(c.name for c in view.entity_columns)
    renamed = view.projection.join_key_map
    return AsOf(
        left_keys=tuple(renamed.get(k, k) for k in keys),
        right_keys=keys,
        left_time=time_column,
        event=source.timestamp_field,
        known=source.created_timestamp_column or None,
        known_only=known_only,
        max_age=view.ttl if view.ttl and view.ttl > timedelta(0) else None,
    )


def with_features(
    requests: pl.DataFrame, joins: Sequence[Join], scan: Callable[[DataSource], pl.LazyFrame]
) -> pl.DataFrame:
    """Return the requests, every row in its place, with the features beside them."""
    taken = [name for join in joins for _, name in join.outputs if name in requests.columns]
    if taken:
        raise ValueError(f"entities must not have columns named like features, had {taken}")
    parts = [requests]
    for join in joins:
        missing = [k for k in join.rule.left_keys if k not in requests.columns]
        if missing:
            raise ValueError(f"entities must have the columns {missing}, had {requests.columns}")
        parts.append(_answers(requests, join, scan(join.source)))
    return pl.concat(parts, how="horizontal")


def _answers(requests: pl.DataFrame, join: Join, rows: pl.LazyFrame) -> pl.DataFrame:
    rule = join.rule
    times = [rule.event, *([rule.known] if rule.known else [])]
    features = [feature for feature, _ in join.outputs]
    columns = dict.fromkeys([*rule.right_keys, *times, *features])
    table = rows.select(list(columns)).collect()
    found = pl.Series(matching_rows(requests, table, rule))
    index = found.cast(pl.UInt32) if found.min() != -1 else found.replace(-1, None)
    return table.select(pl.col(f).gather(index).alias(name) for f, name in join.outputs)
