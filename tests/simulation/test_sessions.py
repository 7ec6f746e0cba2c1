"""Whole sessions with every kind of fault, by seed; `python -m tests.simulation` plays more."""

import pytest

from tests.simulation.__main__ import commit
from tests.simulation.faults import CHANGE_KINDS, KINDS, NIGHT_KINDS, OWNER_KINDS
from tests.simulation.verdict import judge
from tests.simulation.world import World, play


def played(seed: int) -> World:
    """Play a session; a failure says how to see it again."""
    told = f"seed {seed} at commit {commit()}: python -m tests.simulation --sessions 1 --from-seed"
    try:
        world = play(seed)
        verdict = judge(world)
    except AssertionError as error:
        raise AssertionError(f"{told} {seed}: {error}") from error
    assert verdict.duplicate_orders == 0, f"{told} {seed}"
    assert verdict.lost_fills == 0, f"{told} {seed}"
    assert verdict.unbooked_differences == 0, f"{told} {seed}"
    return world


@pytest.mark.parametrize("block", range(4))
def test_sessions_with_all_faults_lose_nothing_and_double_nothing(block: int) -> None:
    happened: set[str] = set()
    for seed in range(20 * block, 20 * (block + 1)):
        happened |= played(seed).faults.happened.keys()
    assert len(happened) > len(KINDS) / 2


# Exits sent into the night of a split; exits sent before the last fill of a cancelled order.
@pytest.mark.parametrize("seed", [31169, 62840957, 62841364, 62844021, 81943322])
def test_sessions_that_once_lost_a_position_keep_it(seed: int) -> None:
    played(seed)


# Adjustments told late; an order that ended with its change unanswered, and came back from the
# log; a change to less than had filled; a cancel of what had filled in terms never confirmed.
@pytest.mark.parametrize("seed", [730266, 730358, 730679, 730916, 731129, 731988])
def test_sessions_that_once_lost_the_terms_of_an_order_keep_them(seed: int) -> None:
    played(seed)


def test_a_seed_gives_the_same_session_to_the_bit() -> None:
    first, again = played(7), played(7)

    assert first.watch.log.verify() == again.watch.log.verify()
    assert first.faults.happened == again.faults.happened
    assert first.lives == again.lives


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_many_sessions_see_every_fault_and_lose_nothing() -> None:
    happened: set[str] = set()
    for seed in range(100_000, 102_000):
        happened |= played(seed).faults.happened.keys()
    assert happened == {*KINDS, *NIGHT_KINDS, *CHANGE_KINDS, *OWNER_KINDS}
