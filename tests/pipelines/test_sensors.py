"""Sensors: people hear of a failed run, and an empty home asks for no decision."""

import json
from pathlib import Path

import dagster as dg
import pytest

from adapters.notifications import FileNotifier
from adapters.stores.event_log_memory import MemoryEventLog
from adapters.stores.tables_delta import DeltaTableStore
from assets.readiness import next_session
from pipelines.desk import build_desk
from pipelines.sensors import run_failure_notification
from pipelines.settings import DEFAULT_CONFIG, read_settings


@dg.op
def breaks() -> None:
    raise ValueError("the feed is gone")


@dg.op(required_resource_keys={"source"})
def reads() -> None:
    """Never begins: its resource is not there."""


@dg.resource
def source() -> None:
    raise ValueError("a mapping must be a file")


@dg.job
def morning() -> None:
    breaks()


@dg.job(name="morning", resource_defs={"source": source})
def without_source() -> None:
    reads()


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        (morning, "breaks: ValueError: the feed is gone"),
        (without_source, "ValueError: a mapping must be a file"),
    ],
)
def test_a_failed_run_is_told_with_its_job_and_reason(
    tmp_path: Path, job: dg.JobDefinition, reason: str
) -> None:

    with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="run_failure_notification",
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            dagster_event=next(e for e in result.all_events if e.is_run_failure),
        ).for_run_failure()
        run_failure_notification(context, notifier=FileNotifier(tmp_path / "told.log"))
    told = json.loads((tmp_path / "told.log").read_text())
    assert told["title"] == "run of morning failed"
    assert result.run_id in told["body"]
    assert told["body"].endswith(reason)


def test_a_home_without_features_asks_for_no_decision(tmp_path: Path) -> None:
    desk = build_desk(read_settings(DEFAULT_CONFIG))
    asked = next_session(desk, DeltaTableStore(tmp_path), MemoryEventLog())
    assert asked.session is None
    assert asked.reason == "no features yet"
