"""Dagster on PostgreSQL: the whole embedded history comes along, once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.run_status_sensor_definition import RunStatusSensorCursor
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from typer.testing import CliRunner

from adapters.stores.dagster_migration import migrate
from pipelines.cli import app
from pipelines.dagster_home import URL_VARIABLE, postgres_home
from tests.services import PostgresService, postgres_server

ROOT = Path(__file__).parents[3]
NAMES = dg.DynamicPartitionsDefinition(name="experiments")


@dg.asset(partitions_def=NAMES, check_specs=[dg.AssetCheckSpec("holds", asset="grown")])
def grown(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    return dg.MaterializeResult(
        metadata={"key": context.partition_key},
        check_results=[dg.AssetCheckResult(check_name="holds", passed=True)],
    )


@dg.schedule(cron_schedule="0 1 * * *", target=[grown])
def nightly() -> dg.SkipReason:
    return dg.SkipReason("a test")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresService]:
    with postgres_server() as service:
        yield service


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: PostgresService) -> Path:
    """An embedded instance with two runs, a dynamic partition each, a schedule and its tick."""
    embedded = tmp_path / "embedded"
    embedded.mkdir()
    shutil.copy(ROOT / "dagster_home" / "dagster.yaml", embedded)
    monkeypatch.setenv("DAGSTER_HOME", str(embedded))
    database = "".join(c for c in tmp_path.name if c.isalnum()).lower()
    server.make_database(database)
    monkeypatch.setenv(URL_VARIABLE, server.url.replace("/postgres", f"/{database}"))
    with dg.DagsterInstance.from_config(str(embedded)) as instance:
        instance.add_dynamic_partitions("experiments", ["a", "b"])
        for key in ("a", "b"):
            assert dg.materialize([grown], instance=instance, partition_key=key).success
        instance.report_runless_asset_event(dg.AssetMaterialization("outside"))
        start_schedule(instance)
    return embedded


def start_schedule(instance: dg.DagsterInstance) -> None:
    from dagster._core.remote_origin import (
        InProcessCodeLocationOrigin,
        RemoteInstigatorOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    location = InProcessCodeLocationOrigin(LoadableTargetOrigin(python_file=__file__))
    repository = RemoteRepositoryOrigin(location, "__repository__")
    origin = RemoteInstigatorOrigin(repository, "nightly")
    data = ScheduleInstigatorData("0 1 * * *", 1_700_000_000.0)
    state = InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.RUNNING, data)
    instance.add_instigator_state(state)
    instance.create_tick(
        TickData(
            instigator_origin_id=state.instigator_origin_id,
            instigator_name="nightly",
            instigator_type=InstigatorType.SCHEDULE,
            status=TickStatus.SKIPPED,
            timestamp=1_700_000_000.0,
            selector_id=state.selector_id,
        )
    )


def watch_runs(instance: dg.DagsterInstance) -> None:
    """Add a sensor that has looked at the runs up to an event of a number."""
    (schedule,) = instance.all_instigator_state()
    origin = schedule.origin._replace(instigator_name="watching")
    cursor = RunStatusSensorCursor(record_id=4711, update_timestamp="2024-01-01T00:00:00+00:00")
    data = SensorInstigatorData(cursor=cursor.to_json())
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data)
    instance.add_instigator_state(state)


def test_a_sensor_that_watches_runs_does_not_wait_for_numbers_of_old(home: Path) -> None:
    new = postgres_home(home, ROOT / "dagster_home" / "dagster.yaml")
    with (
        dg.DagsterInstance.from_config(str(home)) as source,
        dg.DagsterInstance.from_config(str(new)) as target,
    ):
        watch_runs(source)
        migrate(source, target)
        (state,) = target.all_instigator_state(instigator_type=InstigatorType.SENSOR)

    assert state.status == InstigatorStatus.RUNNING
    assert isinstance(state.instigator_data, SensorInstigatorData)
    assert state.instigator_data.cursor is None


def told(instance: dg.DagsterInstance) -> dict[str, object]:
    """Return what a person or the daemon would ask of an instance."""
    runs = sorted(instance.get_runs(), key=lambda r: r.run_id)
    latest = instance.get_latest_materialization_event(dg.AssetKey("grown"))
    (state,) = instance.all_instigator_state()
    checks = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey("grown"), "holds"), limit=10
    )
    return {
        "runs": [(r.run_id, r.status, dict(r.tags)) for r in runs],
        "times": [(s.start_time, s.end_time) for s in instance.get_run_records(ascending=True)],
        "events": {
            r.run_id: [(e.timestamp, e.message) for e in instance.all_logs(r.run_id)] for r in runs
        },
        "partitions": sorted(instance.get_dynamic_partitions("experiments")),
        "materialized": sorted(
            instance.get_materialized_partitions(dg.AssetKey("grown")),
        ),
        "assets": sorted(k.to_user_string() for k in instance.all_asset_keys()),
        "latest": latest and (latest.run_id, latest.timestamp),
        "checks": sorted((c.run_id, c.status.value) for c in checks),
        "schedule": (state.instigator_name, state.status),
        "ticks": [
            (t.timestamp, t.status)
            for t in instance.get_ticks(state.instigator_origin_id, state.selector_id)
        ],
    }


def test_the_whole_history_comes_along_and_nothing_twice(home: Path) -> None:
    new = postgres_home(home, ROOT / "dagster_home" / "dagster.yaml")
    with (
        dg.DagsterInstance.from_config(str(home)) as source,
        dg.DagsterInstance.from_config(str(new)) as target,
    ):
        before = told(source)
        first = migrate(source, target)
        assert told(target) == before
        assert (first.runs, first.ticks, first.dynamic_partitions) == (2, 1, 2)

        cut_off = source.get_runs()[0].run_id  # as if the first try had ended there
        target.event_log_storage.delete_events(cut_off)
        again = migrate(source, target)

        assert again == first
        assert told(target) == before
        assert dg.materialize([grown], instance=target, partition_key="a").success
        with pytest.raises(ValueError, match="must be empty or hold a part of the old one"):
            migrate(source, target)


def test_one_setting_and_one_command_move_dagster(home: Path) -> None:
    outcome = CliRunner().invoke(app, ["dagster-migrate"])

    assert outcome.exit_code == 0, outcome.output
    assert "2 runs" in outcome.output
    text = (home / "on_postgres" / "dagster.yaml").read_text()
    assert "postgresql://" not in text
    with dg.DagsterInstance.get() as instance:  # the environment points to the new home now
        assert len(instance.get_runs()) == 2


def test_without_the_setting_nothing_moves(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL_VARIABLE)

    outcome = CliRunner().invoke(app, ["dagster-migrate"])

    assert outcome.exit_code == 1
    assert f"{URL_VARIABLE} must be set" in outcome.output
