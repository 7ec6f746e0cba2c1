"""Launches from the terminal: which live, which were stopped, what a killed one still holds."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import dagster as dg

# The tag of a run that names the file on which its process holds a lock as long as it lives.
OWNER = "apiary/launch"


@contextmanager
def launch_of(folder: Path) -> Iterator[str]:
    """Yield the name of a launch; while it lasts, `is_alive` of it is true in every process."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid4().hex}.launch"
    try:
        with path.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield path.name
    finally:
        path.unlink(missing_ok=True)


def is_alive(folder: Path, name: str) -> bool:
    """Return whether the process of a launch still runs: a killed one has lost its lock."""
    path = folder / name
    if not path.is_file():
        return False
    with path.open() as asked:
        try:
            fcntl.flock(asked, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def free_what_died(instance: dg.DagsterInstance, pool: str, folder: Path) -> list[str]:
    """Give the slots of a pool back that runs of killed launches hold; return these runs.

    Dagster's daemon gives back what runs of its own held. Nobody watches a run in the process of a
    command: once that is killed, its run counts as started and its slot as taken for ever.
    """
    storage, freed = instance.event_log_storage, list[str]()
    info = storage.get_concurrency_info(pool)
    waiting = {step.run_id for step in info.pending_steps}
    for run_id in sorted({slot.run_id for slot in info.claimed_slots} | waiting):
        run = instance.get_run_by_id(run_id)
        owner = None if run is None else run.tags.get(OWNER)
        ended = run is None or run.is_finished
        if not ended and (owner is None or is_alive(folder, owner)):
            continue
        if run is not None and not run.is_finished:
            instance.report_run_failed(run, "the process that ran it was killed")
        storage.free_concurrency_slots_for_run(run_id)
        freed.append(run_id)
    for path in folder.glob("*.launch"):
        if not is_alive(folder, path.name):
            path.unlink(missing_ok=True)
    return freed


def is_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Return whether a person stopped the run: Dagster takes the signal as a failed step."""
    return any(
        e.is_step_failure
        and e.step_failure_data.error is not None
        and e.step_failure_data.error.cls_name == "DagsterExecutionInterruptedError"
        for e in result.all_events
    )
