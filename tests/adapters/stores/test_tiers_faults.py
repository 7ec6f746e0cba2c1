"""Tiering over real servers that end in the middle: nothing is lost, nothing lies twice."""

from collections.abc import Iterator

import pytest

from tests.adapters.stores.tier_faults import Servers, run_seed, servers


@pytest.fixture(scope="module")
def running() -> Iterator[Servers]:
    with servers() as started:
        yield started


# One of each victim; the soak runs two hundred.
@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(s, marks=pytest.mark.slow) for s in range(4, 200))]
)
def test_an_end_in_the_middle_loses_and_doubles_nothing(seed: int, running: Servers) -> None:
    outcome = run_seed(seed, running)

    assert (outcome.lost, outcome.doubled) == (0, 0), str(outcome)
