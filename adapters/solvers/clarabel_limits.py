"""The limits of the book solved by Clarabel, the maintained interior-point solver."""

from typing import Any, cast

import clarabel
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from swarm_core.colony.constraints import LimitProblem

Floats = NDArray[np.float64]
_TOLERANCE = 1e-11
_clarabel = cast(Any, clarabel)  # a compiled module without type stubs


class ClarabelLimitSolver:
    """Satisfies swarm_core.colony.constraints.LimitSolver (Goulart & Chen 2024)."""

    def solve(self, problem: LimitProblem) -> Floats:
        """Return the weights [N] nearest to the desired ones that keep every limit.

        Raises RuntimeError where the solver does not reach its tolerance: a book whose limits
        cannot be solved is not traded on a guess.
        """
        n = len(problem.desired)
        if n == 0:
            return np.zeros(0)
        sign = np.where(problem.desired > 0.0, 1.0, -1.0)
        size = np.abs(problem.desired)
        # The programme is scaled to a mean importance of one; the solution does not change.
        importance = problem.importance / problem.importance.mean()
        rows, bounds = _limit_rows(problem, sign)
        matrix = sparse.vstack([rows, sparse.identity(n), -sparse.identity(n)], format="csc")
        cap = np.minimum(size, problem.name_max)
        upper = np.concatenate([bounds, cap, np.zeros(n)])
        settings = _clarabel.DefaultSettings()
        settings.verbose = False
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = _TOLERANCE
        solver = _clarabel.DefaultSolver(
            sparse.diags(importance, format="csc"),
            -importance * size,
            matrix,
            upper,
            [_clarabel.NonnegativeConeT(len(upper))],
            settings,
        )
        solution = solver.solve()
        if str(solution.status) not in ("Solved", "AlmostSolved"):
            raise RuntimeError(f"the limits must be solvable, Clarabel said {solution.status}")
        return sign * np.clip(np.array(solution.x), 0.0, cap)


def _limit_rows(problem: LimitProblem, sign: Floats) -> tuple[sparse.csc_matrix, Floats]:
    """Return the rows over sizes y = |x|, and their bounds: gross, net, sectors, currencies."""
    rows = [np.ones_like(sign), sign, -sign]
    standing = np.zeros_like(sign) if problem.standing is None else problem.standing
    net = standing.sum()
    bounds = [
        problem.gross_max - np.abs(standing).sum(), problem.net_max - net, problem.net_max + net
    ]  # fmt: skip
    for group in np.unique(problem.sector):
        rows.append((problem.sector == group).astype(np.float64))
        bounds.append(problem.sector_max - np.abs(standing[problem.sector == group]).sum())
    for group in np.unique(problem.currency):
        member = np.where(problem.currency == group, sign, 0.0)
        rows += [member, -member]
        net = standing[problem.currency == group].sum()
        bounds += [problem.currency_max - net, problem.currency_max + net]
    return sparse.csc_matrix(np.array(rows)), np.maximum(np.array(bounds), 0.0)
