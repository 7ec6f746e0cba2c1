"""A full disk: one line says so, every row stays, and the move goes on once there is room."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from adapters.stores.tiers import TierPolicy
from tests.adapters.stores.test_tiers import DAY, START, make_fills, make_tiers, places

ROOT = Path(__file__).parents[3]
POLICIES = {
    "warm": TierPolicy(hot_age=DAY, warm_age=9_000 * DAY),
    "cold": TierPolicy(hot_age=DAY, warm_age=2 * DAY),
}
# No file may grow beyond the limit: a write ends in the middle as on a full disk.
DEMOTE = """
import resource, sys
from pathlib import Path
from tests.adapters.stores.test_tiers import DAY, START, make_tiers
from tests.adapters.stores.test_tiers_full_disk import POLICIES
tiers = make_tiers(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
try:
    tiers.demote(START + 500 * DAY, POLICIES[sys.argv[2]])
except OSError as error:
    print(error)
    sys.exit(3)
"""


def make_wide(count: int) -> pl.DataFrame:
    """Return fills of one month that take some 200 kB."""
    notes = pl.Series("note", [os.urandom(10_000).hex() for _ in range(count)])
    return make_fills(0, count).with_columns(notes)


@pytest.mark.parametrize("target", ["warm", "cold"])
def test_a_full_disk_loses_nothing_and_the_move_goes_on(tmp_path: Path, target: str) -> None:
    rows, tiers = make_wide(10), make_tiers(tmp_path)
    tier = tiers.hot if target == "warm" else tiers.warm
    tier.write("fills", rows)

    ended = subprocess.run(
        [sys.executable, "-c", DEMOTE, str(tmp_path), target],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 3, ended.stderr
    assert len(ended.stdout.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*.part"))
    again = make_tiers(tmp_path)
    assert again.catalogue().query("fills").equals(tiers.catalogue().query("fills"))
    again.demote(START + 500 * DAY, POLICIES[target])
    assert places(again) == {target: 10}
    assert (
        again.catalogue()
        .query("fills")
        .select("fill_id", "note")
        .equals(rows.select("fill_id", "note"))
    )
