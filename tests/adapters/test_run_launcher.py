"""Runs whose process was killed are told apart from those that live, and from other machines'."""

import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher import WorkerStatus
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from adapters.run_launcher import HOST, PROCESS, WatchedRunLauncher, here

SHIPPED = Path(__file__).parents[2] / "dagster_home" / "dagster.yaml"


@dg.op
def nothing() -> None:
    """Do nothing."""


@dg.job
def idle() -> None:
    """Run nothing."""
    nothing()


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance of the settings that are shipped."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copy(SHIPPED, tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        yield opened


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as started:
        yield started
        started.kill()


def _health(instance: dg.DagsterInstance, run: dg.DagsterRun) -> WorkerStatus:
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchedRunLauncher)
    assert launcher.supports_check_run_worker_health
    known = instance.get_run_by_id(run.run_id)
    assert known is not None
    return launcher.check_run_worker_health(known).status


def _started(instance: dg.DagsterInstance, pid: int, host: str) -> dg.DagsterRun:
    """Return a run as Dagster's server leaves it: the process is told by an event."""
    run = instance.create_run_for_job(idle, tags={HOST: host}, status=dg.DagsterRunStatus.STARTED)
    instance.report_engine_event(
        f"Started process for run (pid: {pid}).",
        run,
        EngineEventData(metadata={"pid": dg.MetadataValue.text(str(pid))}),
    )
    return run


def test_a_run_whose_process_was_killed_is_lost(
    instance: dg.DagsterInstance, process: subprocess.Popen[bytes]
) -> None:
    run = _started(instance, process.pid, here()[HOST])
    assert _health(instance, run) is WorkerStatus.RUNNING
    process.kill()
    process.wait()
    assert _health(instance, run) is WorkerStatus.FAILED


def test_a_zombie_runs_nothing(
    instance: dg.DagsterInstance, process: subprocess.Popen[bytes]
) -> None:
    run = _started(instance, process.pid, here()[HOST])
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert _health(instance, run) is WorkerStatus.FAILED


def test_what_another_machine_runs_is_let_be(instance: dg.DagsterInstance) -> None:
    assert _health(instance, _started(instance, 2**22 + 1, "elsewhere")) is WorkerStatus.RUNNING
    untold = instance.create_run_for_job(idle, status=dg.DagsterRunStatus.STARTED)
    assert _health(instance, untold) is WorkerStatus.RUNNING


def test_a_command_that_was_killed_leaves_no_run_that_runs(instance: dg.DagsterInstance) -> None:
    """The id may be another process's by now: the time at which it was there tells."""
    mine = here()
    run = instance.create_run_for_job(idle, tags=mine, status=dg.DagsterRunStatus.STARTED)
    assert _health(instance, run) is WorkerStatus.RUNNING
    pid, _, created = mine[PROCESS].partition("@")
    before = {**mine, PROCESS: f"{pid}@{float(created) - 3600:.2f}"}
    lost = instance.create_run_for_job(idle, tags=before, status=dg.DagsterRunStatus.STARTED)
    assert _health(instance, lost) is WorkerStatus.FAILED


def test_monitoring_ends_what_is_lost_and_asks_for_it_again(
    instance: dg.DagsterInstance, process: subprocess.Popen[bytes]
) -> None:
    """The daemon's own step: the run fails, and is marked to be retried."""
    run = _started(instance, process.pid, here()[HOST])
    process.kill()
    process.wait()
    record = instance.get_run_record_by_id(run.run_id)
    assert record is not None
    workspace: Any = None  # only a run that is resumed needs one
    monitor_started_run(instance, workspace, record, logging.getLogger(__name__))
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE
    assert ended.tags["dagster/will_retry"] == "true"
