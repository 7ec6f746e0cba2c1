"""The shared field: evaporation in event time, deposits, and Max-Min bounds."""

import numpy as np

from swarm_core.colony.arithmetic import exp
from swarm_core.colony.compiled import kernel

LONG, SHORT, DANGER, SUCCESS, REJECTION = 0, 1, 2, 3, 4
_LN2 = 0.6931471805599453


@kernel
def evaporate(trails: np.ndarray, elapsed_s: float, half_life_s: np.ndarray) -> None:
    """tau <- tau 2^(-dt / half_life), channel by channel."""
    for c in range(trails.shape[0]):
        left = exp(-_LN2 * max(elapsed_s, 0.0) / half_life_s[c])
        for i in range(trails.shape[1]):
            trails[c, i] *= left


@kernel
def forget(trails: np.ndarray) -> None:
    """Wipe the field, as each bar does before its deposits where the trails are switched off."""
    trails[:] = 0.0


@kernel
def deposit(
    trails: np.ndarray,
    conviction: np.ndarray,
    conviction_before: np.ndarray,
    outcome: np.ndarray,
    danger: np.ndarray,
    share: float,
    tau_min: float,
    tau_max: float,
) -> None:
    """Add this bar's deposits to trails [5, N] and clamp (Stuetzle & Hoos 2000).

    Long and short come from trust-weighted conviction; success and rejection from what the
    colony's last conviction would have earned in the market, not from its fills: a fill may not
    raise the signal that caused it. Danger comes from the drones.
    """
    for i in range(trails.shape[1]):
        strength = conviction[i]
        trails[LONG, i] += share * max(strength, 0.0)
        trails[SHORT, i] += share * max(-strength, 0.0)
        x = outcome[i]
        earned = conviction_before[i] * x if x == x else 0.0
        trails[SUCCESS, i] += share * max(earned, 0.0)
        trails[REJECTION, i] += share * max(-earned, 0.0)
        trails[DANGER, i] += share * danger[i]
        for c in range(trails.shape[0]):
            trails[c, i] = min(max(trails[c, i], tau_min), tau_max)
