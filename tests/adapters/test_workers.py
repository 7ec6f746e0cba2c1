"""One suite for the pools of workers: processes on this machine, and a local Ray cluster."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.file_lock import Locked
from adapters.workers.processes import ProcessPool
from adapters.workers.ray_cluster import RayPool
from adapters.workers.shared_arrays import map_arrays, write_arrays
from tests.models.experiments.working import die_beside_the_deaf, die_in_turn, fail, total

VALUES = {"values": np.arange(1000.0), "none": np.empty((0, 3)), "words": np.array([1, 2], "u1")}

pytestmark = pytest.mark.xdist_group("workers")


def test_every_item_is_worked_on_in_more_than_one_process() -> None:
    started: list[int] = []
    found = dict(ProcessPool(2).run(total, VALUES, list(range(8)), started.append))
    values = {place: told[0] for place, told in found.items() if told is not None}
    assert values == {place: VALUES["values"].sum() * place for place in range(8)}
    assert os.getpid() not in {told[1] for told in found.values() if told is not None}
    assert sorted(started) == list(range(8))


@pytest.mark.parametrize("kind", [ProcessPool, RayPool], ids=["processes", "ray"])
def test_what_a_killed_worker_held_is_run_again_and_what_always_kills_is_given_up(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    items = [(number, str(tmp_path)) for number in range(6)]
    found = dict(kind(2).run(die_in_turn, VALUES, items, lambda _: None))
    assert found == {number: number * 1000 if number != 2 else None for number in range(6)}
    assert {p.name for p in tmp_path.iterdir()} == {"1", "4"}, "they must have been killed once"


@pytest.mark.parametrize("kind", [ProcessPool, RayPool], ids=["processes", "ray"])
def test_a_pool_that_is_kept_has_the_same_workers_and_shares_new_arrays(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    pool = kind(1)
    assert not pool.is_kept
    other = {"values": np.ones(3)}
    with pool:
        assert pool.is_kept
        runs = [dict(pool.run(total, a, [1], lambda _: None))[0] for a in (VALUES, VALUES, other)]
        with pytest.raises(ValueError, match="does not hold"):
            list(pool.run(fail, VALUES, [1], lambda _: None))
        assert dict(pool.run(total, other, [2], lambda _: None))[0][0] == 6.0
    assert not pool.is_kept
    assert [value for value, _ in runs] == [VALUES["values"].sum()] * 2 + [3.0]
    assert len({worker for _, worker in runs}) == 1, "the workers must have stayed"


def test_a_pool_that_is_kept_outlives_a_killed_worker(tmp_path: Path) -> None:
    with ProcessPool(2) as pool:
        items = [(number, str(tmp_path)) for number in range(6)]
        found = dict(pool.run(die_in_turn, VALUES, items, lambda _: None))
        assert found == {number: number * 1000 if number != 2 else None for number in range(6)}
        again = dict(pool.run(total, VALUES, [1, 2], lambda _: None))
    sums = {place: told[0] for place, told in again.items() if told is not None}
    assert sums == {0: VALUES["values"].sum(), 1: 2 * VALUES["values"].sum()}


@pytest.mark.timeout(60)
def test_a_worker_that_ignores_its_end_does_not_hold_the_others_up(tmp_path: Path) -> None:
    items = [(number, str(tmp_path)) for number in range(2)]
    found = dict(ProcessPool(2).run(die_beside_the_deaf, VALUES, items, lambda _: None))
    assert found == {0: 0, 1: 1}


def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(ValueError, match="does not hold"):
        list(ProcessPool(2).run(fail, VALUES, [1], lambda _: None))


@pytest.fixture(params=["processes", "ray"])
def parent(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[subprocess.Popen[str]]:
    """Give a process with a pool: one worker works for ever, the other has no work any more."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    module = "tests.models.experiments.working"
    command = [sys.executable, "-m", module, str(tmp_path), request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()
    for path in tmp_path.iterdir():
        if _is_held(path):
            os.kill(int(path.read_text()), signal.SIGKILL)


def _is_held(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_no_worker_outlives_a_parent_that_is_killed(
    parent: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert parent.stdout is not None
    assert parent.stdout.readline() == "1\n", "one worker must have come to the end of its work"
    paths = [tmp_path / "0", tmp_path / "1"]
    while not all(path.exists() and path.read_text() for path in paths):
        assert parent.poll() is None
    assert len({path.read_text() for path in paths}) == 2
    assert all(_is_held(path) for path in paths), "both must live as long as the parent does"
    parent.kill()
    parent.wait()
    until = time.monotonic() + 30  # a worker that never ends must not stop the suite
    while any(_is_held(path) for path in paths) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(_is_held(path) for path in paths)


def test_what_a_killed_sweep_left_is_removed_and_what_another_uses_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, used = tmp_path / "apiary-sweep-left", tmp_path / "apiary-sweep-used"
    left.mkdir()
    (left / "arrays.arrow").write_bytes(b"much")
    with Locked(used / "held"):
        assert dict(ProcessPool(1).run(total, VALUES, [1], lambda _: None))
        assert list(tmp_path.iterdir()) == [used]


def test_a_pool_must_have_a_worker() -> None:
    for kind in (ProcessPool, RayPool):
        with pytest.raises(ValueError, match="worker_count must be at least 1, was 0"):
            kind(0)


def test_shared_arrays_come_back_as_views_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "arrays.arrow"
    write_arrays(path, VALUES)
    mapped = map_arrays(path)
    assert set(mapped) == set(VALUES)
    for name, values in VALUES.items():
        assert mapped[name].dtype == values.dtype
        assert mapped[name].shape == values.shape
        np.testing.assert_array_equal(mapped[name], values)
        assert not mapped[name].flags.writeable or not values.size
    assert not mapped["values"].flags.owndata
    mine = mapped["values"].view()
    mine.flags.writeable = True  # as compiled code wants it
    mine[0] = 7.0
    assert map_arrays(path)["values"][0] == 0.0, "what is written stays in this process"


def test_a_file_without_shared_arrays_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.arrow"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="must hold shared arrays"):
        map_arrays(path)
