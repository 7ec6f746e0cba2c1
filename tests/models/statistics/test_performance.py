"""Performance figures against known answers and independent formulae."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models import statistics as s

# Leverage on what is all but the smallest float is lost in rounding: such values are 0 here.
returns_lists = st.lists(
    st.floats(-0.2, 0.2).map(lambda v: v if abs(v) > 1e-250 else 0.0), min_size=3, max_size=60
)


def noise(n: int = 500, seed: int = 0, mean: float = 0.0005) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 0.01, n)


def test_sharpe_is_mean_over_deviation_a_year() -> None:
    assert s.sharpe([0.01, 0.03], 1) == pytest.approx(0.02 / np.std([0.01, 0.03], ddof=1))
    x = noise()
    assert s.sharpe(x) == pytest.approx(x.mean() / x.std(ddof=1) * np.sqrt(252))


@given(returns_lists, st.floats(0.1, 10))
def test_leverage_does_not_change_a_sharpe_ratio(values: list[float], leverage: float) -> None:
    x = np.array(values)
    one, other = s.sharpe(x), s.sharpe(x * leverage)
    assert (np.isnan(one) and np.isnan(other)) or one == pytest.approx(other, rel=1e-6)


def test_returns_too_small_to_square_have_the_ratios_of_larger_ones() -> None:
    x = np.array([0.0, 0.0, 7e-161, -3e-161])
    assert s.sharpe(x) == pytest.approx(s.sharpe(x * 1e160), rel=1e-12)
    assert s.sortino(x) == pytest.approx(s.sortino(x * 1e160), rel=1e-12)


def test_a_series_without_risk_has_no_sharpe() -> None:
    assert np.isnan(s.sharpe([0.1] * 7))
    assert np.isnan(s.sharpe([0.01]))
    assert np.isnan(s.sharpe([]))


def test_values_that_are_not_finite_are_left_out() -> None:
    x = noise()
    assert s.sharpe([*x, np.nan, np.inf]) == s.sharpe(x)


def test_sortino_counts_only_what_fell_short() -> None:
    x = [0.02, -0.01, 0.03, -0.03]
    shortfall = np.sqrt((0.01**2 + 0.03**2) / 4)
    assert s.sortino(x, periods_per_year=1) == pytest.approx(np.mean(x) / shortfall)
    assert s.sortino([0.01, 0.02]) == np.inf


def test_annual_return_compounds() -> None:
    assert s.annual_return([0.1, 0.1], 2) == pytest.approx(0.21)
    assert s.annual_return([0.5, -1.0], 2) == -1.0


def test_drawdown_of_a_known_path() -> None:
    path = [0.10, -0.50, 0.20, 1.0, -0.1]
    assert s.equity(path) == pytest.approx([1, 1.1, 0.55, 0.66, 1.32, 1.188])
    assert s.drawdowns(path) == pytest.approx([0, 0.5, 0.4, 0, 0.1])
    assert s.max_drawdown(path) == pytest.approx(0.5)
    assert s.longest_drawdown(path) == 2
    assert s.calmar(path, 5) == pytest.approx((1.188 - 1) / 0.5)


def test_a_first_loss_is_a_drawdown_from_what_was_paid_in() -> None:
    assert s.max_drawdown([-0.3]) == pytest.approx(0.3)


@given(returns_lists)
def test_drawdowns_are_what_a_loop_finds(values: list[float]) -> None:
    value, high, expected = 1.0, 1.0, []
    for r in values:
        value *= 1 + r
        high = max(high, value)
        expected.append(1 - value / high)
    assert s.drawdowns(values) == pytest.approx(expected, abs=1e-12)
    assert 0 <= s.max_drawdown(values) <= 1


def test_ruin_is_a_drawdown_of_everything_and_stays_one() -> None:
    assert s.drawdowns([-1.5, 3.0]).tolist() == [1.0, 1.0]


def test_hit_rate_leaves_out_what_was_no_bet() -> None:
    assert s.hit_rate([0.1, 0.0, -0.1, 0.2]) == pytest.approx(2 / 3)


def test_turnover_is_half_of_all_changes() -> None:
    assert s.turnover([[0.5, 0.5], [0.5, 0.5], [1.0, 0.0], [0.0, np.nan]]).tolist() == [0, 0.5, 0.5]
    with pytest.raises(ValueError, match="must be \\[steps, instruments\\]"):
        s.turnover([1.0, 2.0])


def test_alpha_and_beta_are_those_of_least_squares() -> None:
    market = noise(seed=1)
    y = 0.0002 + 1.3 * market + noise(seed=2, mean=0) * 0.2
    found, line = s.alpha_beta(y, market, lags=0), stats.linregress(market, y)
    assert found.beta == pytest.approx(line.slope)
    assert found.alpha == pytest.approx(line.intercept * 252)
    assert found.r_squared == pytest.approx(line.rvalue**2)


def test_alpha_t_without_lags_is_whites() -> None:
    market, e = noise(seed=1), noise(seed=2, mean=0)
    y = market + e * (1 + 50 * np.abs(market))
    found = s.alpha_beta(y, market, lags=0)
    design = np.column_stack([np.ones(market.size), market])
    coefficients, *_ = np.linalg.lstsq(design, y, rcond=None)
    residual = y - design @ coefficients
    bread = np.linalg.inv(design.T @ design)
    white = bread @ (design.T * residual**2 @ design) @ bread
    assert found.alpha_t == pytest.approx(coefficients[0] / np.sqrt(white[0, 0]))


def test_a_regression_that_cannot_be_run_says_why() -> None:
    with pytest.raises(ValueError, match="two equal series"):
        s.alpha_beta([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="moving benchmark"):
        s.alpha_beta([1, 2, 3], [1, 1, 1])


def test_value_at_risk_and_shortfall_of_a_known_sample() -> None:
    x = -np.arange(1, 101) / 100.0  # losses of 1 to 100 %
    assert s.value_at_risk(x, 0.05) == pytest.approx(0.96)
    assert s.expected_shortfall(x, 0.05) == pytest.approx(np.mean([1, 0.99, 0.98, 0.97, 0.96]))
    # Half of the sixth loss counts where the tail holds five and a half.
    assert s.expected_shortfall(x, 0.055) == pytest.approx((4.9 + 0.5 * 0.95) / 5.5)


def test_shortfall_of_a_normal_sample_is_near_its_formula() -> None:
    x = np.random.default_rng(0).normal(0, 1, 200_000)
    assert s.value_at_risk(x, 0.05) == pytest.approx(1.645, abs=0.02)
    assert s.expected_shortfall(x, 0.05) == pytest.approx(stats.norm.pdf(1.645) / 0.05, abs=0.02)


@given(returns_lists, returns_lists, st.floats(0.01, 0.5))
def test_shortfall_is_coherent(first: list[float], second: list[float], tail: float) -> None:
    n = min(len(first), len(second))
    x, y = np.array(first[:n]), np.array(second[:n])
    es = [s.expected_shortfall(v, tail) for v in (x, y, x + y)]
    assert es[2] <= es[0] + es[1] + 1e-12
    assert es[0] >= s.value_at_risk(x, tail) - 1e-12
    assert s.expected_shortfall(x + 0.1, tail) == pytest.approx(es[0] - 0.1)


def test_a_tail_out_of_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="tail must be in"):
        s.value_at_risk([0.1], 0.0)
