"""How sure a Sharpe ratio is, against published figures and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models import statistics as s


def test_a_thousand_trials_without_skill_over_five_years_show_a_ratio_of_about_1_46() -> None:
    assert s.expected_max_sharpe(1_000, 1 / np.sqrt(5)) == pytest.approx(1.46, abs=0.005)


def test_the_expected_maximum_is_what_simulated_trials_reach() -> None:
    rng = np.random.default_rng(0)
    best = [
        (x.mean(axis=0) / x.std(axis=0, ddof=1)).max() * np.sqrt(252)
        for x in (rng.normal(0, 0.01, (1_260, 1_000)) for _ in range(12))
    ]
    assert s.expected_max_sharpe(1_000, 1 / np.sqrt(5)) == pytest.approx(np.mean(best), abs=0.12)


@pytest.mark.parametrize("trials", [2, 10, 100, 10_000])
def test_the_expected_maximum_is_near_the_integral_over_the_normal(trials: int) -> None:
    x = np.linspace(-8, 12, 200_001)
    density = trials * stats.norm.pdf(x) * stats.norm.cdf(x) ** (trials - 1)
    exact = np.trapezoid(x * density, x)
    assert s.expected_max_sharpe(trials, 1.0) == pytest.approx(exact, abs=0.07)


def test_one_trial_has_no_luck_to_take_off() -> None:
    assert s.expected_max_sharpe(1, 3.0) == 0.0


def test_the_worked_example_of_the_deflated_ratio_comes_out() -> None:
    """Bailey & Lopez de Prado 2014: annual SR 2.5, N=100, V=1/2, T=1250, skew -3, kurtosis 10."""
    expected_max = s.expected_max_sharpe(100, np.sqrt(0.5)) / np.sqrt(250)
    assert expected_max == pytest.approx(0.1132, abs=2e-4)
    ratio = 2.5 / np.sqrt(250)
    error = np.sqrt((1 + 3 * ratio + 9 / 4 * ratio**2) / 1249)
    assert stats.norm.cdf((ratio - expected_max) / error) == pytest.approx(0.9004, abs=1e-3)


def test_probabilistic_sharpe_is_its_formula_with_the_samples_own_moments() -> None:
    x = np.random.default_rng(1).standard_t(5, 700) * 0.01 + 0.0008
    ratio = x.mean() / x.std(ddof=1)
    skew, kurtosis = stats.skew(x), stats.kurtosis(x, fisher=False)
    error = np.sqrt((1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2) / 699)
    assert s.sharpe_standard_error(x) == pytest.approx(error)
    assert s.probabilistic_sharpe(x, 0.5) == pytest.approx(
        stats.norm.cdf((ratio - 0.5 / np.sqrt(252)) / error)
    )


def test_the_standard_error_is_the_spread_of_simulated_ratios() -> None:
    x = np.random.default_rng(2).normal(0.1, 1, (4_000, 250))
    ratios = x.mean(axis=1) / x.std(axis=1, ddof=1)
    assert s.sharpe_standard_error(x[0]) == pytest.approx(ratios.std(), rel=0.08)


@given(trials=st.integers(1, 10_000), more=st.integers(1, 10_000))
def test_more_trials_never_make_a_result_surer(trials: int, more: int) -> None:
    x = np.random.default_rng(3).normal(0.001, 0.01, 500)
    assert s.deflated_sharpe(x, trials + more) <= s.deflated_sharpe(x, trials)
    assert s.deflated_sharpe(x, 1) == s.probabilistic_sharpe(x)


def test_the_best_of_many_without_skill_is_not_called_skill() -> None:
    x = np.random.default_rng(4).normal(0, 0.01, (1_260, 500))
    best = max(x.T, key=s.sharpe)
    assert s.probabilistic_sharpe(best) > 0.98
    assert s.deflated_sharpe(best, 500) < 0.9


def test_the_minimum_track_record_is_just_long_enough() -> None:
    x = np.random.default_rng(5).normal(0.001, 0.01, 900)
    needed = s.min_track_record_length(x, 0.2, 0.95)
    ratio = x.mean() / x.std(ddof=1)
    skew, kurtosis = stats.skew(x), stats.kurtosis(x, fisher=False)
    factor = 1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2
    z = (ratio - 0.2 / np.sqrt(252)) * np.sqrt((needed - 1) / factor)
    assert stats.norm.cdf(z) == pytest.approx(0.95)


def test_a_ratio_below_its_benchmark_is_never_proven() -> None:
    x = np.random.default_rng(6).normal(-0.001, 0.01, 300)
    assert s.min_track_record_length(x) == np.inf


def test_numbers_out_of_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="trials must be at least 1"):
        s.expected_max_sharpe(0, 1.0)
    with pytest.raises(ValueError, match="sharpe_std must be at least 0"):
        s.expected_max_sharpe(2, float("nan"))
    with pytest.raises(ValueError, match="confidence must be in"):
        s.min_track_record_length([0.1, 0.2, 0.3], confidence=1.0)
