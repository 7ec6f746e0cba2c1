"""The drones: they watch, deposit danger below a limit, and veto at it, outside the dynamics."""

import math

import numpy as np

from swarm_core.colony.arithmetic import exp, log, simple_returns
from swarm_core.colony.compiled import kernel
from swarm_core.colony.parameters import DroneParameters
from swarm_core.colony.state import Book, Memory

# Places in `measured` and `limit`, in the order of decision.VetoCode.
DRAWDOWN, VALUE_AT_RISK, SHORTFALL, EXPOSURE, CONCENTRATION, CORRELATION = 0, 1, 2, 3, 4, 5
STALE, NO_PRICE, ANOMALY, DRIFT, UNKNOWN_POSITION = 6, 7, 8, 9, 10
CODES = 11
_WEIGHT_MAX = 1e6  # of NAV: no book is so large, its measurement is broken
_TAIL_BARS_MIN = 20
_TAIL_ROWS = 4  # bars replayed side by side
_ROUNDING = 1e-9  # of a bar
_DRIFT_FAST, _DRIFT_SLOW = 0.95, 0.995
_DRIFT_POWER = 10.232990804510022  # ln 0.95 / ln 0.995: a power of the slow keep is the fast one


@kernel
def limits_of(parameters: DroneParameters) -> np.ndarray:
    """Return the limit [CODES] that stands beside each measurement."""
    limit = np.zeros(CODES)
    limit[DRAWDOWN] = parameters.drawdown_max
    limit[VALUE_AT_RISK] = parameters.var_max
    limit[SHORTFALL] = parameters.shortfall_max
    limit[EXPOSURE] = parameters.gross_max
    limit[CONCENTRATION] = parameters.concentration_max
    limit[CORRELATION] = parameters.correlation_max
    limit[STALE] = parameters.data_age_max_s
    limit[NO_PRICE] = 1.0
    limit[ANOMALY] = parameters.anomaly_max
    limit[DRIFT] = parameters.drift_max
    limit[UNKNOWN_POSITION] = _WEIGHT_MAX
    return limit


@kernel
def hold(
    weights: np.ndarray,
    last_target: np.ndarray,
    tradable: np.ndarray,
    anomaly: np.ndarray,
    age_s: np.ndarray,
    limit: np.ndarray,
    enabled: bool,
    held: np.ndarray,
    standing: np.ndarray,
) -> None:
    """Fill held[N] with the code that holds an instrument (-1: none), standing[N] with its weight.

    A position that is not known stands in weights[N] as NaN; it is put at the last target there,
    and held. What cannot be priced or is not known to be held is so even with the drones off.
    """
    for i in range(weights.shape[0]):
        known = abs(weights[i]) < _WEIGHT_MAX
        if not known:
            weights[i] = last_target[i]
        if not tradable[i]:
            held[i] = NO_PRICE
        elif not known:
            held[i] = UNKNOWN_POSITION
        else:
            held[i] = _hold_code(age_s[i], anomaly[i], limit) if enabled else -1
        standing[i] = weights[i] if held[i] >= 0 else 0.0


@kernel
def watch_book(
    book: Book, weights: np.ndarray, nav: float, correlation: float, measured: np.ndarray
) -> None:
    """Measure drawdown, exposure, concentration and correlation of the book as it stands."""
    book.nav[1] = max(book.nav[1], nav)
    book.nav[0] = nav
    measured[DRAWDOWN] = 1.0 - nav / book.nav[1]
    gross = largest = 0.0
    for i in range(weights.shape[0]):
        gross += abs(weights[i])
        largest = max(largest, abs(weights[i]))
    measured[EXPOSURE] = gross
    measured[CONCENTRATION] = largest
    measured[CORRELATION] = correlation if correlation == correlation else 0.0


