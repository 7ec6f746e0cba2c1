"""Dependence-robust inference: Newey-West, block bootstrap, reality check, CSCV."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models import statistics as s


def autoregressive(n: int, phi: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = np.zeros(n)
    for k in range(1, n):
        x[k] = phi * x[k - 1] + rng.normal()
    return x


def test_newey_west_without_lags_is_the_textbook_error() -> None:
    x = np.random.default_rng(0).normal(0.1, 1, 300)
    assert s.mean_standard_error(x, 0) == pytest.approx(x.std() / np.sqrt(300))
    assert s.mean_t(x, 0) == pytest.approx(
        stats.ttest_1samp(x, 0).statistic * np.sqrt(300 / 299), rel=1e-9
    )


def test_newey_west_is_the_double_sum_of_weighted_products() -> None:
    x, lags = autoregressive(60, 0.5, 1), 4
    d = x - x.mean()
    total = sum(
        max(0.0, 1 - abs(i - j) / (lags + 1)) * d[i] * d[j] for i in range(60) for j in range(60)
    )
    assert s.mean_standard_error(x, lags) == pytest.approx(np.sqrt(total) / 60)


def test_overlap_widens_the_error_to_what_simulation_shows() -> None:
    rng = np.random.default_rng(2)
    kernel = np.ones(5)
    means = [np.convolve(rng.normal(size=1_004), kernel, "valid").mean() for _ in range(400)]
    one = np.convolve(rng.normal(size=1_004), kernel, "valid")
    assert s.mean_standard_error(one, 15) == pytest.approx(np.std(means), rel=0.2)
    assert s.mean_standard_error(one, 0) < 0.6 * np.std(means)


def test_a_constant_series_proves_nothing() -> None:
    assert s.mean_t([0.1] * 10) == 0.0
    assert s.mean_t([]) == 0.0


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.floats(1, 20), st.integers(0, 9))
def test_stationary_indices_run_on_in_a_circle_or_begin_anew(
    n: int, length: float, seed: int
) -> None:
    indices = s.stationary_indices(n, length, 50, seed)
    assert indices.shape == (50, n)
    assert indices.min() >= 0
    assert indices.max() < n
    assert np.array_equal(indices, s.stationary_indices(n, length, 50, seed))


def test_stationary_blocks_have_the_mean_length_asked_for() -> None:
    indices = s.stationary_indices(1_000, 8.0, 200, 0)
    breaks = ((np.diff(indices, axis=1) % 1_000) != 1).mean()
    assert 1 / breaks == pytest.approx(8.0, rel=0.05)


def test_circular_blocks_are_whole_and_every_value_is_as_likely() -> None:
    indices = s.circular_indices(50, 7, 4_000, 0)
    inside = [k for k in range(49) if (k + 1) % 7]
    assert ((np.diff(indices, axis=1) % 50)[:, inside] == 1).all()
    counts = np.bincount(indices.ravel(), minlength=50)
    assert stats.chisquare(counts.astype(float)).statistic < 50 * 7 * 2


def test_the_bootstrap_error_of_a_dependent_mean_is_the_true_one() -> None:
    phi, n = 0.6, 2_000
    x = autoregressive(n, phi, 3)
    true = 1 / (1 - phi) / np.sqrt(n)
    found = s.confidence_interval(x, replications=1_500)
    assert found.standard_error == pytest.approx(true, rel=0.25)
    naive = s.confidence_interval(x, mean_block_length=1.0, replications=1_500)
    assert naive.standard_error < 0.7 * true


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(120):
        x = autoregressive(400, 0.3, seed + 100)
        found = s.confidence_interval(x, level=0.9, replications=300, seed=seed)
        covered += found.low <= 0.0 <= found.high
    assert 0.80 <= covered / 120 <= 0.97


def test_automatic_blocks_are_short_for_noise_and_long_for_dependence() -> None:
    noise = np.mean([s.block_length(np.random.default_rng(k).normal(size=1_000)) for k in range(9)])
    slow = np.mean([s.block_length(autoregressive(1_000, 0.8, k)) for k in range(9)])
    assert noise < 6 < 12 < slow


def test_a_sharpe_interval_agrees_with_the_analytic_error() -> None:
    x = np.random.default_rng(7).normal(0.05, 1, 1_500)
    found = s.confidence_interval(x, s.sharpe_of, mean_block_length=1.0)
    assert found.standard_error == pytest.approx(s.sharpe_standard_error(x), rel=0.1)
    assert found.low < found.value < found.high


def test_the_fast_sharpe_interval_is_the_general_one() -> None:
    """Over the same blocks, to rounding; a constant series has no ratio in either."""
    for n, mean in ((2, 0.0), (37, 0.3), (1_000, -0.05)):
        x = autoregressive(n, 0.4, n) + mean
        fast = s.sharpe_interval(x, replications=300, seed=4)
        slow = s.confidence_interval(x, s.sharpe_of, replications=300, seed=4)
        for name in ("value", "low", "high", "standard_error"):
            assert getattr(fast, name) == pytest.approx(getattr(slow, name), rel=1e-9, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.floats(1, 20), st.integers(1, 40), st.integers(0, 9))
def test_compiled_blocks_are_those_of_their_definition(
    n: int, length: float, replications: int, seed: int
) -> None:
    """A block begins where its chance is below 1 / length, and goes on in a circle until then."""
    rng = np.random.default_rng(seed)
    chances, starts = rng.random((replications, n)), rng.integers(0, n, (replications, n))
    wanted = starts.copy()
    for row in range(replications):
        for t in range(1, n):
            if not chances[row, t] < 1.0 / length:
                wanted[row, t] = (wanted[row, t - 1] + 1) % n
    assert np.array_equal(s.stationary_indices(n, length, replications, seed), wanted)


def test_the_reality_check_is_not_fooled_by_the_best_of_many() -> None:
    p = [
        s.reality_check(
            np.random.default_rng(k).normal(0, 1, (250, 60)), replications=300, seed=k
        ).spa
        for k in range(40)
    ]
    assert np.mean(np.array(p) < 0.1) <= 0.25
    assert 0.3 < np.mean(p) < 0.7


def test_the_reality_check_of_a_thousand_without_skill_is_as_often_low_as_high() -> None:
    """Two years of a thousand: blocks as long as the longest automatic one made every p small."""
    p = [
        s.reality_check(
            np.random.default_rng(k).normal(0, 1, (504, 1_000)), replications=300, seed=k
        ).spa
        for k in range(12)
    ]
    assert 0.35 < np.mean(p) < 0.65
    assert min(p) > 0.02


def test_the_reality_check_sees_one_that_is_better() -> None:
    d = np.random.default_rng(1).normal(0, 1, (500, 30))
    d[:, 17] += 0.25
    found = s.reality_check(d, replications=500)
    assert found.best == 17
    assert max(found.white, found.spa, found.spa_upper) < 0.02


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 100), st.integers(1, 12))
def test_the_consistent_p_lies_between_its_bounds(seed: int, strategies: int) -> None:
    rng = np.random.default_rng(seed)
    d = rng.normal(rng.normal(0, 0.1, strategies), 1, (80, strategies))
    found = s.reality_check(d, replications=200, seed=seed)
    assert 0 <= found.spa_lower <= found.spa <= found.spa_upper <= 1


def test_adding_hopeless_strategies_hurts_white_more_than_hansen() -> None:
    d = np.random.default_rng(5).normal(0, 1, (400, 5))
    d[:, 0] += 0.12
    poor = np.random.default_rng(6).normal(-1, 6, (400, 60))
    both = s.reality_check(np.hstack([d, poor]), replications=500)
    assert both.spa < 0.2 < both.white


def brute_force_pbo(x: np.ndarray, blocks: int) -> float:
    parts = np.array_split(x, blocks)
    bad = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.vstack([parts[k] for k in chosen])
        outside = np.vstack([parts[k] for k in range(blocks) if k not in chosen])
        ratio_in = inside.mean(axis=0) / inside.std(axis=0)
        ratio_out = outside.mean(axis=0) / outside.std(axis=0)
        rank = stats.rankdata(ratio_out)[ratio_in.argmax()]
        bad.append(rank / (x.shape[1] + 1) <= 0.5)
    return float(np.mean(bad))


@pytest.mark.parametrize("seed", range(4))
def test_overfitting_is_what_a_loop_over_all_halvings_finds(seed: int) -> None:
    x = np.random.default_rng(seed).normal(0.01, 1, (96, 7))
    assert s.backtest_overfitting(x, 8).probability == pytest.approx(brute_force_pbo(x, 8))


def test_choosing_among_noise_is_overfitting_and_choosing_skill_is_not() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (640, 40))
    skill = noise.copy()
    skill[:, 3] += 0.3
    among_noise, among_skill = s.backtest_overfitting(noise), s.backtest_overfitting(skill)
    assert among_noise.probability > 0.3
    assert among_skill.probability < 0.01
    assert among_skill.loss_probability < 0.01 < among_noise.loss_probability
    assert among_noise.logits.size == 12_870


def test_resampling_out_of_bounds_says_what_must_hold() -> None:
    with pytest.raises(ValueError, match="block_length must be at least 1"):
        s.stationary_indices(10, 0.5, 10, 0)
    with pytest.raises(ValueError, match="at least 2 values"):
        s.confidence_interval([1.0])
    with pytest.raises(ValueError, match="blocks must be even"):
        s.backtest_overfitting(np.zeros((100, 3)), 7)
    with pytest.raises(ValueError, match="must be finite"):
        s.backtest_overfitting(np.full((100, 3), np.nan), 8)
    with pytest.raises(ValueError, match="must be finite"):
        s.reality_check(np.zeros((5, 2)))
