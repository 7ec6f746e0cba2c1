"""The limit solver against the maintained one, and against the limits themselves."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.solvers.clarabel_limits import ClarabelLimitSolver
from swarm_core.colony.constraints import CompiledLimitSolver, LimitProblem, solve_limits


def make_problem(seed: int = 0, n: int = 30, **changes: float) -> LimitProblem:
    """Return a problem in which several limits bind at once."""
    rng = np.random.default_rng(seed)
    limits = {
        "gross_max": 1.0, "net_max": 0.2, "name_max": 0.08, "sector_max": 0.3, "currency_max": 0.25,
    } | changes  # fmt: skip
    return LimitProblem(
        desired=0.08 * rng.standard_normal(n) + 0.02,
        importance=rng.uniform(0.5, 3.0, n) ** 2 * 1e-4,
        sector=rng.integers(0, 4, n),
        currency=rng.integers(0, 2, n),
        **limits,
    )


def with_standing(problem: LimitProblem, seed: int, share: float) -> LimitProblem:
    """Return the problem with some positions that cannot be traded and use up the limits."""
    rng = np.random.default_rng(seed + 1)
    stands = rng.random(len(problem.desired)) < share
    return replace(
        problem,
        desired=np.where(stands, 0.0, problem.desired),
        standing=np.where(stands, 0.08 * rng.standard_normal(len(stands)), 0.0),
    )


def assert_inside(problem: LimitProblem, x: np.ndarray, slack: float = 2e-9) -> None:
    assert np.abs(x).max(initial=0.0) <= problem.name_max + slack
    assert np.abs(x).sum() <= problem.gross_max + slack
    assert abs(x.sum()) <= problem.net_max + slack
    for g in np.unique(problem.sector):
        assert np.abs(x[problem.sector == g]).sum() <= problem.sector_max + slack
    for g in np.unique(problem.currency):
        assert abs(x[problem.currency == g].sum()) <= problem.currency_max + slack
    assert (x * problem.desired >= -slack).all()
    assert (np.abs(x) <= np.abs(problem.desired) + slack).all()


def _loss(problem: LimitProblem, x: np.ndarray) -> float:
    q = problem.importance / problem.importance.mean()
    return float((q * (x - problem.desired) ** 2).sum())


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 40), st.floats(0.0, 0.6))
def test_what_stands_uses_up_its_part_of_every_limit(seed: int, n: int, share: float) -> None:
    problem = with_standing(make_problem(seed, n), seed, share)
    assert problem.standing is not None
    mine = CompiledLimitSolver().solve(problem)
    assert (mine[problem.standing != 0.0] == 0.0).all()
    book = mine + problem.standing
    for total, stands, limit in (
        (np.abs(book).sum(), np.abs(problem.standing).sum(), problem.gross_max),
        (abs(book.sum()), abs(problem.standing.sum()), problem.net_max),
    ):
        assert total <= max(limit, stands) + 2e-9
    maintained = ClarabelLimitSolver().solve(problem)
    assert _loss(problem, mine) <= _loss(problem, maintained) * (1.0 + 1e-5) + 1e-9


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10_000), st.integers(1, 60), st.floats(0.0, 2.0), st.floats(0.01, 0.5),
    st.floats(0.0, 0.2), st.floats(0.0, 0.6), st.floats(0.01, 0.6),
)  # fmt: skip
def test_the_compiled_solver_agrees_with_the_maintained_one(
    seed: int, n: int, gross: float, net: float, name: float, sector: float, currency: float
) -> None:
    problem = make_problem(
        seed, n, gross_max=gross, net_max=net, name_max=name, sector_max=sector,
        currency_max=currency,
    )  # fmt: skip
    ours, theirs = CompiledLimitSolver().solve(problem), ClarabelLimitSolver().solve(problem)
    assert_inside(problem, ours)
    np.testing.assert_allclose(ours, theirs, atol=2e-5)  # an interior point stops before the edge
    assert _loss(problem, ours) <= _loss(problem, theirs) * (1.0 + 1e-6) + 1e-9


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10_000), st.integers(1, 60),
    st.one_of(st.sampled_from([1e-8, 1e-6, 1e-4]), st.floats(1e-6, 0.01)),
    st.one_of(st.sampled_from([1e-8, 1e-6, 1e-4]), st.floats(1e-6, 0.01)),
)  # fmt: skip
def test_limits_that_are_all_but_equalities_are_solved_as_the_maintained_solver_does(
    seed: int, n: int, net: float, currency: float
) -> None:
    problem = make_problem(seed, n, net_max=net, currency_max=currency)
    ours, theirs = CompiledLimitSolver().solve(problem), ClarabelLimitSolver().solve(problem)
    assert_inside(problem, ours)
    assert _loss(problem, ours) <= _loss(problem, theirs) * (1.0 + 1e-5) + 1e-8
    np.testing.assert_allclose(ours, theirs, atol=5e-5)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 60))
def test_a_book_that_must_be_neutral_to_the_last_digit_is_not_closed(seed: int, n: int) -> None:
    problem = make_problem(seed, n, net_max=0.0, currency_max=0.0)
    ours, theirs = CompiledLimitSolver().solve(problem), ClarabelLimitSolver().solve(problem)
    assert_inside(problem, ours)
    assert _loss(problem, ours) <= _loss(problem, theirs) * (1.0 + 1e-4) + 1e-7


def test_a_book_inside_its_limits_is_left_as_it_is() -> None:
    problem = make_problem(
        gross_max=50.0, net_max=50.0, name_max=5.0, sector_max=50.0, currency_max=50.0
    )
    np.testing.assert_array_equal(CompiledLimitSolver().solve(problem), problem.desired)


@pytest.mark.parametrize("field", ["gross_max", "name_max"])
def test_a_limit_of_zero_leaves_nothing(field: str) -> None:
    solution = CompiledLimitSolver().solve(replace(make_problem(), **{field: 0.0}))
    assert np.abs(solution).max() < 1e-12


def test_an_empty_book_is_solved() -> None:
    assert len(CompiledLimitSolver().solve(make_problem(n=0))) == 0


def make_hard_problem(seed: int) -> LimitProblem:
    """Return a problem of variances four decades apart, with limits of zero among the others."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    return LimitProblem(
        desired=rng.standard_normal(n) * 10 ** rng.uniform(-2, 0.5),
        importance=10 ** rng.uniform(-6, -2, n),
        sector=rng.integers(0, 5, n),
        currency=rng.integers(0, 3, n),
        gross_max=float(rng.choice([0.1, 1.0, 3.0])),
        net_max=float(rng.choice([0.0, 0.05, 0.5])),
        name_max=float(rng.choice([0.02, 0.1, 1.0])),
        sector_max=float(rng.choice([0.05, 0.3])),
        currency_max=float(rng.choice([0.0, 0.1, 1.0])),
    )


def test_limits_of_zero_beside_wide_volatilities_close_no_book() -> None:
    """Prices that never settled left a book a little over a limit of zero, and all was cut."""
    sweeps = list[int]()
    for seed in range(500):
        problem = make_hard_problem(seed)
        mine = problem.desired.copy()
        limits = [problem.gross_max, problem.net_max, problem.name_max, problem.sector_max,
                  problem.currency_max]  # fmt: skip
        sweeps.append(
            solve_limits(
                mine, problem.importance, problem.sector, problem.currency, np.array(limits),
                np.zeros(len(mine)),
            )
        )  # fmt: skip
        assert_inside(problem, mine)
        maintained = ClarabelLimitSolver().solve(problem)
        assert np.abs(mine).sum() >= np.abs(maintained).sum() - 1e-4, seed
        assert _loss(problem, mine) <= _loss(problem, maintained) * (1.0 + 1e-6) + 1e-9, seed
    assert np.median(sweeps) < 40
    assert np.mean(np.array(sweeps) == 1_000) < 0.01  # what still creeps ends where it should
