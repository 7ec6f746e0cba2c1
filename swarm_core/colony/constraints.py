"""The limits of the book as one quadratic programme, and a compiled solver for it.

    minimise  sum_i q_i (x_i - d_i)^2 / 2
    subject to  0 <= x_i / d_i <= 1,  |x_i| <= name_max,  sum |x_i| <= gross_max,
                |sum x_i| <= net_max,  sum over a sector of |x_i| <= sector_max,
                |sum over a currency of x_i| <= currency_max

What stands and cannot be traded (held for want of a price, say) uses up its part of every limit:
with s the standing weights the bounds are gross_max - sum |s_i|, net_max -+ sum s_i and so on, or 0
where s alone is over a limit. The solve may shrink what the workers want, never turn or enlarge it:
a limit is no reason to take a position. With y_i = |x_i| every limit is linear, and the dual
separates: each limit has a price, an instrument's y follows from the sum of its prices, and one
price at a time is set so that its limit just holds (dual coordinate ascent, Hildreth 1957). Where
that creeps, because limits near zero act as equalities that pull at the same names, Newton steps
settle the prices together (limit_newton.py).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from swarm_core.colony.compiled import kernel
from swarm_core.colony.limit_ends import exposure, is_settled, scale_inside, shrink_inside
from swarm_core.colony.limit_newton import newton_step

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_SWEEPS_MAX = 1_000
_SWEEPS_ALONE = 12  # most books are solved by then; the others get Newton steps besides
_STEPS_MAX = 6  # between two sweeps
_TOLERANCE = 1e-11  # of a price, with importances scaled to a mean of one
_ROUNDS_MAX = 64  # to shrink what convergence leaves over a limit


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitProblem:
    """What to solve: desired weights [N] and the limits, as fractions of NAV."""

    desired: Floats
    importance: Floats  # [N] q, positive
    sector: Integers  # [N] 0 .. sectors - 1
    currency: Integers  # [N]
    gross_max: float
    net_max: float
    name_max: float
    sector_max: float
    currency_max: float
    standing: Floats | None = None  # [N] held and not for trade, 0 elsewhere; None: nothing is


class LimitSolver(Protocol):
    """Whatever solves the programme; the compiled one below, or a maintained QP library."""

    def solve(self, problem: LimitProblem) -> Floats:
        """Return the weights [N] that keep every limit and lie nearest to the desired ones."""
        ...


class CompiledLimitSolver:
    """The solver without dependencies: deterministic, and the one that backtests use."""

    def solve(self, problem: LimitProblem) -> Floats:
        """Return the solution [N]; limits hold to 1e-9 of NAV."""
        out = np.array(problem.desired, dtype=np.float64)
        standing = np.zeros(len(out)) if problem.standing is None else problem.standing
        solve_limits(
            out,
            problem.importance,
            problem.sector,
            problem.currency,
            np.array(
                [
                    problem.gross_max,
                    problem.net_max,
                    problem.name_max,
                    problem.sector_max,
                    problem.currency_max,
                ]
            ),
            standing,
        )
        return out


@kernel
def _reprice(
    y: np.ndarray,
    price: np.ndarray,
    size: np.ndarray,
    cap: np.ndarray,
    sign: np.ndarray,
    importance: np.ndarray,
    members: np.ndarray,
    first: int,
    last: int,
    signed: float,
    old: float,
    limit: float,
) -> float:
    """Set one limit's price so that it just holds (0 where it is slack); update y and price."""
    low, high = 0.0, 0.0
    for at in range(first, last):
        i = members[at]
        a = 1.0 if signed == 0.0 else signed * sign[i]
        price[i] -= a * old
        if a > 0.0:
            high = max(high, importance[i] * size[i] - price[i])
    value = 0.0
    for _ in range(64):
        total, slope = 0.0, 0.0
        for at in range(first, last):
            i = members[at]
            a = 1.0 if signed == 0.0 else signed * sign[i]
            free = size[i] - (price[i] + a * value) / importance[i]
            y[i] = min(max(free, 0.0), cap[i])
            total += a * y[i]
            if 0.0 < free < cap[i]:
                slope += 1.0 / importance[i]
        excess = total - limit
        if abs(excess) <= 1e-13 or (value == 0.0 and excess <= 0.0):
            break
        if excess > 0.0:
            low = value
        else:
            high = value
        step = value + excess / slope if slope > 0.0 else -1.0
        value = step if low < step < high else 0.5 * (low + high)
        if high - low <= 1e-15 * (1.0 + high):
            break
    for at in range(first, last):
        i = members[at]
        price[i] += (1.0 if signed == 0.0 else signed * sign[i]) * value
    return float(value)


