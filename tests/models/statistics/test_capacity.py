"""Capacity: the NAV at which impact takes the mean return, worked out by hand."""

import numpy as np
import pytest

from models import statistics as s


def test_capacity_is_where_impact_takes_the_mean_return() -> None:
    """Half of NAV trades daily in one name of 1e8 a day: 10 bps sqrt(0.5 V / 1e8) of half of V."""
    changes, value = np.full((10, 1), 0.5), np.full((10, 1), 1e8)
    impact = s.impact_per_root_nav(changes, value)
    nav = s.capacity(np.full(10, 2e-4), impact)
    paid = 0.5 * 10e-4 * np.sqrt(0.5 * nav / 1e8)
    assert paid == pytest.approx(2e-4)
    assert nav == pytest.approx(0.4**2 * 2e8)


def test_twice_the_edge_carries_four_times_the_money() -> None:
    impact = np.full(50, 1e-8)
    one, two = (s.capacity(np.full(50, mean), impact) for mean in (1e-4, 2e-4))
    assert two == pytest.approx(4 * one)


def test_no_edge_carries_nothing_and_no_trade_carries_anything() -> None:
    assert s.capacity([-1e-4, 0.0], [1e-8, 1e-8]) == 0.0
    assert s.capacity([1e-4, 1e-4], [0.0, 0.0]) == float("inf")


def test_a_volume_that_is_not_known_counts_only_where_it_was_traded() -> None:
    changes = np.array([[0.1, 0.0], [0.1, 0.1], [0.0, np.nan]])
    value = np.array([[1e6, np.nan], [1e6, np.nan], [1e6, 0.0]])
    impact = s.impact_per_root_nav(changes, value)
    assert np.isnan(impact).tolist() == [False, True, False]
    assert np.isnan(s.capacity([1e-4, 1e-4, 1e-4], [np.nan, np.nan, 1e-8]))
    assert s.capacity([1e-4, 1e-4, 1e-4], [1e-8, np.nan, 1e-8]) > 0
    assert np.isnan(s.capacity([], []))
    with pytest.raises(ValueError, match="must be equally long"):
        s.capacity([1e-4], [1e-8, 1e-8])
