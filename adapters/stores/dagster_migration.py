"""Dagster's own history moved to other storage: runs, events, schedules, dynamic partitions.

Runs, ticks and settings are copied row by row; events are stored again one by one, in the order of
their runs, for Dagster keeps indexes of assets and checks beside them. What was copied before an
interruption is not copied twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from dagster import DagsterInstance
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.run_status_sensor_definition import RunStatusSensorCursor
from dagster._core.event_api import EventLogRecord
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.scheduler.instigation import SensorInstigatorData
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    DynamicPartitionsTable,
)
from dagster._core.storage.runs.schema import (
    BackfillTagsTable,
    BulkActionsTable,
    KeyValueStoreTable,
    RunsTable,
    RunTagsTable,
    SnapshotsTable,
)
from dagster._core.storage.schedules.schema import (
    AssetDaemonAssetEvaluationsTable,
    InstigatorsTable,
    JobTable,
    JobTickTable,
)

_PAGE = 1_000
# Rows are told apart by these; the numbers that a database gives them differ between databases.
_RUN_TABLES: Mapping[Any, Sequence[str]] = {
    SnapshotsTable: ("snapshot_id",),
    RunsTable: ("run_id",),
    RunTagsTable: ("run_id", "key", "value"),
    BulkActionsTable: ("key",),
    BackfillTagsTable: ("backfill_id", "key", "value"),
    KeyValueStoreTable: ("key",),
}
_SCHEDULE_TABLES: Mapping[Any, Sequence[str]] = {
    JobTable: ("job_origin_id",),
    InstigatorsTable: ("selector_id",),
    JobTickTable: ("job_origin_id", "selector_id", "timestamp", "type"),
    AssetDaemonAssetEvaluationsTable: ("evaluation_id", "asset_key"),
}


@dataclass(frozen=True, slots=True)
class Migration:
    """What lay in the old storage, and lies in the new one."""

    runs: int
    events: int
    ticks: int
    dynamic_partitions: int


def migrate(source: DagsterInstance, target: DagsterInstance) -> Migration:
    """Copy the whole history of one instance into another and return what there is.

    Run it while neither is at work. Running it again adds nothing; a run whose events were cut
    off is copied anew. Raises ValueError where the target holds runs that the source does not.
    """
    foreign = _run_ids(target) - _run_ids(source)
    if foreign:
        raise ValueError(
            f"the new storage must be empty or hold a part of the old one, has {len(foreign)} "
            f"other runs, e.g. {sorted(foreign)[0]}"
        )
    for table, identity in _RUN_TABLES.items():
        _copy(source.run_storage, target.run_storage, table, identity)
    events = sum(_copy_events(source, target, run_id) for run_id in _ordered_run_ids(source))
    partitions = _copy(
        _index(source), _index(target), DynamicPartitionsTable, ("partitions_def_name", "partition")
    )
    for name, limit in _limits(source):
        target.event_log_storage.set_concurrency_slots(name, limit)
    ticks = 0
    for table, identity in _SCHEDULE_TABLES.items():
        count = _copy(source.schedule_storage, target.schedule_storage, table, identity)
        ticks = count if table is JobTickTable else ticks
    _forget_event_numbers(target)
    return Migration(len(_run_ids(source)), events, ticks, partitions)


def _copy(source: Any, target: Any, table: sa.Table, identity: Sequence[str]) -> int:
    """Add the rows that are not there; return how many the source has."""
    columns = [c for c in table.columns if c.name != "id"]
    key = [table.c[name] for name in identity]
    with source.connect() as old:
        order = table.c["id"] if "id" in table.c else key[0]
        rows = [dict(row._mapping) for row in old.execute(sa.select(*columns).order_by(order))]
    with target.connect() as new:
        there = {tuple(row) for row in new.execute(sa.select(*key))}
        fresh = [row for row in rows if tuple(row[name] for name in identity) not in there]
        for start in range(0, len(fresh), _PAGE):
            new.execute(table.insert(), fresh[start : start + _PAGE])
    return len(rows)


def _run_ids(instance: DagsterInstance) -> set[str]:
    return set(_ordered_run_ids(instance)) - {RUNLESS_RUN_ID}


def _ordered_run_ids(instance: DagsterInstance) -> list[str]:
    """Return the runs in the order of their making, and the events that are of none."""
    storage: Any = instance.run_storage
    with storage.connect() as connection:
        rows = connection.execute(sa.select(RunsTable.c.run_id).order_by(RunsTable.c.id))
        return [*(str(row[0]) for row in rows), RUNLESS_RUN_ID]


def _copy_events(source: DagsterInstance, target: DagsterInstance, run_id: str) -> int:
    there = sum(1 for _ in _events(target, run_id))
    records = list(_events(source, run_id))
    if there == len(records):
        return there
    _forget(target, run_id)
    for record in records:
        target.event_log_storage.store_event(record.event_log_entry)
    return len(records)


def _forget(instance: DagsterInstance, run_id: str) -> None:
    """Remove the events of a run, and the checks that Dagster leaves standing."""
    instance.event_log_storage.delete_events(run_id)
    checks = AssetCheckExecutionsTable
    with _index(instance).connect() as connection:
        connection.execute(checks.delete().where(checks.c.run_id == run_id))


def _events(instance: DagsterInstance, run_id: str) -> Iterator[EventLogRecord]:
    cursor: str | None = None
    while True:
        page = instance.event_log_storage.get_records_for_run(run_id, cursor, limit=_PAGE)
        yield from page.records
        if not page.has_more:
            return
        cursor = page.cursor


@dataclass(frozen=True, slots=True)
class _Index:
    """The connection of an event storage to what is not of one run."""

    storage: Any

    def connect(self) -> Any:
        return self.storage.index_connection()


def _index(instance: DagsterInstance) -> _Index:
    return _Index(instance.event_log_storage)


def _forget_event_numbers(instance: DagsterInstance) -> None:
    """Let sensors that watch runs go on from the newest event: events have other numbers here."""
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        data = state.instigator_data
        if not isinstance(data, SensorInstigatorData) or not data.cursor:
            continue
        if RunStatusSensorCursor.is_valid(data.cursor):
            instance.update_instigator_state(state.with_data(data._replace(cursor=None)))


def _limits(instance: DagsterInstance) -> list[tuple[str, int]]:
    storage = instance.event_log_storage
    names = storage.get_concurrency_keys() if storage.supports_global_concurrency_limits else set()
    return [(name, storage.get_concurrency_info(name).slot_count) for name in sorted(names)]
