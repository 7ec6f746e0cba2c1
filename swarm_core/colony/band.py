"""The no-trade band: when a change of position pays for itself, at the risk that was asked for."""

import numpy as np

from swarm_core.colony.compiled import kernel
from swarm_core.colony.parameters import WorkerParameters
from swarm_core.colony.state import Book

EARNED, SQUARE, LAGGED = 0, 1, 2
_SLOPE_MIN = 0.01  # an edge below a hundredth of a sigma is not told from none
_PERSISTENCE_MAX = 0.98
_STRETCH_MAX = 4.0
_HALVINGS = 24
# What the limits leave of a weight that they close is zero but for rounding, and a book that was
# brought to the variance asked for has it again on the next bar but for rounding: the last bit
# must choose neither whose conviction counts nor between holding still and trading.
_ROUNDING = 1e-9  # of NAV, and of a variance


@kernel
def watch_edge(book: Book, conviction: np.ndarray, outcome: np.ndarray, keep: float) -> None:
    """Learn how much a unit of conviction earns and how long a conviction lasts.

    Keeps running means of c x, c^2 and c c' (the last conviction times the one before it), where
    c is the colony's conviction [N] of the last bar and x the outcome [N] that followed.
    """
    earned = square = lagged = 0.0
    count = 0
    for i in range(outcome.shape[0]):
        if outcome[i] == outcome[i]:
            earned += book.conviction[i] * outcome[i]
            square += book.conviction[i] * book.conviction[i]
            lagged += book.conviction[i] * conviction[i]
            count += 1
    if count == 0:
        return
    e, fresh = book.edge, 1.0 - keep
    e[EARNED] = keep * e[EARNED] + fresh * earned / count
    e[SQUARE] = keep * e[SQUARE] + fresh * square / count
    e[LAGGED] = keep * e[LAGGED] + fresh * lagged / count


@kernel
def hold_inside_band(
    book: Book,
    conviction: np.ndarray,
    weights: np.ndarray,
    sigma: np.ndarray,
    tradable: np.ndarray,
    cost: float,
    correlation: float,
    parameters: WorkerParameters,
    target: np.ndarray,
    band: np.ndarray,
) -> None:
    """Replace target[N] by the nearest weight inside the no-trade band; fill band[N].

    A conviction c earns m c sigma a bar for m = mean(c x) / mean(c^2), and lasts 1 / (1 - rho)
    bars. With U / sigma the weight that a unit of conviction gets, a book that spends its risk
    well prices a unit of variance at lambda = m / U, and

        max sum m c_i sigma_i w_i - (1 - rho) cost sum |w_i - w0_i|  at the variance of target

    is solved by the weight nearest to the one held, w0, between s (d_i - b_i) and s (d_i + b_i),
    where d is target and b_i = cost U (1 - rho) / (m sigma_i^2) (for one asset Davis & Norman
    1990, de Lataillade et al. 2012; for a decaying signal Garleanu & Pedersen 2013). The stretch
    s >= 1 makes up for the risk that staying at the near edge leaves unused: it lowers the price
    of variance until the book has that of target again. A book that
    holds more variance than that already is not made to trade for it: s is 1 then.
    """
    n = target.shape[0]
    risk = strength = 0.0
    for i in range(n):
        if abs(target[i]) > _ROUNDING:
            risk += abs(target[i]) * sigma[i]
            strength += abs(conviction[i])
    unit = risk / strength if strength > 1e-12 else 0.0
    e = book.edge
    square = max(e[SQUARE], 1e-12)
    slope = max(e[EARNED] / square, _SLOPE_MIN)
    persistence = min(max(e[LAGGED] / square, 0.0), _PERSISTENCE_MAX)
    width = parameters.band_gain * cost * unit * (1.0 - persistence) / slope
    for i in range(n):
        on = parameters.band_enabled and tradable[i]
        band[i] = width / (sigma[i] * sigma[i]) if on else 0.0
    stretch = 1.0
    if parameters.band_enabled and width > 0.0:
        stretch = _stretch(weights, sigma, tradable, correlation, target, band)
    for i in range(n):
        if tradable[i]:
            target[i] = _nearest(weights[i], stretch * target[i], stretch * band[i])
            band[i] *= stretch
            if parameters.long_only:  # no cost is a reason to stay short
                target[i] = max(target[i], 0.0)


@kernel
def _nearest(held: float, middle: float, width: float) -> float:
    return min(max(held, middle - width), middle + width)


@kernel
def _stretch(
    weights: np.ndarray,
    sigma: np.ndarray,
    tradable: np.ndarray,
    correlation: float,
    target: np.ndarray,
    band: np.ndarray,
) -> float:
    """Return s in [1, 4] at which the banded book has the variance of target[N]."""
    wanted = _variance(weights, sigma, tradable, correlation, target, band, 0.0)
    wanted *= 1.0 - _ROUNDING
    low, high = 1.0, _STRETCH_MAX
    if _variance(weights, sigma, tradable, correlation, target, band, low) >= wanted:
        return low
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if _variance(weights, sigma, tradable, correlation, target, band, middle) < wanted:
            low = middle
        else:
            high = middle
    return low


@kernel
def _variance(
    weights: np.ndarray,
    sigma: np.ndarray,
    tradable: np.ndarray,
    correlation: float,
    target: np.ndarray,
    band: np.ndarray,
    stretch: float,
) -> float:
    """Return the variance of the book inside the stretched band; at 0 that of target itself."""
    rho = min(max(correlation, 0.0), 1.0)
    square = total = 0.0
    for i in range(target.shape[0]):
        weight = target[i]
        if stretch > 0.0 and tradable[i]:
            weight = _nearest(weights[i], stretch * target[i], stretch * band[i])
        risk = weight * sigma[i]
        square += risk * risk
        total += risk
    return (1.0 - rho) * square + rho * total * total
