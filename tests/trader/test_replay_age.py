"""How old the data of a replay are: counted by the feed itself, wherever the clock stands."""

from dataclasses import replace
from pathlib import Path

import pytest

from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import NOW_NS
from tests.trader.sessions import ListFeed, quotes
from tests.trader.test_loop import Stage


@pytest.mark.parametrize("replayed", [True, False])
def test_the_age_of_what_is_replayed_is_counted_by_the_feed_itself(
    tmp_path: Path, replayed: bool
) -> None:
    """A replay goes on two hours before the moment that its clock shows; a live feed may not."""
    stage = Stage(tmp_path, ListFeed(quotes(4)))
    stage.desk.now_ns = lambda: NOW_NS + 7_200 * 10**9
    stage.trader._replayed = replayed

    stage.run()

    assert stage.state is (TradingState.ACTIVE if replayed else TradingState.HALTED)


def test_a_replay_that_jumps_back_halts(tmp_path: Path) -> None:
    told = quotes(4)
    late = replace(told[0], time_ns=told[-1].time_ns - 7_200 * 10**9)
    stage = Stage(tmp_path, ListFeed([*told, late]))
    stage.trader._replayed = True

    stage.run()

    assert stage.state is TradingState.HALTED
