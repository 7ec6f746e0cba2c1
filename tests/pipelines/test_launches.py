"""A launch that was killed gives its slot back to the next one; a living one keeps its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipelines.chain import Chain
from pipelines.launches import OWNER, free_what_died, is_alive, launch_of
from pipelines.settings import ChainStoppedError

POOL = "tried"
HOLD = """
import sys, time
from pathlib import Path
from pipelines.launches import launch_of
with launch_of(Path(sys.argv[1])) as name:
    print(name, flush=True)
    time.sleep(600)
"""


@dg.op
def nothing() -> None:
    """Do nothing."""


@dg.job
def idle() -> None:
    """Run nothing."""
    nothing()


def _held(instance: dg.DagsterInstance, owner: str | None) -> str:
    """Return a started run of an owner that holds a slot of the pool."""
    tags = {} if owner is None else {OWNER: owner}
    run = instance.create_run_for_job(idle, tags=tags, status=dg.DagsterRunStatus.STARTED)
    instance.event_log_storage.claim_concurrency_slot(POOL, run.run_id, "step")
    return run.run_id


def test_what_a_killed_launch_held_is_given_back(tmp_path: Path) -> None:
    """kill -9 leaves its run started and its slot taken; a living launch's run is let be."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    killed = process.stdout.readline().strip()
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance, launch_of(tmp_path) as living:
        instance.event_log_storage.set_concurrency_slots(POOL, 3)
        runs = [_held(instance, owner) for owner in (killed, living, None)]
        assert free_what_died(instance, POOL, tmp_path) == [], "all of them may still run"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert free_what_died(instance, POOL, tmp_path) == runs[:1]
        dead = instance.get_run_by_id(runs[0])
        assert dead is not None
        assert dead.status is dg.DagsterRunStatus.FAILURE
        left = instance.event_log_storage.get_concurrency_info(POOL).claimed_slots
        assert {slot.run_id for slot in left} == set(runs[1:])
        assert is_alive(tmp_path, living)
        assert [p.name for p in tmp_path.glob("*.launch")] == [living]


@dg.asset
def stopped() -> None:
    """Be interrupted from the terminal."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)


def test_a_run_that_a_person_stops_says_so() -> None:
    """It told the name of an error of Dagster's."""
    definitions = dg.Definitions([stopped], jobs=[dg.define_asset_job("a_job")])
    without: Any = None
    with dg.DagsterInstance.ephemeral() as instance:
        chain = Chain(definitions, instance, without, print, print)
        with pytest.raises(ChainStoppedError, match="a_job stopped: it was interrupted; the same"):
            chain.run("a_job")
