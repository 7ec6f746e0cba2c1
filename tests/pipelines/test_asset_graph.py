"""The whole asset graph under a snapshot: what depends on what, and which checks block."""

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView
from dagster._core.test_utils import freeze_time

from pipelines.definitions import defs
from pipelines.jobs import JOBS
from pipelines.schedules import build_schedules

SNAPSHOT = Path(__file__).with_name("asset_graph.json")


def _graph() -> dict[str, dict[str, object]]:
    graph = defs.resolve_asset_graph()
    return {
        key.to_user_string(): {
            "group": graph.get(key).group_name,
            "deps": sorted(k.to_user_string() for k in graph.get(key).parent_keys),
            "partitioned": graph.get(key).is_partitioned,
            "checks": sorted(
                f"{check.name}{' (blocking)' if graph.get(check).blocking else ''}"
                for check in graph.get(key).check_keys
            ),
        }
        for key in sorted(graph.get_all_asset_keys(), key=lambda k: k.to_user_string())
    }


def test_the_asset_graph_is_the_one_on_record() -> None:
    """Write the file anew with `python -m tests.pipelines.test_asset_graph` where it is meant."""
    assert _graph() == json.loads(SNAPSHOT.read_text())


def test_every_clean_table_has_checks_that_block() -> None:
    for name, asset in _graph().items():
        if name.startswith("clean_"):
            checks = asset["checks"]
            assert isinstance(checks, list)
            assert any(c.startswith("passes_blocking_rules (blocking)") for c in checks)


@pytest.mark.parametrize("job", [job.name for job in JOBS])
def test_every_job_resolves(job: str) -> None:
    assert defs.resolve_job_def(job).name == job


def test_what_must_come_again_by_itself_is_on_a_schedule() -> None:
    scheduled = {schedule.name: schedule.job_name for schedule in build_schedules("XNYS")}
    assert scheduled == {
        "newest_session_schedule": "session_job",
        "daily_report_schedule": "report_job",
        "nightly_parity_schedule": "parity_job",
        "weekly_training_schedule": "training_job",
        "weekly_upkeep_schedule": "upkeep_job",
    }


def test_a_backfill_of_any_asset_finds_the_partitions_that_it_rests_on() -> None:
    """The UI refuses a backfill over partitions whose parents do not exist, on any day."""
    with (
        freeze_time(datetime(2026, 11, 25, 23, 30, tzinfo=UTC)),
        dg.DagsterInstance.ephemeral() as instance,
    ):
        instance.add_dynamic_partitions("experiments", ["small|2019-02"])
        view = AssetGraphView.for_test(defs, instance)
        graph = view.asset_graph
        lost = [
            (key.to_user_string(), parent.to_user_string())
            for key in graph.materializable_asset_keys
            if graph.get(key).is_partitioned
            for parent in graph.get(key).parent_keys
            if not view.compute_parent_subset_and_required_but_nonexistent_subset(
                parent, view.get_full_subset(key=key)
            )[1].is_empty
        ]
    assert lost == []


def test_the_newest_session_is_asked_for_on_its_own_day() -> None:
    """Its month is not over, and its day has not ended in UTC: both have their partition."""
    repository = defs.get_repository_def()
    schedule = repository.get_schedule_def("newest_session_schedule")
    moment = datetime(2026, 11, 25, 18, 30, tzinfo=ZoneInfo("America/New_York"))
    with freeze_time(moment), dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=moment, repository_def=repository
        )
        asked = schedule.evaluate_tick(context).run_requests
        assert asked is not None
        assert [request.partition_key for request in asked] == ["2026-11-01"]
        job = defs.resolve_job_def("swarm_decision_job")
        job.validate_partition_key("2026-11-25", instance, None)


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(_graph(), indent=1, sort_keys=True) + "\n")
