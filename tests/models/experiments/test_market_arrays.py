"""A market goes into arrays and comes back as it was."""

from dataclasses import replace

import numpy as np

from models.experiments.account import floor_of
from models.experiments.market_arrays import from_arrays, to_arrays
from swarm_core.actions.splits import Split
from tests.models.experiments.builders import make_market


def test_a_market_comes_back_from_its_arrays_as_it_was() -> None:
    market = make_market(40, 5)
    market = replace(market, opens=market.panel.prices * 1.01)
    back = from_arrays(to_arrays(market))
    assert back.closes == market.closes
    np.testing.assert_array_equal(back.benchmark, market.benchmark)
    assert back.opens is not None
    np.testing.assert_array_equal(back.opens, market.opens)
    for name in ("instrument_ids", "sectors", "currencies", "nav", "cost_bps"):
        assert getattr(back.panel, name) == getattr(market.panel, name)
    for name in ("time_ns", "prices", "sigma", "data_age_s", "anomaly"):
        mine, other = getattr(back.panel, name), getattr(market.panel, name)
        assert (mine is None) == (other is None)
        if mine is not None:
            np.testing.assert_array_equal(mine, other)
    for group in ("features", "market"):
        mine, other = getattr(back.panel, group), getattr(market.panel, group)
        assert set(mine) == set(other)
        for name, values in other.items():
            np.testing.assert_array_equal(mine[name], values)


def test_a_floor_comes_back_from_its_arrays_as_it_was() -> None:
    """Instruments, bars and actions are the same in a worker, and its arrays are writable."""
    plain = make_market(40, 5)
    floor = floor_of(plain)
    action = Split(action_id="s", instrument_id="I0", numerator=2, denominator=1)
    market = replace(plain, floor=replace(floor, actions={18_300: (action,)}))
    back = from_arrays(to_arrays(market)).floor
    assert back is not None
    assert market.floor is not None
    assert back.bars.instruments == floor.bars.instruments
    assert back.actions == market.floor.actions
    for name, values in floor.bars.market._asdict().items():
        np.testing.assert_array_equal(getattr(back.bars.market, name), values)
        assert getattr(back.bars.market, name).flags.writeable
