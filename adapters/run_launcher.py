"""Runs of Dagster on this machine, watched: one whose process is gone is not running any more."""

import socket
from typing import TYPE_CHECKING

import psutil
from dagster import DagsterEventType
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus

if TYPE_CHECKING:
    from dagster import DagsterRun
    from dagster._core.launcher import LaunchRunContext

HOST, PROCESS = "apiary/host", "apiary/process"
_STARTED_PROCESS = "Started process for run"


def here() -> dict[str, str]:
    """Return the tags of a run that this process itself executes.

    It is not retried where the process is killed: who gave the command gives it again.
    """
    me = psutil.Process()
    return {HOST: _host(), PROCESS: f"{me.pid}@{me.create_time():.2f}", "dagster/max_retries": "0"}


class WatchedRunLauncher(DefaultRunLauncher):
    """Launches runs as Dagster does, and tells its monitoring whether their processes live.

    The launcher of Dagster loses sight of its runs when its server is killed: they counted as
    started for ever and took the places of those that wait. A run that another machine launched, or
    of which nothing is known, counts as running.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: the monitoring daemon asks."""
        return True

    def launch_run(self, context: "LaunchRunContext") -> None:
        """Launch a run in a process of its own, and note on which machine."""
        self._instance.add_run_tags(context.dagster_run.run_id, {HOST: _host()})
        super().launch_run(context)

    def check_run_worker_health(self, run: "DagsterRun") -> CheckRunHealthResult:
        """Return FAILED where the run's process, on this machine, is gone."""
        process = run.tags.get(PROCESS) or self._process_of(run.run_id)
        if run.tags.get(HOST) != _host() or process is None:
            return CheckRunHealthResult(
                WorkerStatus.RUNNING, "it is not known to be of this machine"
            )
        pid, _, created = process.partition("@")
        if _lives(int(pid), float(created)):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {pid} was killed")

    def _process_of(self, run_id: str) -> str | None:
        """Return "pid@time" of the process that Dagster started for a run, the newest one."""
        records = self._instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT)
        for record in reversed(records):
            event = record.dagster_event
            if event is None or not (event.message or "").startswith(_STARTED_PROCESS):
                continue
            pid = event.engine_event_data.metadata.get("pid")
            if pid is not None:
                return f"{pid.value}@{record.timestamp:.2f}"
        return None


def _lives(pid: int, known_at: float) -> bool:
    """Return whether a process lives that was there at a moment; ids are used again."""
    try:
        process = psutil.Process(pid)
        return process.create_time() <= known_at + 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _host() -> str:
    return socket.gethostname()
