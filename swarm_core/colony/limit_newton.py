"""A Newton step on the prices of the limits, for books whose limits are all but equalities.

Setting one price at a time creeps where several limits pull at the same instruments. The dual

    phi(u) = min_y sum_i q_i (y_i - d_i)^2 / 2 + sum_c u_c (a_c y - b_c),   0 <= y <= cap,   u >= 0

is concave and piecewise quadratic: on the instruments strictly inside their bounds its curvature
is -A Q^-1 A', so one linear system over the limits that have a price gives the step that settles
them together (projected Newton, Bertsekas 1982). A step that does not raise phi is not taken.
"""

import numpy as np

from swarm_core.colony.compiled import kernel

_ROWS_MAX = 96  # beyond it the system costs more than the sweeps that it saves
_HALVINGS = 40
_ROUNDING = 1e-15
_RIDGE = 1e-10  # of the largest curvature: the two sides of one limit are one row twice


@kernel
def _solve_inside(matrix: np.ndarray, right: np.ndarray) -> bool:
    """Solve the positive definite system in place by Cholesky; False where it is not definite."""
    m = right.shape[0]
    for j in range(m):
        for k in range(j):
            matrix[j, j] -= matrix[j, k] * matrix[j, k]
        if not matrix[j, j] > 0.0:
            return False
        matrix[j, j] = np.sqrt(matrix[j, j])
        for i in range(j + 1, m):
            for k in range(j):
                matrix[i, j] -= matrix[i, k] * matrix[j, k]
            matrix[i, j] /= matrix[j, j]
    for i in range(m):
        for k in range(i):
            right[i] -= matrix[i, k] * right[k]
        right[i] /= matrix[i, i]
    for i in range(m - 1, -1, -1):
        for k in range(i + 1, m):
            right[i] -= matrix[k, i] * right[k]
        right[i] /= matrix[i, i]
    return True


@kernel
def _answer(
    dual: np.ndarray, rows: np.ndarray, pull: np.ndarray, size: np.ndarray, cap: np.ndarray,
    importance: np.ndarray, bound: np.ndarray, price: np.ndarray, y: np.ndarray,
) -> float:  # fmt: skip
    """Write the price [N] and the best y [N] at these prices of the limits; return phi."""
    value = 0.0
    for c in range(dual.shape[0]):
        value -= dual[c] * bound[c]
    for i in range(y.shape[0]):
        total = 0.0
        for r in range(rows.shape[1]):
            total += pull[i, r] * dual[rows[i, r]]
        price[i] = total
        y[i] = min(max(size[i] - total / importance[i], 0.0), cap[i])
        gap = y[i] - size[i]
        value += 0.5 * importance[i] * gap * gap + total * y[i]
    return value


@kernel
def _lay_system(
    place: np.ndarray, rows: np.ndarray, pull: np.ndarray, cap: np.ndarray,
    importance: np.ndarray, bound: np.ndarray, y: np.ndarray, matrix: np.ndarray,
    slope: np.ndarray,
) -> None:  # fmt: skip
    """Fill the curvature [M, M] and the slope [M] of phi over the limits that have a place."""
    for c in range(place.shape[0]):
        if place[c] >= 0:
            slope[place[c]] = -bound[c]
    for i in range(y.shape[0]):
        free = 1.0 / importance[i] if 0.0 < y[i] < cap[i] else 0.0
        for r in range(rows.shape[1]):
            at = place[rows[i, r]]
            if at >= 0:
                slope[at] += pull[i, r] * y[i]
                for other in range(rows.shape[1]):
                    to = place[rows[i, other]]
                    if to >= 0:
                        matrix[at, to] += pull[i, r] * pull[i, other] * free
    top = 0.0
    for a in range(slope.shape[0]):
        top = max(top, matrix[a, a])
    for a in range(slope.shape[0]):
        matrix[a, a] += _RIDGE * top


@kernel
def newton_step(
    dual: np.ndarray, rows: np.ndarray, pull: np.ndarray, size: np.ndarray, cap: np.ndarray,
    importance: np.ndarray, bound: np.ndarray, price: np.ndarray, y: np.ndarray,
) -> bool:  # fmt: skip
    """Move the prices dual[C] that are positive together; update price and y. False: no gain.

    rows[N, R] names the limits that instrument i stands in and pull[N, R] how (1 or -1).
    """
    place = np.full(dual.shape[0], -1, np.int64)
    active = 0
    for c in range(dual.shape[0]):
        if dual[c] > 0.0:
            place[c] = active
            active += 1
    if active < 2 or active > _ROWS_MAX:
        return False
    before = _answer(dual, rows, pull, size, cap, importance, bound, price, y)
    matrix, step = np.zeros((active, active)), np.zeros(active)
    _lay_system(place, rows, pull, cap, importance, bound, y, matrix, step)
    if not _solve_inside(matrix, step):
        return False
    return _search(dual, place, step, before, rows, pull, size, cap, importance, bound, price, y)


@kernel
def _search(
    dual: np.ndarray, place: np.ndarray, step: np.ndarray, before: float, rows: np.ndarray,
    pull: np.ndarray, size: np.ndarray, cap: np.ndarray, importance: np.ndarray,
    bound: np.ndarray, price: np.ndarray, y: np.ndarray,
) -> bool:  # fmt: skip
    """Go until the first price is nothing, and halve until phi does not fall.

    Where limits repeat each other the curvature has a flat direction, along which phi rises until
    one of them loses its price. Everything stays as it was where no length serves.
    """
    old, length, first = dual.copy(), 1.0, -1
    for c in range(dual.shape[0]):
        if place[c] >= 0 and old[c] + length * step[place[c]] <= 0.0:
            length, first = -old[c] / step[place[c]], c
    slack = _ROUNDING * (1.0 + abs(before))
    for _ in range(_HALVINGS):
        for c in range(dual.shape[0]):
            if place[c] >= 0:
                dual[c] = max(old[c] + length * step[place[c]], 0.0)
        if first >= 0:
            dual[first] = 0.0
        if _answer(dual, rows, pull, size, cap, importance, bound, price, y) > before + slack:
            return True
        first = -1
        length *= 0.5
    dual[:] = old
    _answer(dual, rows, pull, size, cap, importance, bound, price, y)
    return False
