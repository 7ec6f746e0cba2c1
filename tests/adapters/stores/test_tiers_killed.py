"""Tiering under kill -9: at every step of a demotion, every row is still there and still whole."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from adapters.stores import delta_commits
from adapters.stores.hot import EmbeddedHotStore
from adapters.stores.tables_delta import DeltaTableStore
from adapters.stores.tiers import TierPolicy, Tiers
from adapters.stores.warm import WarmStore

ROOT = Path(__file__).parents[3]
START = datetime(2024, 1, 1, 21, tzinfo=UTC)
DAY = timedelta(days=1)
AS_OF = START + 100 * DAY
POLICY = TierPolicy(hot_age=5 * DAY, warm_age=40 * DAY)

# A step is the moment before or after each sync, rename and removal of a file, each removal from
# the hot tier and each commit of the cold one.
EFFECTS: list[tuple[object, str]] = [
    (os, "fsync"),
    (os, "replace"),
    (os, "unlink"),
    (EmbeddedHotStore, "remove"),
    (delta_commits, "write_deltalake"),
]
KILLED = """
import os, signal, sys
from pathlib import Path
from tests.adapters.stores.test_tiers_killed import AS_OF, EFFECTS, POLICY, count_down, make_tiers

tiers = make_tiers(Path(sys.argv[1]))
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
for owner, name, stepping in count_down(int(sys.argv[2]), die):
    setattr(owner, name, stepping)
tiers.demote(AS_OF, POLICY)
"""


class Killed(BaseException):
    """The end of a process, as far as code that catches Exception can tell."""


def raise_killed() -> None:
    raise Killed


def count_down(
    steps: int, die: Callable[[], None]
) -> Iterator[tuple[object, str, Callable[..., object]]]:
    """Yield a replacement for each effect, which together die at the n-th step."""
    left = iter(range(steps - 1, -1, -1))

    def step() -> None:
        if next(left, -1) == 0:
            die()

    def stepping(inner: Callable[..., object]) -> Callable[..., object]:
        def outer(*args: object, **kwargs: object) -> object:
            step()
            result = inner(*args, **kwargs)
            step()
            return result

        return outer

    for owner, name in EFFECTS:
        yield owner, name, stepping(getattr(owner, name))


def make_tiers(root: Path) -> Tiers:
    return Tiers(
        EmbeddedHotStore(root / "hot.sqlite"),
        WarmStore(root / "warm"),
        DeltaTableStore(root / "cold"),
    )


def make_rows() -> pl.DataFrame:
    """One row in each of three months: one goes to cold, one to warm, one stays hot."""
    times = [START + DAY * i for i in (1, 70, 99)]
    return pl.DataFrame(
        {"event_time": times, "knowledge_time": times, "price": [1.5, 2.5, 3.5]},
        schema_overrides={c: pl.Datetime("us", "UTC") for c in ("event_time", "knowledge_time")},
    )


def check_nothing_is_lost(root: Path, step: int) -> None:
    """Check the rows as a process would find them that starts after the end of another."""
    tiers = make_tiers(root)
    assert tiers.catalogue().query("fills").equals(make_rows()), f"after step {step}"
    tiers.demote(AS_OF, POLICY)
    assert tiers.catalogue().query("fills").equals(make_rows()), f"again after step {step}"
    places = dict(tiers.catalogue().tables().select("tier", "rows").iter_rows())
    assert places == {"cold": 1, "hot": 1, "warm": 1}, f"after step {step}"


def test_a_demotion_that_ends_at_any_step_loses_nothing_and_can_be_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step there is: the loop ends only where a demotion ran through."""
    for step in range(1, 100):
        root = tmp_path / str(step)
        tiers = make_tiers(root)
        tiers.hot.write("fills", make_rows())
        ended = False
        with monkeypatch.context() as patch:
            for owner, name, stepping in count_down(step, raise_killed):
                patch.setattr(owner, name, stepping)
            try:
                tiers.demote(AS_OF, POLICY)
            except Killed:
                ended = True
        check_nothing_is_lost(root, step)
        if not ended:
            break
    assert 16 <= step < 99


def kill_at(root: Path, step: int) -> int:
    """Return the exit code of a process whose demotion kills itself at that step."""
    make_tiers(root).hot.write("fills", make_rows())
    command = [sys.executable, "-c", KILLED, str(root), str(step)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


# One in each hop; the soak tries them all.
@pytest.mark.parametrize(
    "step", [7, 19, *(pytest.param(s, marks=pytest.mark.slow) for s in range(1, 40))]
)
def test_a_killed_demotion_loses_nothing_and_can_be_run_again(tmp_path: Path, step: int) -> None:
    code = kill_at(tmp_path, step)

    assert code == -signal.SIGKILL or (code == 0 and step > 16)
    check_nothing_is_lost(tmp_path, step)
