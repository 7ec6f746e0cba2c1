"""The compile cache: no kernel outlives a change of a kernel that it calls."""

from swarm_core.colony import compiled


def test_a_kernels_stamp_covers_all_that_it_calls() -> None:
    reached, waiting = set[str](), ["replay"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += compiled._imports(name)
    assert {"cycle", "trust", "arithmetic", "constraints", "drones", "state"} <= reached


def test_stamps_differ_where_sources_do() -> None:
    assert compiled.source_digest("trust") != compiled.source_digest("queen")
    assert compiled.source_digest("trust") == compiled.source_digest("trust")
