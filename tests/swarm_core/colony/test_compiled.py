"""The compile cache: no kernel outlives a change of a kernel that it calls."""

from pathlib import Path
from typing import Any

import pytest

from swarm_core.colony import compiled

_KERNEL = """
from swarm_core.colony.compiled import kernel
ADDED = {added}
@kernel
def add(x):
    return x + ADDED
"""


def _add(folder: Path, added: int, patch: pytest.MonkeyPatch) -> Any:
    """Return x + added as a process would have it that has just read these sources."""
    path = folder / "made_up.py"
    path.write_text(_KERNEL.format(added=added))
    patch.setattr(compiled, "source_digest", lambda _: f"sources of {added}")
    found: dict[str, Any] = {"__name__": "swarm_core.colony.made_up"}
    exec(compile(path.read_text(), path, "exec"), found)
    return found["add"]


def _cache_of(function: Any) -> Any:
    return function._cache._cache_file


def test_a_reader_between_two_writes_never_gets_what_older_sources_compiled_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _add(tmp_path, 1, monkeypatch)(1) == 2
    writing = _add(tmp_path, 2, monkeypatch)
    _cache_of(writing)._save_data = lambda name, data: None  # the index stands, the code not yet

    assert writing(1) == 3
    assert _add(tmp_path, 2, monkeypatch)(1) == 3


def test_two_processes_that_compile_two_signatures_at_once_do_not_write_over_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _add(tmp_path, 1, monkeypatch)(1) == 2
    other = _add(tmp_path, 1, monkeypatch)
    # It read the index before the first was in it, and its own was written over by the first.
    _cache_of(other)._load_index = dict
    _cache_of(other)._save_index = lambda overloads: None
    assert other(1.5) == 2.5

    assert _add(tmp_path, 1, monkeypatch)(1) == 2


def test_compiled_code_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _add(tmp_path, 1, monkeypatch)(1)
    again = _add(tmp_path, 1, monkeypatch)
    again(1)
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_kernels_stamp_covers_all_that_it_calls() -> None:
    reached, waiting = set[str](), ["swarm_core.colony.replay"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += compiled._imports(name)
    names = ("cycle", "trust", "arithmetic", "constraints", "drones", "state")
    assert {f"swarm_core.colony.{name}" for name in names} <= reached


def test_a_stamp_reaches_kernels_of_other_packages() -> None:
    assert "swarm_core.risk.codes" in compiled._imports("swarm_core.risk.kernel")
    assert "swarm_core.colony.compiled" in compiled._imports("swarm_core.risk.kernel")


def test_stamps_differ_where_sources_do() -> None:
    assert compiled.source_digest("swarm_core.colony.trust") != compiled.source_digest(
        "swarm_core.colony.queen"
    )
    assert compiled.source_digest("swarm_core.colony.trust") == compiled.source_digest(
        "swarm_core.colony.trust"
    )
