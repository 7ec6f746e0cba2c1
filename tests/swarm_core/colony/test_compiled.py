"""The compile cache: no kernel outlives a change of a kernel that it calls."""

from swarm_core.colony import compiled


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
