"""Trust follows what pays, remembers what paid, and lets go of what does not."""

import numpy as np
import pytest

from benchmarks.decision_quality.baselines import fixed_share, oracle
from benchmarks.decision_quality.markets import Market, generate
from benchmarks.decision_quality.scouts import net_payoff, scout_book
from benchmarks.decision_quality.synthetic import colony_on, recovery_of, settings_for


def _share(market: Market) -> tuple[float, float, float]:
    """Return the colony's and fixed-share's share of the oracle's payoff, and the recovery."""
    truth, settings = generate(market), settings_for(market)
    book = scout_book(truth, settings, market.cost_bps)
    best = book.earn(oracle(book.payoff, truth.regime))
    payoff = net_payoff(colony_on(truth, settings).conviction, truth.outcome, book.cost)
    fixed = book.earn(fixed_share(book.payoff))
    recovery = recovery_of(payoff, best, truth.regime)
    return payoff.sum() / best.sum(), fixed.sum() / best.sum(), recovery


@pytest.mark.parametrize(("flip", "noise", "least"), [(500, 16, 0.97), (100, 16, 0.93)])
def test_the_colony_nears_the_regime_oracle_on_a_market_it_has_not_seen(
    flip: int, noise: int, least: float
) -> None:
    """Half of the bars of the marks, so a little less than the marks is asked for."""
    market = Market(family="flip", flip_bars=flip, noise_scouts=noise, bars=3_000, seed=77)
    share, fixed, recovery = _share(market)
    assert share > least
    assert share > fixed
    assert recovery > 0.5 or flip == 500  # four recurring flips are too few to tell


@pytest.mark.parametrize("family", ["new_regime", "drift", "crash"])
def test_nowhere_is_it_much_worse_than_fixed_share(family: str) -> None:
    share, fixed, _ = _share(Market(family=family, flip_bars=300, bars=3_000, seed=78))
    assert share > fixed - 0.01


def test_on_pure_noise_with_costs_it_hardly_trades_and_hardly_loses() -> None:
    market = Market(family="noise", phi=0.0, cost_bps=5.0, bars=3_000, seed=79)
    records = colony_on(generate(market), settings_for(market))
    assert records.nav[-1] > 0.99
    assert records.turnover.mean() < 0.005


def test_trust_sums_to_one_and_stays_positive_for_all_who_live() -> None:
    market = Market(family="flip", flip_bars=100, bars=800, seed=80)
    records = colony_on(generate(market), settings_for(market))
    np.testing.assert_allclose(records.trust.sum(axis=1), 1.0, atol=1e-9)
    assert (records.trust >= 0.0).all()


def test_what_a_scout_is_paid_does_not_depend_on_what_the_colony_held() -> None:
    """A fill may not raise the signal that caused it: payoffs come from prices alone."""
    market = Market(family="flip", flip_bars=100, bars=300, cost_bps=5.0, seed=81)
    truth = generate(market)
    traded = colony_on(truth, settings_for(market))
    idle = colony_on(truth, settings_for(market, {"worker": {"volatility_target": 0.0}}))
    assert np.abs(traded.target_weights).max() > 0.0
    assert np.abs(idle.target_weights).max() == 0.0
    np.testing.assert_array_equal(traded.payoff, idle.payoff)
    np.testing.assert_array_equal(traded.conviction, idle.conviction)
