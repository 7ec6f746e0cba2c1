"""Dagster's events in a batch leave behind what they leave one by one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from adapters.stores.dagster_events import PooledSqliteEventLogStorage

_MONTHS = dg.MonthlyPartitionsDefinition("2020-01-01", end_date="2020-09-01")


@dg.asset(partitions_def=_MONTHS, backfill_policy=dg.BackfillPolicy.single_run())
def rows(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Say which months were made."""
    return dg.MaterializeResult(metadata={"months": len(context.partition_keys)}, tags={"a": "b"})


@dg.asset(partitions_def=_MONTHS, backfill_policy=dg.BackfillPolicy.single_run(), deps=[rows])
def sums() -> None:
    """Follow the rows."""


@dg.asset_check(asset=rows)
def is_whole() -> dg.AssetCheckResult:
    """Pass."""
    return dg.AssetCheckResult(passed=True)


@contextmanager
def _opened(home: Path) -> Iterator[dg.DagsterInstance]:
    """Open a home of Dagster with the storage that the platform ships."""
    storage = {
        "module": "adapters.stores.dagster_events",
        "class": "PooledSqliteEventLogStorage",
        "config": {"home": str(home)},
    }
    (home / "dagster.yaml").write_text(yaml.safe_dump({"event_log_storage": storage}))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def _make(instance: dg.DagsterInstance, first: str, last: str) -> dg.ExecuteInProcessResult:
    job = dg.Definitions(
        assets=[rows, sums], asset_checks=[is_whole], jobs=[dg.define_asset_job("both")]
    ).resolve_job_def("both")
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    return job.execute_in_process(instance=instance, tags=tags)


def _left_behind(instance: dg.DagsterInstance) -> dict[str, Any]:
    """Return what the UI and the sensors read of two runs; times, runs and ids apart."""
    runs = list(reversed(instance.get_run_records()))
    number = {record.dagster_run.run_id: at for at, record in enumerate(runs)}
    events = [
        (
            entry.dagster_event.event_type_value,
            str(entry.dagster_event.asset_key),
            entry.dagster_event.partition,
        )
        for run_id in number
        for entry in instance.all_logs(run_id)
        if entry.dagster_event is not None and entry.dagster_event.asset_key is not None
    ]
    assets = {}
    for record in instance.get_asset_records():
        entry, key = record.asset_entry, record.asset_entry.asset_key
        made = instance.fetch_materializations(key, limit=100).records
        assets[key.to_user_string()] = (
            _partition(entry.last_materialization),
            number[str(entry.last_run_id)],
            sorted(instance.event_log_storage.get_materialized_partitions(key)),
            [row.partition_key for row in made],
            instance.event_log_storage.get_event_tags_for_asset(key, filter_tags={"a": "b"}),
        )
    return {"events": sorted(events, key=str), "assets": assets}


def _partition(entry: dg.EventLogEntry | None) -> str | None:
    return None if entry is None else entry.get_dagster_event().partition


def test_a_batch_leaves_what_single_events_leave(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[dict[str, Any]] = []
    batches: list[int] = []
    store = PooledSqliteEventLogStorage.store_event_batch

    def counted(self: PooledSqliteEventLogStorage, events: Sequence[dg.EventLogEntry]) -> None:
        batches.append(len(events))
        store(self, events)

    monkeypatch.setattr(PooledSqliteEventLogStorage, "store_event_batch", counted)
    for size in ("0", "500", "3"):
        monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", size)
        with _opened(tmp_path_factory.mktemp("home")) as instance:
            assert _make(instance, "2020-01-01", "2020-06-01").success
            assert _make(instance, "2020-05-01", "2020-08-01").success
            found.append(_left_behind(instance))
        if size == "0":
            assert not batches
    assert found[0] == found[1] == found[2]
    assert len(found[0]["events"]) == 2 * 2 * (6 + 4)  # planned and made
    assert found[0]["assets"]["sums"][0] == "2020-08-01"
    assert len(found[0]["assets"]["rows"][2]) == 8
    assert max(batches) > 10
    assert 3 in batches


def test_a_batch_that_fails_leaves_nothing_and_is_stored_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "500")
    store, calls = SqliteEventLogStorage._store_asset_event, [0]

    def failing(self: SqliteEventLogStorage, *given: Any) -> None:
        store(self, *given)
        calls[0] += 1
        if calls[0] == 1:  # when all rows of the batch are in, none of them committed
            raise OSError("the disk is full")

    monkeypatch.setattr(SqliteEventLogStorage, "_store_asset_event", failing)
    with _opened(tmp_path) as instance:
        result = _make(instance, "2020-01-01", "2020-06-01")
        assert result.success
        assert "the disk is full" in capsys.readouterr().err
        planned = [
            (entry.dagster_event.asset_key, entry.dagster_event.partition)
            for entry in instance.all_logs(result.run_id)
            if entry.dagster_event is not None
            and entry.dagster_event.event_type_value == "ASSET_MATERIALIZATION_PLANNED"
        ]
        assert len(planned) == len(set(planned)) == 12
        assert len(instance.event_log_storage.get_materialized_partitions(dg.AssetKey("sums"))) == 6
