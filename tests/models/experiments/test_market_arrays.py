"""A market goes into arrays and comes back as it was."""

from dataclasses import replace

import numpy as np

from models.experiments.market_arrays import from_arrays, to_arrays
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
