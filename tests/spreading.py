"""How the tests are spread over the workers of pytest-xdist: by file or group, the longest first.

What a module compiles, starts or lays out is then made once, in one worker, and no long piece of
work is left for the end, when the other worker has nothing to do.
"""

import re
from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

_ROOT = Path(__file__).parents[1]
_GROUP = re.compile(r'^pytestmark = pytest\.mark\.xdist_group\("(\w+)"\)', re.MULTILINE)
# Units that take long, or wait for servers, in the order in which they begin. What others compile
# as well comes first and what uses it last: two workers that need it at once would both compile it.
_FIRST = (
    "experiments",
    "workers",
    "daemon",
    "chain",
    "tests/trader/test_nights.py",
    "notebooks",
    "parity",
    "backup",
    "universe",
    "bus",
    "tests/pipelines/test_foreign_markets.py",
    "tests/trader/test_process.py",
    "tests/trader/test_working.py",
    "tests/simulation/test_sessions.py",
    "tests/simulation/test_planted_bugs.py",
    "tests/features/kernels/test_fused.py",
)
_LAST = "tests/swarm_core/"
_AHEAD = 2  # tests that a worker has to know of beyond the one that runs


@cache
def unit_of(file: str) -> str:
    """Return the group that a file of tests is marked with, or the file itself."""
    found = _GROUP.search((_ROOT / file).read_text(encoding="utf-8"))
    return found.group(1) if found else file


def place_of(nodeid: str) -> int:
    """Return a number by which the longest units are sorted before all others."""
    file = nodeid.split("::", 1)[0]
    unit = unit_of(file)
    if unit in _FIRST:
        return _FIRST.index(unit)
    return len(_FIRST) + file.startswith(_LAST)


class Spreading(LoadScopeScheduling):
    """Hands out whole units, in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Producer | None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        # xdist's own groups are written into a private field that pytest no longer reads.
        return unit_of(nodeid.split("::", 1)[0])

    def _reschedule(self, node: WorkerController) -> None:
        """Give a worker what comes next, or tell it that nothing does.

        It begins a test when it knows that. The scheduler of xdist speaks only when a test has
        ended: one that takes the place of a crashed worker, with a last test, would wait for ever.
        """
        if node.shutting_down:
            return
        while self.workqueue and self._pending_of(self.assigned_work[node]) <= _AHEAD:
            self._assign_work_unit(node)
        if not self.workqueue:
            node.shutdown()
