"""The whole asset graph under a snapshot: what depends on what, and which checks block."""

import json
from pathlib import Path

import pytest

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


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(_graph(), indent=1, sort_keys=True) + "\n")