@kernel
def _sweep(
    dual: np.ndarray, y: np.ndarray, price: np.ndarray, size: np.ndarray, cap: np.ndarray,
    sign: np.ndarray, importance: np.ndarray, members: np.ndarray, first: np.ndarray,
    last: np.ndarray, signed: np.ndarray, bound: np.ndarray,
) -> float:  # fmt: skip
    """Set every limit's price in turn; return the largest change of one."""
    moved = 0.0
    for c in range(dual.shape[0]):
        held = exposure(y, sign, members, first[c], last[c], signed[c])
        if dual[c] == 0.0 and held <= bound[c]:
            continue
        new = _reprice(
            y, price, size, cap, sign, importance, members, first[c], last[c], signed[c], dual[c],
            bound[c],
        )  # fmt: skip
        moved = max(moved, abs(new - dual[c]))
        dual[c] = new
    return moved


@kernel
def _groups(labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the instruments sorted by group and where each group starts [count + 1]."""
    start = np.zeros(count + 1, np.int64)
    for i in range(labels.shape[0]):
        start[labels[i] + 1] += 1
    for g in range(count):
        start[g + 1] += start[g]
    at = start.copy()
    members = np.empty(labels.shape[0], np.int64)
    for i in range(labels.shape[0]):
        members[at[labels[i]]] = i
        at[labels[i]] += 1
    return members, start


@kernel
def _lay_out(
    sector: np.ndarray, currency: np.ndarray, sectors: int, currencies: int, limits: np.ndarray,
    standing: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Return the limits as rows: members, where each row's begin and end, its sign, its bound.

    A sign of 0 stands for sizes |x|, 1 and -1 for the two sides of a sum of x. Rows are gross,
    net, net, then each sector, then each currency twice. A bound is what `standing` leaves of it.
    """
    n = sector.shape[0]
    by_sector, sector_start = _groups(sector, sectors)
    by_currency, currency_start = _groups(currency, currencies)
    members = np.empty(3 * n, np.int64)
    for i in range(n):
        members[i], members[n + i], members[2 * n + i] = i, by_sector[i], by_currency[i]
    rows = 3 + sectors + 2 * currencies
    first, last = np.zeros(rows, np.int64), np.full(rows, n)
    signed, bound = np.zeros(rows), np.full(rows, limits[0])
    signed[1], signed[2], bound[1], bound[2] = 1.0, -1.0, limits[1], limits[1]
    for g in range(sectors):
        first[3 + g], last[3 + g] = n + sector_start[g], n + sector_start[g + 1]
        bound[3 + g] = limits[3]
    for c in range(2 * currencies):
        row, g = 3 + sectors + c, c // 2
        first[row], last[row] = 2 * n + currency_start[g], 2 * n + currency_start[g + 1]
        signed[row], bound[row] = 1.0 - 2.0 * (c % 2), limits[4]
    for i in range(n):
        row = 3 + sectors + 2 * currency[i]
        bound[0] -= abs(standing[i])
        bound[3 + sector[i]] -= abs(standing[i])
        bound[1] -= standing[i]
        bound[2] += standing[i]
        bound[row] -= standing[i]
        bound[row + 1] += standing[i]
    for c in range(rows):
        bound[c] = max(bound[c], 0.0)
    return members, first, last, signed, bound


@kernel
def _stands_in(
    sector: np.ndarray, currency: np.ndarray, sign: np.ndarray, sectors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the six limits that each instrument stands in [N, 6], and how: 1 or -1."""
    n = sector.shape[0]
    rows, pull = np.zeros((n, 6), np.int64), np.ones((n, 6))
    for i in range(n):
        first = 3 + sectors + 2 * currency[i]
        rows[i, 1], rows[i, 2], rows[i, 3] = 1, 2, 3 + sector[i]
        rows[i, 4], rows[i, 5] = first, first + 1
        pull[i, 1] = pull[i, 4] = sign[i]
        pull[i, 2] = pull[i, 5] = -sign[i]
    return rows, pull


@kernel
def _settle(
    y: np.ndarray, price: np.ndarray, size: np.ndarray, cap: np.ndarray, sign: np.ndarray,
    importance: np.ndarray, sector: np.ndarray, currency: np.ndarray, sectors: int,
    members: np.ndarray, first: np.ndarray, last: np.ndarray, signed: np.ndarray,
    bound: np.ndarray,
) -> int:  # fmt: skip
    """Find the prices of the limits and write the best y [N] at them; return the sweeps it took."""
    dual, before = np.zeros(first.shape[0]), y.copy()
    rows, pull = np.empty((0, 6), np.int64), np.empty((0, 6))
    sweeps, moved = 0, 1.0
    while sweeps < _SWEEPS_MAX and moved > _TOLERANCE:
        sweeps += 1
        moved = _sweep(
            dual, y, price, size, cap, sign, importance, members, first, last, signed, bound
        )
        if sweeps < _SWEEPS_ALONE or moved <= _TOLERANCE:
            continue
        if sweeps == _SWEEPS_ALONE:
            rows, pull = _stands_in(sector, currency, sign, sectors)
        for _ in range(_STEPS_MAX):
            if not newton_step(dual, rows, pull, size, cap, importance, bound, price, y):
                break
        if is_settled(dual, y, before, size, importance, sign, members, first, last, signed, bound):
            break
        before[:] = y
    return sweeps


@kernel
def solve_limits(
    weights: np.ndarray,
    importance: np.ndarray,
    sector: np.ndarray,
    currency: np.ndarray,
    limits: np.ndarray,
    standing: np.ndarray,
) -> int:
    """Solve the programme in place; weights[N] come in as desired. Returns the sweeps it took.

    limits = (gross, net, name, sector, currency); where standing[N] is not 0 the weight must be
    0, and what stands stays out of the result. What convergence leaves over is taken away at the
    end, and if that does not do it the book is scaled: every limit holds zero inside, so a shrunk
    book keeps what it kept before.
    """
    n = weights.shape[0]
    sign, size, cap = np.empty(n), np.empty(n), np.empty(n)
    y, price = np.empty(n), np.zeros(n)
    mean = 0.0
    for i in range(n):
        mean += importance[i] / n
    scaled = importance / mean
    for i in range(n):
        sign[i] = 1.0 if weights[i] > 0.0 else -1.0
        size[i] = abs(weights[i])
        cap[i] = min(size[i], limits[2])
        y[i] = cap[i]
    sectors = int(sector.max()) + 1 if n > 0 else 0
    currencies = int(currency.max()) + 1 if n > 0 else 0
    members, first, last, signed, bound = _lay_out(
        sector, currency, sectors, currencies, limits, standing
    )
    sweeps = _settle(
        y, price, size, cap, sign, scaled, sector, currency, sectors, members, first, last, signed,
        bound,
    )  # fmt: skip
    for _ in range(_ROUNDS_MAX):
        if not shrink_inside(y, sign, members, first, last, signed, bound):
            break
    for i in range(n):
        weights[i] = sign[i] * y[i]
    scale_inside(weights, sector, currency, sectors, currencies, bound)
    return sweeps