@kernel
def tail_risk(
    memory: Memory, step: int, weights: np.ndarray, p: DroneParameters, fallback_sigma: float
) -> tuple[float, float]:
    """Return the one-bar VaR and expected shortfall of weights[N] by historical simulation.

    The simple returns of the remembered bars are replayed with today's weights (logarithms where
    `simple_returns_enabled` is off); a missing one counts as none. With fewer than 20 bars it is
    the normal law's, with `fallback_sigma`.
    """
    bars, n = memory.log_price.shape
    seen = min(step, bars - 1)
    if seen < _TAIL_BARS_MIN:
        return p.normal_var * fallback_sigma, p.normal_shortfall * fallback_sigma
    losses = np.zeros(seen)
    row = np.empty((_TAIL_ROWS, n))
    for first in range(0, seen, _TAIL_ROWS):
        rows = min(_TAIL_ROWS, seen - first)
        for r in range(rows):
            back = first + r
            now = memory.log_price[(step - back) % bars]
            _returns(now, memory.log_price[(step - back - 1) % bars], p.simple_returns, row[r])
        for r in range(rows, _TAIL_ROWS):
            row[r] = 0.0
        s0 = s1 = s2 = s3 = 0.0
        for i in range(n):  # each sum in its own order; four at once do not wait for each other
            s0 += weights[i] * row[0, i]
            s1 += weights[i] * row[1, i]
            s2 += weights[i] * row[2, i]
            s3 += weights[i] * row[3, i]
        sums = (s0, s1, s2, s3)
        for r in range(rows):
            losses[first + r] = -sums[r]
    # 1 - 0.9 lies a bit below a tenth, and of 20 bars is 2 all the same.
    count = max(int((1.0 - p.tail_level) * seen + _ROUNDING), 1)
    tail, value = 0.0, 0.0
    for _ in range(count):  # the tail is short: take its losses one by one, largest first
        at = 0
        for j in range(seen):
            if losses[j] > losses[at]:
                at = j
        value = losses[at]
        tail += value
        losses[at] = -math.inf
    return max(value, 0.0), max(tail / count, 0.0)


@kernel
def _returns(now: np.ndarray, before: np.ndarray, simple: bool, out: np.ndarray) -> None:
    """Fill out[N] with the returns between two rows of log prices, 0 where one is missing."""
    for i in range(out.shape[0]):
        change = now[i] - before[i]
        out[i] = change if change == change else 0.0
    if simple:
        simple_returns(out)


@kernel
def watch_forecast(book: Book, earned: float, known: bool, p: DroneParameters) -> float:
    """Return by how many standard errors the forecast's sense earns less than it used to.

    The error is that of the difference of the two means, which share their readings, where one
    reading is as good as another; with `drift_weights_enabled` off that of a long fast mean alone,
    whose first readings are taken as they come.
    """
    d = book.drift
    if known:
        d[0] = _DRIFT_FAST * d[0] + (1.0 - _DRIFT_FAST) * earned
        d[1] = _DRIFT_SLOW * d[1] + (1.0 - _DRIFT_SLOW) * earned
        d[2] = _DRIFT_SLOW * d[2] + (1.0 - _DRIFT_SLOW) * earned * earned
        d[3] = _DRIFT_SLOW * d[3] + (1.0 - _DRIFT_SLOW)
    if d[3] < 0.1 or d[2] <= 0.0:
        return 0.0
    if p.drift_weights:
        fast, variance = _weigh_drift(d[3])
    else:
        # A running mean of keep k has the variance (1 - k) / (1 + k) of one value's.
        fast, variance = 1.0, (1.0 - _DRIFT_FAST) / (1.0 + _DRIFT_FAST)
    spread = math.sqrt(d[2] / d[3] * variance)
    return max((d[1] / d[3] - d[0] / fast) / spread, 0.0)


