"""The purse: capital is never staked whole, and what fills cost corrects the cost."""

import numpy as np
import pytest

from benchmarks.decision_quality.markets import Market, generate
from benchmarks.decision_quality.synthetic import colony_on, settings_for
from swarm_core.colony import purse
from swarm_core.colony.engine import new_state
from swarm_core.colony.parameters import WorkerParameters, parameters
from swarm_core.colony.replay import run
from swarm_core.colony.state import Book
from tests.swarm_core.colony.builders import make_settings


def _book(**worker: object) -> tuple[Book, WorkerParameters]:
    settings = make_settings(worker=worker)
    return new_state(settings, ("A", "B"), 1).book, parameters(settings).worker


@pytest.mark.parametrize("cost_bps", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("prior", [0.15, 0.9])
def test_noise_takes_no_more_than_the_stake_even_from_a_colony_that_trades_at_once(
    cost_bps: float, prior: float
) -> None:
    market = Market(
        family="noise", phi=0.0, cost_bps=cost_bps, seed=77_000, bars=3_000, instruments=20
    )
    settings = settings_for(market, {"worker": {"engagement_prior": prior}})
    records = colony_on(generate(market), settings)
    assert records.nav.min() > 1.0 - 0.01
    assert prior < 0.5 or records.turnover.sum() > 0.0


def test_what_the_purse_says_is_what_the_book_became() -> None:
    market = Market(family="flip", flip_bars=200, cost_bps=2.0, bars=800, instruments=10, seed=4)
    settings = settings_for(market, {"worker": {"engagement_prior": 0.9}})
    truth = generate(market)
    end, records = run(settings, new_state(settings, truth.panel.instrument_ids, 3), truth.panel)
    closing = records.nav[-1] * (1.0 - 2e-4 * records.turnover[-1])
    assert end.book.stake[0] == pytest.approx(closing, rel=1e-9)
    assert closing > 1.05


def test_a_purse_that_is_all_but_lost_still_stakes_something() -> None:
    book, p = _book()
    whole = purse.share_allowed(book, p)
    book.stake[0] = 0.5
    assert 0.0 < purse.share_allowed(book, p) == pytest.approx(0.05 * whole)


def test_what_was_earned_may_be_staked_and_the_whole_budget_in_the_end() -> None:
    book, p = _book()
    shares = []
    for wealth in (1.0, 1.01, 1.03, 1.2):
        book.stake[0] = wealth
        shares.append(purse.share_allowed(book, p))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_dear_fills_raise_the_cost_and_a_few_odd_ones_hardly_do() -> None:
    book, p = _book(cost_bps=5.0, cost_prior_turnover=50.0)
    purse.hear_fills(book, 0.1, 0.1 * 100e-4, p)
    assert purse.learned_cost(book, p) == pytest.approx(5e-4, rel=0.1)
    for _ in range(200):
        purse.hear_fills(book, 1.0, 10e-4, p)
    assert 8e-4 < purse.learned_cost(book, p) < 10e-4


@pytest.mark.parametrize(
    "given", [(np.nan, 1.0), (1.0, np.inf), (0.0, 1.0), (-1.0, 1.0), (1e300, 1.0)]
)
def test_fills_that_nobody_can_measure_teach_nothing(given: tuple[float, float]) -> None:
    book, p = _book(cost_bps=5.0, cost_prior_turnover=50.0)
    purse.hear_fills(book, *given, p)
    assert purse.learned_cost(book, p) == 5e-4


def test_one_broken_price_of_a_fill_is_forgotten_again() -> None:
    book, p = _book(cost_bps=5.0, cost_prior_turnover=200.0, cost_half_life_bars=50.0)
    purse.hear_fills(book, 0.1, 1e200, p)
    for _ in range(500):
        purse.hear_fills(book, 0.1, 0.1 * 5e-4, p)
    assert purse.learned_cost(book, p) == pytest.approx(5e-4, rel=0.01)


@pytest.mark.parametrize(("paid", "cost"), [(1.0, 20e-4), (-1.0, 2.5e-4)])
def test_the_learned_cost_stays_within_half_and_four_times_the_one_set(
    paid: float, cost: float
) -> None:
    book, p = _book(cost_bps=5.0, cost_prior_turnover=50.0)
    for _ in range(1_000):
        purse.hear_fills(book, 1.0, paid, p)
    assert purse.learned_cost(book, p) == pytest.approx(cost)


def test_the_switch_leaves_the_cost_as_it_was_set() -> None:
    book, p = _book(cost_bps=5.0, cost_feedback_enabled=False)
    purse.hear_fills(book, 100.0, 1.0, p)
    assert purse.learned_cost(book, p) == 5e-4
