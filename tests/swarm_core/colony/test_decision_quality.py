"""The proof compares what is alike: everybody's convictions, after what changing them costs."""

import numpy as np
import pytest

from benchmarks.decision_quality.baselines import equal_weight, fixed_share, oracle
from benchmarks.decision_quality.markets import Market, generate
from benchmarks.decision_quality.scouts import net_payoff, scout_book
from benchmarks.decision_quality.synthetic import colony_on, settings_for

COSTLY = Market(family="drift", flip_bars=300, cost_bps=5.0, bars=600, phi=0.25, seed=91)


def test_the_baselines_see_the_payoffs_that_the_colony_pays_its_scouts() -> None:
    """To single precision, which scouts look in; cost in, places in the colony's order."""
    truth = generate(COSTLY)
    settings = settings_for(COSTLY, {"trust": {"cost_bps": COSTLY.cost_bps}})
    paid = colony_on(truth, settings).payoff
    book = scout_book(truth, settings, COSTLY.cost_bps)
    assert np.abs(book.payoff).max() > 0.1
    np.testing.assert_allclose(book.payoff, paid[:, : book.payoff.shape[1]], atol=1e-6)


def test_a_mixture_pays_for_its_own_changes_and_for_no_others() -> None:
    truth, settings = generate(COSTLY), settings_for(COSTLY)
    book = scout_book(truth, settings, COSTLY.cost_bps)
    alone = np.zeros(book.payoff.shape)
    alone[:, 3] = 1.0
    np.testing.assert_allclose(book.earn(alone), book.payoff[:, 3], atol=1e-12)
    # Each lookback stands there both ways round: all alike say nothing, and pay nothing.
    lookbacks = np.zeros(book.payoff.shape)
    lookbacks[:, :16] = 1.0 / 16.0
    np.testing.assert_allclose(book.earn(lookbacks), 0.0, atol=1e-7)
    assert (equal_weight(book.payoff) * book.payoff).sum(axis=1).mean() < -0.01
    # Who changes sides at once pays for both.
    turned = np.where((np.arange(len(alone)) < 300)[:, None], alone, 0.0)
    turned[300:, 4] = 1.0
    moved = np.abs(book.convictions[4, 299] - book.convictions[3, 298]).mean()
    gross = (book.convictions[4, 299] * np.clip(book.outcome[300], -6.0, 6.0)).mean()
    assert book.earn(turned)[300] == pytest.approx(gross - book.cost * moved, abs=1e-7)


def test_weights_of_a_bar_know_nothing_of_it() -> None:
    truth, settings = generate(COSTLY), settings_for(COSTLY)
    book = scout_book(truth, settings, COSTLY.cost_bps)
    later = book.payoff.copy()
    later[400:] *= -3.0
    np.testing.assert_array_equal(fixed_share(later)[:401], fixed_share(book.payoff)[:401])


def test_an_oracle_stands_aside_where_nothing_pays() -> None:
    payoff = np.array([[-1.0, -2.0], [-1.0, -1.0], [2.0, 1.0], [1.0, 3.0]])
    regime = np.array([0, 0, 1, 1])
    np.testing.assert_array_equal(oracle(payoff, regime), [[0, 0], [0, 0], [0, 1], [0, 1]])


@pytest.mark.parametrize(("phi", "cost_bps"), [(0.232, 5.0), (0.2, 10.0)])
def test_after_costs_a_slow_drift_is_no_worse_than_with_fixed_share(
    phi: float, cost_bps: float
) -> None:
    """Where little is left after costs, what is chosen must pay them while what pays wanes."""
    market = Market(family="drift", flip_bars=464, phi=phi, cost_bps=cost_bps, bars=3_000, seed=92)
    truth, settings = generate(market), settings_for(market)
    book = scout_book(truth, settings, market.cost_bps)
    best = book.earn(oracle(book.payoff, truth.regime)).sum()
    colony = net_payoff(colony_on(truth, settings).conviction, truth.outcome, book.cost).sum()
    assert best > 0.0
    assert colony / best > book.earn(fixed_share(book.payoff)).sum() / best - 0.01


def test_what_only_just_pays_its_cost_is_traded_by_who_knows_which_regime_reigns() -> None:
    """Memories that are charged in full come to hold the idle scout, and no regime at all."""
    market = Market(family="flip", flip_bars=200, phi=0.15, cost_bps=10.0, seed=93, bars=4_000)
    truth = generate(market)
    book = scout_book(truth, settings_for(market), market.cost_bps)
    best = book.earn(oracle(book.payoff, truth.regime)).sum()
    shares = [
        net_payoff(colony_on(truth, settings).conviction, truth.outcome, book.cost).sum() / best
        for settings in (
            settings_for(market),
            settings_for(market, {"trust": {"cost_bps": 10.0, "memory_cost_part": 1.0}}),
        )
    ]
    assert shares[0] > book.earn(fixed_share(book.payoff)).sum() / best
    assert shares[0] > 0.8 > shares[1]