@kernel
def _weigh_drift(slow: float) -> tuple[float, float]:
    """Return the fast mean's weight beside the slow one's, and the variance of their difference.

    After n readings a mean of keep k has the weight 1 - k^n, and gives its reading of j bars ago
    the part (1 - k) k^j of that; the variance, of one reading's, is the sum over j of the squared
    differences of both parts.
    """
    left = 1.0 - slow  # what is not of a reading yet: slow keep ^ n
    gone = exp(_DRIFT_POWER * log(left)) if left > 0.0 else 0.0  # fast keep ^ n
    fast = 1.0 - gone
    k, m = _DRIFT_FAST, _DRIFT_SLOW
    own = (1.0 - k) / (1.0 + k) * (1.0 + gone) / fast
    other = (1.0 - m) / (1.0 + m) * (1.0 + left) / slow
    shared = (1.0 - k) * (1.0 - m) / (1.0 - k * m) * (1.0 - gone * left) / (fast * slow)
    return fast, own + other - 2.0 * shared


@kernel
def inhibit(
    measured: np.ndarray,
    limit: np.ndarray,
    weights: np.ndarray,
    anomaly: np.ndarray,
    age_s: np.ndarray,
    start: float,
    danger: np.ndarray,
) -> None:
    """Fill danger[N] in [0, 1]: how far, from `start` of a limit on, the nearest one is reached.

    Limits of the book threaten all instruments, a name's own (its weight, age, oddity) that one.
    """
    book = 0.0
    for c in (DRAWDOWN, VALUE_AT_RISK, SHORTFALL, EXPOSURE, CORRELATION):
        book = max(book, _nearness(measured[c], limit[c], start))
    for i in range(danger.shape[0]):
        own = max(
            _nearness(anomaly[i], limit[ANOMALY], start),
            _nearness(age_s[i], limit[STALE], start),
            _nearness(abs(weights[i]), limit[CONCENTRATION], start),
        )
        danger[i] = max(book, own)


@kernel
def _nearness(value: float, limit: float, start: float) -> float:
    if not limit > 0.0 or start >= 1.0 or value != value:
        return 0.0
    return min(max((value / limit - start) / (1.0 - start), 0.0), 1.0)


@kernel
def veto(
    book: Book,
    weights: np.ndarray,
    measured: np.ndarray,
    limit: np.ndarray,
    parameters: DroneParameters,
    held: np.ndarray,
    target: np.ndarray,
    bound: np.ndarray,
) -> bool:
    """Bind target[N]: a book veto lets only reductions through, an instrument's veto lets nothing.

    Fills bound[CODES] (1 where a veto binds); held[N] comes from hold(). Returns whether something
    was forbidden that was not held anyway: the limits must be solved again then.
    """
    bound[:] = 0.0
    reduce_only = parameters.enabled and _bind_book(book, measured, limit, parameters, bound)
    changed = False
    for i in range(target.shape[0]):
        now = weights[i]
        if held[i] >= 0:
            target[i] = now
            bound[held[i]] = 1.0
            continue
        concentrated = parameters.enabled and abs(now) > limit[CONCENTRATION]
        if concentrated:
            bound[CONCENTRATION] = 1.0
        if reduce_only or concentrated:
            low, high = min(now, 0.0), max(now, 0.0)
            target[i] = min(max(target[i], low), high)
            changed = True
    return changed


@kernel
def _bind_book(
    book: Book,
    measured: np.ndarray,
    limit: np.ndarray,
    parameters: DroneParameters,
    bound: np.ndarray,
) -> bool:
    """Mark the book vetoes that bind; return whether one does. A drawdown binds until it is
    well below its limit again."""
    if measured[DRAWDOWN] >= limit[DRAWDOWN]:
        book.nav[2] = 1.0
    elif measured[DRAWDOWN] < parameters.release_at * limit[DRAWDOWN]:
        book.nav[2] = 0.0
    bound[DRAWDOWN] = book.nav[2]
    binds = book.nav[2] > 0.0
    for c in (VALUE_AT_RISK, SHORTFALL, EXPOSURE, CORRELATION):
        bound[c] = 1.0 if measured[c] > limit[c] else 0.0
        binds = binds or measured[c] > limit[c]
    return binds


@kernel
def _hold_code(age_s: float, anomaly: float, limit: np.ndarray) -> int:
    if age_s > limit[STALE]:
        return STALE
    return ANOMALY if anomaly > limit[ANOMALY] else -1
