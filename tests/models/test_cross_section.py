"""Arithmetic within decisions agrees with SciPy and does not depend on other decisions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.cross_section import group_ranks, rank_correlations, standardise, target_of

GROUPS = np.repeat(np.arange(6), [1, 2, 5, 9, 30, 4])


def values(seed: int, ties: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    draw = rng.normal(size=GROUPS.size)
    return np.round(draw) if ties else draw


@pytest.mark.parametrize("ties", [True, False])
@given(seed=st.integers(0, 50))
def test_ranks_are_those_of_scipy_group_by_group(ties: bool, seed: int) -> None:
    x = values(seed, ties)
    ranks = group_ranks(x, GROUPS)
    for group in range(6):
        inside = group == GROUPS
        assert np.array_equal(ranks[inside], stats.rankdata(x[inside]))


def test_rank_correlations_are_spearmans() -> None:
    x, y = values(1, ties=True), values(2)
    found = rank_correlations(x, y, GROUPS, names_min=4)
    assert np.isnan(found[:2]).all()
    for group in (2, 3, 4, 5):
        inside = group == GROUPS
        assert found[group] == pytest.approx(stats.spearmanr(x[inside], y[inside])[0])


def test_a_constant_side_has_no_correlation() -> None:
    assert np.isnan(rank_correlations(np.ones(GROUPS.size), values(0), GROUPS, 2)).all()


@given(seed=st.integers(0, 50))
def test_z_has_mean_zero_and_deviation_one_and_the_same_bits_alone(seed: int) -> None:
    x = values(seed)
    z = standardise(x, GROUPS)
    for group in range(1, 6):
        inside = group == GROUPS
        assert z[inside].mean() == pytest.approx(0, abs=1e-12)
        assert z[inside].std() == pytest.approx(1)
        alone = standardise(x[inside], np.zeros(inside.sum(), dtype=np.int64))
        assert alone.tolist() == z[inside].tolist()


def test_equal_values_have_no_z() -> None:
    assert (standardise(np.full(GROUPS.size, 0.1), GROUPS) == 0).all()


def test_targets_are_relative_unless_raw() -> None:
    x = values(3)
    assert target_of(x, GROUPS, "raw") is x
    assert np.abs(target_of(x * 1e9, GROUPS, "standardised")).max() <= 3
    assert target_of(x + 5, GROUPS, "demeaned") == pytest.approx(target_of(x, GROUPS, "demeaned"))
