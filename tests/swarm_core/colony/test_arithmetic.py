"""Elementary functions and random numbers against independent references."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_core.colony.arithmetic import dot, exp, exp_each, log, simple_return, simple_returns
from swarm_core.colony.randomness import normal, philox, uniforms


@settings(deadline=None)  # the first call compiles
@given(st.floats(-690.0, 690.0))
def test_exp_is_right_to_the_last_places(x: float) -> None:
    assert exp(x) == pytest.approx(math.exp(x), rel=2e-15)


@settings(deadline=None)  # the first call compiles
@given(st.floats(1e-300, 1e300))
def test_log_is_right_to_the_last_places(x: float) -> None:
    assert log(x) == pytest.approx(math.log(x), rel=4e-16, abs=4e-16)


def test_log_and_exp_at_the_edges() -> None:
    assert log(0.0) == -math.inf
    assert math.isnan(log(-1.0))
    assert math.isfinite(exp(1e9))
    assert exp(-1e9) > 0.0


@pytest.mark.parametrize("spread", [1e-9, 0.01, 0.2, 1.0, 30.0, 1_000.0])
def test_an_array_at_once_has_the_bits_of_one_after_the_other(spread: float) -> None:
    x = np.random.default_rng(1).standard_normal(1_003) * spread
    x[:6] = [0.0, -0.0, 700.0, -700.0, 1e300, math.nan]
    each, returns = x.copy(), x.copy()
    exp_each(each)
    simple_returns(returns)
    assert each.tobytes() == np.array([exp(v) for v in x]).tobytes()
    assert returns.tobytes() == np.array([simple_return(v) for v in x]).tobytes()


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.floats(-1e6, 1e6), max_size=30))
def test_dot_agrees_with_the_exact_sum(values: list[float]) -> None:
    a = np.array(values)
    assert dot(a, a) == pytest.approx(math.fsum(v * v for v in values), rel=1e-12, abs=1e-9)


def test_philox_gives_the_published_words() -> None:
    """Known answers of Random123 (Salmon et al. 2011) for philox4x32-10."""
    zeros = philox(np.zeros(4, np.uint64), 0, 0)
    assert [hex(int(word)) for word in zeros] == [
        "0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8",
    ]  # fmt: skip
    ones = philox(np.full(4, 0xFFFFFFFF, np.uint64), 0xFFFFFFFF, 0xFFFFFFFF)
    assert [hex(int(word)) for word in ones] == [
        "0x408f276d", "0x41c83b0e", "0xa20bc7c6", "0x6d5451fd",
    ]  # fmt: skip


def test_a_number_depends_on_its_address_alone() -> None:
    assert uniforms(7, 100, 2, 5) == uniforms(7, 100, 2, 5)
    addresses = [(7, 100, 2, 5), (8, 100, 2, 5), (7, 101, 2, 5), (7, 100, 3, 5), (7, 100, 2, 6)]
    assert len({uniforms(*address) for address in addresses}) == 5


def test_normals_have_the_moments_of_the_normal_law() -> None:
    z = np.array([normal(1, step, 2, 3) for step in range(20_000)])
    assert abs(z.mean()) < 0.03
    assert abs(z.std() - 1.0) < 0.03
    assert abs((z**4).mean() - 3.0) < 0.25
