"""Dagster's own daemon starts the decision when a session is ready, once, and it trades."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from swarm_core import events as ev
from tests.pipelines.homes import open_home
from tests.pipelines.market_files import market_rows, write_market
from tests.services import free_port

pytestmark = pytest.mark.xdist_group("daemon")
ROOT = Path(__file__).resolve().parents[2]
WAIT_S_MAX = 240.0


def _as_behind_a_shell() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def user_interface(dagster_home: Path, config: Path) -> Iterator[None]:
    """Run `apiary ui` as a user would, and stop all of its processes."""
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(dagster_home),
        "APIARY_CONFIG": str(config),
    }
    with (dagster_home / "ui.log").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", "ui", "--port", str(free_port())],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield
        finally:
            process.terminate()  # it alone: no daemon may go on without it
            if not ended_with_all_its_processes(process):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                pytest.fail("a process of `apiary ui` went on after it had been ended")


def ended_with_all_its_processes(process: subprocess.Popen[bytes]) -> bool:
    """Wait until nothing of the process's session is left; return whether that came."""
    end = time.monotonic() + WAIT_S_MAX / 4
    while time.monotonic() < end:
        process.poll()
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.2)
    return False


def finished_runs(instance: dg.DagsterInstance, count: int) -> list[dg.DagsterRun]:
    """Wait until `count` decision runs are finished and return all of them."""
    wanted = dg.RunsFilter(job_name="swarm_decision_job")
    end = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < end:
        runs = [r for r in instance.get_runs(wanted) if r.is_finished]
        if len(runs) >= count:
            return runs
        time.sleep(0.5)
    return []


@pytest.mark.timeout(420)
def test_the_daemon_runs_the_decision_of_a_ready_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sensor's run request is launched in a process of its own, and orders leave."""
    mapping = write_market(tmp_path / "data", market_rows())
    with open_home(tmp_path, tmp_path / "data", mapping, monkeypatch) as home:
        home.chain.history(home.windows)
        home.chain.learn(home.windows)
        sessions = home.chain._sessions(home.windows)
        home.chain.run("swarm_decision_job", first=sessions[0], last=sessions[-2])
        dagster_home = tmp_path / "dagster_home"
        dagster_home.mkdir()
        shutil.copy(ROOT / "dagster_home" / "dagster.yaml", dagster_home)
        config = Path(os.environ["APIARY_CONFIG"])
        assert yaml.safe_load(config.read_text())["home"]
        monkeypatch.setenv("DAGSTER_HOME", str(dagster_home))
        with (
            user_interface(dagster_home, config),
            dg.DagsterInstance.from_config(str(dagster_home)) as instance,
        ):
            runs = finished_runs(instance, count=1)
        assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS], (
            dagster_home / "ui.log"
        ).read_text()[-3000:]
        assert runs[0].tags["dagster/run_key"] == f"decision-{sessions[-1]}"
        assert runs[0].tags["dagster/sensor_name"] == "swarm_decision_sensor"
        log: Any = home.workshop.get("log")
        taken = [e.event.lineage for e in log.read() if isinstance(e.event, ev.DecisionTaken)]
        assert [t.session for t in taken] == sessions
        assert taken[-1].run_id == runs[0].run_id
