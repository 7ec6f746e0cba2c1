"""Recruitment: two camps of foragers for each instrument, and what makes them decide.

    dA/dt = g_A U - a_A A + r_A A U - sigma A B,   U = 1 - A - B,   and B likewise

(Seeley et al. 2012; Pais et al. 2013). A camp of quality v is discovered and recruited for at the
rates g = r = v and abandoned at a = 1 / v. Two equal camps stay in deadlock until
sigma > 4 v^3 / (v^2 - 1)^2; a deadlock is below the quorum, and no trade.
"""

import numpy as np

from swarm_core.colony.compiled import kernel


@kernel
def recruit(
    camps: np.ndarray,
    quality_long: np.ndarray,
    quality_short: np.ndarray,
    inhibition: float,
    time_step: float,
    steps: int,
) -> None:
    """Integrate camps [2, N] over steps * time_step with Heun's method (second order)."""
    n = camps.shape[1]
    for i in range(n):
        v, u = quality_long[i], quality_short[i]
        leave_a, leave_b = 1.0 / v, 1.0 / u
        a, b = camps[0, i], camps[1, i]
        for _ in range(steps):
            free = 1.0 - a - b
            da = v * free * (1.0 + a) - leave_a * a - inhibition * a * b
            db = u * free * (1.0 + b) - leave_b * b - inhibition * a * b
            a1, b1 = a + time_step * da, b + time_step * db
            free = 1.0 - a1 - b1
            da1 = v * free * (1.0 + a1) - leave_a * a1 - inhibition * a1 * b1
            db1 = u * free * (1.0 + b1) - leave_b * b1 - inhibition * a1 * b1
            a += 0.5 * time_step * (da + da1)
            b += 0.5 * time_step * (db + db1)
            a, b = min(max(a, 0.0), 1.0), min(max(b, 0.0), 1.0)
            crowd = a + b
            if crowd > 1.0:
                a, b = a / crowd, b / crowd
        camps[0, i], camps[1, i] = a, b


@kernel
def count_senses(by_sense: np.ndarray, side: float, out: np.ndarray) -> None:
    """Fill out[N] with the effective number of senses behind one side: the inverse Herfindahl
    index (sum c)^2 / sum c^2 of their contributions [S, N] to it."""
    for i in range(by_sense.shape[1]):
        total = square = 0.0
        for s in range(by_sense.shape[0]):
            c = max(side * by_sense[s, i], 0.0)
            total += c
            square += c * c
        out[i] = total * total / square if square > 0.0 else 0.0
