"""Our figures beside those of established libraries, written down with their versions.

empyrical-reloaded 0.7.1 and arch 8.0.0 gave the figures for the series drawn here; neither is
installed with the platform.
"""

import numpy as np
import pytest

from models import statistics as s


def _returns() -> tuple[np.ndarray, np.ndarray]:
    """Return three years of a book and of its benchmark, [750] each."""
    rng = np.random.default_rng(7)
    benchmark = rng.normal(0.0004, 0.011, 750)
    return 0.0002 + 0.7 * benchmark + rng.normal(0, 0.006, 750), benchmark


def test_the_figures_of_a_series_are_those_of_empyrical() -> None:
    """To nine digits where the definition is the same."""
    book, benchmark = _returns()
    found = {
        "sharpe_ratio": s.sharpe(book),
        "sortino_ratio": s.sortino(book),
        "calmar_ratio": s.calmar(book),
        "annual_return": s.annual_return(book),
        "annual_volatility": s.annual_volatility(book),
        "max_drawdown": -s.max_drawdown(book),
        "beta": s.alpha_beta(book, benchmark).beta,
        # empyrical compounds what we multiply.
        "alpha": (1 + s.alpha_beta(book, benchmark).alpha / 252) ** 252 - 1,
    }
    assert found == pytest.approx(
        {
            "sharpe_ratio": -0.6064931590256486,
            "sortino_ratio": -0.8334335947197337,
            "calmar_ratio": -0.26495502913973584,
            "annual_return": -0.09725435797590365,
            "annual_volatility": 0.1501050841846869,
            "max_drawdown": -0.3670598678261443,
            "beta": 0.6964642588374235,
            "alpha": 0.03464757909358429,
        },
        rel=1e-9,
    )


def test_the_tail_is_that_of_empyrical_within_a_neighbouring_loss() -> None:
    """empyrical interpolates the quantile and cuts the tail to whole losses; ours are coherent."""
    book, _ = _returns()
    assert s.value_at_risk(book, 0.05) == pytest.approx(0.0161306749327311, rel=0.02)
    assert s.expected_shortfall(book, 0.05) == pytest.approx(0.02041160593930298, rel=0.01)


def test_the_test_of_superior_ability_is_that_of_arch() -> None:
    """p-values of 5,000 draws in blocks of 5, within what the draws allow."""
    rng = np.random.default_rng(11)
    tried = rng.normal(0, 0.01, (500, 20))
    tried[:, 3] += 0.0009
    found = s.reality_check(tried, mean_block_length=5, replications=5_000, seed=3)
    told = [found.spa_lower, found.spa, found.spa_upper]
    assert told == pytest.approx([0.0132, 0.0256, 0.0256], abs=0.008)


def test_block_lengths_and_intervals_are_those_of_arch() -> None:
    """An autoregression of 0.3: arch's optimal length and its interval of the Sharpe ratio."""
    rng = np.random.default_rng(11)
    rng.normal(0, 0.01, (500, 20))
    shocks, series = rng.normal(0, 0.01, 1_500), np.zeros(1_500)
    for t in range(1, 1_500):
        series[t] = 0.3 * series[t - 1] + shocks[t]
    assert series[-1] == pytest.approx(-0.009308153482388724)
    # arch takes one lag more into its window than Politis and White (2004) say.
    assert s.block_length(series) == pytest.approx(6.70809, rel=0.15)
    found = s.confidence_interval(series, s.sharpe_of, mean_block_length=5, replications=5_000)
    year = 252**0.5
    assert (found.low * year, found.high * year) == pytest.approx(
        (-1.85512081, 0.09777306), abs=0.08
    )
