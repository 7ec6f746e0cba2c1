"""Recruitment: two camps of foragers for each instrument, and what makes them decide.

    dA/dt = g_A U - a_A A + r_A A U - sigma A B,   U = 1 - A - B,   and B likewise

(Seeley et al. 2012; Pais et al. 2013). A camp of quality v is discovered and recruited for at the
rates g = r = v and abandoned at a = 1 / v. Two equal camps stay in deadlock until
sigma > 4 v^3 / (v^2 - 1)^2; a deadlock is below the quorum, and no trade.
"""

import math

import numpy as np

from swarm_core.colony.compiled import kernel

_STEP_RATE = 1.0  # step times fastest rate; Heun is stable up to 2


@kernel
def recruit(
    camps: np.ndarray,
    quality_long: np.ndarray,
    quality_short: np.ndarray,
    inhibition: float,
    horizon: float,
    steps_min: int,
) -> int:
    """Integrate camps [2, N] over `horizon` with Heun's method; return the steps it took.

    The step is short enough for the fastest rate of any instrument, so the method stays stable
    whatever the qualities and the inhibition are.
    """
    n = camps.shape[1]
    fastest = 0.0
    leave_a, leave_b = np.empty(n), np.empty(n)
    for i in range(n):
        leave_a[i], leave_b[i] = 1.0 / quality_long[i], 1.0 / quality_short[i]
        own = 2.0 * max(quality_long[i], quality_short[i]) + max(leave_a[i], leave_b[i])
        fastest = max(fastest, own + inhibition)
    steps = max(steps_min, math.ceil(horizon * fastest / _STEP_RATE))
    step = horizon / steps
    a, b = camps[0], camps[1]
    for _ in range(steps):
        # Instruments do not touch each other: this inner loop is what the processor vectorises.
        for i in range(n):
            v, u = quality_long[i], quality_short[i]
            free = 1.0 - a[i] - b[i]
            stop = inhibition * a[i] * b[i]
            da = v * free * (1.0 + a[i]) - leave_a[i] * a[i] - stop
            db = u * free * (1.0 + b[i]) - leave_b[i] * b[i] - stop
            a1, b1 = a[i] + step * da, b[i] + step * db
            free = 1.0 - a1 - b1
            stop = inhibition * a1 * b1
            da += v * free * (1.0 + a1) - leave_a[i] * a1 - stop
            db += u * free * (1.0 + b1) - leave_b[i] * b1 - stop
            x, y = a[i] + 0.5 * step * da, b[i] + 0.5 * step * db
            x = x if x > 0.0 else 0.0
            y = y if y > 0.0 else 0.0
            crowd = x + y
            scale = 1.0 / (crowd if crowd > 1.0 else 1.0)
            a[i], b[i] = x * scale, y * scale
    return steps


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
