"""The no-trade band: it solves the problem that it is written beside, at the risk asked for."""

import numpy as np
import pytest
from scipy.optimize import minimize

from swarm_core.colony.band import hold_inside_band
from swarm_core.colony.engine import new_state
from swarm_core.colony.parameters import parameters
from swarm_core.colony.replay import Floats
from tests.swarm_core.colony.builders import make_settings

COST = 5e-4
SLOPE, PERSISTENCE = 0.2, 0.25


def _banded(
    target: Floats, held: Floats, sigma: Floats, conviction: Floats, *, long_only: bool = False
) -> tuple[Floats, Floats]:
    settings = make_settings(worker={"band_gain": 1.0, "long_only": long_only})
    book = new_state(settings, tuple(f"A{i}" for i in range(len(target))), 1).book
    book.edge[:] = SLOPE, 1.0, PERSISTENCE
    out, band = target.copy(), np.zeros(len(target))
    hold_inside_band(
        book, conviction, held, sigma, np.ones(len(target), np.bool_), COST, 0.0,
        parameters(settings).worker, out, band,
    )  # fmt: skip
    return out, band


@pytest.mark.parametrize("seed", range(6))
def test_the_book_is_the_best_at_its_variance_when_changes_cost(seed: int) -> None:
    rng = np.random.default_rng(seed)
    conviction = rng.uniform(-1.0, 1.0, 8)
    sigma = rng.uniform(0.008, 0.02, 8)
    target = 0.003 * conviction / sigma
    held = 0.3 * target + 0.02 * rng.standard_normal(8)
    out, _ = _banded(target, held, sigma, conviction)
    variance = ((target * sigma) ** 2).sum()

    def loss(w: Floats) -> float:
        cost = COST * (1.0 - PERSISTENCE) * np.abs(w - held).sum()
        return float(cost - (SLOPE * conviction * sigma * w).sum()) * 1e4

    within = {"type": "ineq", "fun": lambda w: 1e5 * (variance - ((w * sigma) ** 2).sum())}
    found = minimize(loss, out, constraints=[within], options={"maxiter": 500, "ftol": 1e-12})
    assert ((out * sigma) ** 2).sum() == pytest.approx(variance, rel=1e-4)
    assert loss(out) <= loss(found.x) + 1e-3 * abs(loss(found.x))


def test_what_is_near_enough_is_left_alone() -> None:
    sigma, conviction = np.full(3, 0.01), np.array([0.5, -0.4, 0.3])
    target = 0.3 * conviction
    out, band = _banded(target, target + np.array([0.004, -0.003, 0.002]), sigma, conviction)
    np.testing.assert_allclose(out, target + np.array([0.004, -0.003, 0.002]), atol=1e-12)
    assert (band > 0.004).all()


def test_a_book_that_shall_be_flat_is_closed_whole() -> None:
    sigma = np.full(3, 0.01)
    out, _ = _banded(np.zeros(3), np.array([0.1, -0.2, 0.0]), sigma, np.zeros(3))
    assert (out == 0.0).all()


def test_what_rounding_leaves_of_a_closed_weight_widens_no_band() -> None:
    sigma, conviction = np.full(3, 0.01), np.array([0.5, -0.4, 0.3])
    held = np.array([0.1, -0.2, 0.05])
    found = [
        _banded(np.array([0.15, -0.12, left]), held, sigma, conviction) for left in (0.0, 2e-16)
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)


def test_a_long_only_book_closes_what_it_finds_short_whatever_that_costs() -> None:
    target, held = np.array([0.0, 0.001, 0.0, 0.05]), np.array([-0.004, -0.004, 0.004, 0.0])
    sigma, conviction = np.full(4, 0.01), np.array([-0.1, 0.002, 0.0, 0.1])
    free, band = _banded(target, held, sigma, conviction)
    assert band.min() > 0.004
    assert free[:3].tolist() == held[:3].tolist()  # no change there pays
    bound, _ = _banded(target, held, sigma, conviction, long_only=True)
    assert bound.tolist() == [0.0, 0.0, 0.004, free[3]]
