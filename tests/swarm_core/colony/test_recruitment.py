"""Cross-inhibition: the deadlock and its end, measured against the published boundary."""

import numpy as np
import pytest

from swarm_core.colony.recruitment import count_senses, recruit


def _split(v: float, sigma: float) -> float:
    """Return |A - B| after a long time from a deadlock that is out of balance by one in 10^6."""
    share = (np.sqrt(4.0 * v**4 + 1.0) - 1.0) / (2.0 * v * v) / 2.0
    camps = np.array([[share + 1e-6], [share - 1e-6]])
    quality = np.array([v])
    for _ in range(60):
        recruit(camps, quality, quality, sigma, 50.0, 8)
    return float(abs(camps[0, 0] - camps[1, 0]))


@pytest.mark.parametrize("v", [1.5, 2.0, 3.0, 5.0])
def test_deadlock_ends_at_the_published_inhibition(v: float) -> None:
    expected = 4.0 * v**3 / (v * v - 1.0) ** 2
    low, high = 0.2 * expected, 5.0 * expected
    for _ in range(12):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if _split(v, middle) > 0.05 else (middle, high)
    assert abs(high / expected - 1.0) < 0.05


def test_two_equal_camps_below_the_boundary_reach_no_quorum() -> None:
    camps = np.zeros((2, 1))
    recruit(camps, np.array([2.0]), np.array([2.0]), 3.0, 200.0, 8)
    assert camps[0, 0] == camps[1, 0] < 0.5


def test_weak_evidence_reaches_no_quorum_and_strong_one_sided_evidence_does() -> None:
    camps = np.zeros((2, 2))
    recruit(camps, np.array([0.5, 2.0]), np.array([0.4, 0.4]), 4.0, 200.0, 8)
    assert camps[0, 0] < 0.5 < camps[0, 1]


def test_camps_stay_shares_of_the_whole_at_any_quality() -> None:
    rng = np.random.default_rng(1)
    camps = np.zeros((2, 200))
    quality = rng.uniform(0.05, 100.0, (2, 200))
    recruit(camps, quality[0], quality[1], 500.0, 6.0, 8)
    assert (camps >= 0.0).all()
    assert (camps.sum(axis=0) <= 1.0 + 1e-12).all()


def test_clones_of_one_sense_count_as_one() -> None:
    by_sense = np.array([[0.5, 0.2, -0.1], [0.0, 0.2, 0.3]])
    count = np.empty(3)
    count_senses(by_sense, 1.0, count)
    np.testing.assert_allclose(count, [1.0, 2.0, 1.0])
