"""Elementary functions from IEEE operations alone, so that their bits are the same everywhere.

The platform's libm may round exp and log differently from one build to the next; addition,
multiplication, division and square root are exactly defined, so everything here is made of them.
"""

import math

import numpy as np

from swarm_core.colony.compiled import kernel

_LN2_HIGH = 6.93147180369123816490e-01  # ln 2 split in two (Cody & Waite 1980), so that
_LN2_LOW = 1.90821492927058770002e-10  # x - k ln 2 loses no digit
_INVERSE_LN2 = 1.44269504088896338700
_EXP_ARGUMENT_MAX = 700.0  # exp(700) is still finite; everything here is clamped inside
_EXPONENT_BIAS, _MANTISSA_BITS = 1023, 52  # of IEEE binary64
_SMALL = 0.25  # so small an argument has its exponential from the series alone
# 1 / n! from n = 12 down to 1: 0.25^13 / 13! is below 2^-58.
_INVERSE_FACTORIALS = tuple(1.0 / math.factorial(n) for n in range(12, 0, -1))


@kernel
def exp(x: float) -> float:
    """Return e^x to about one unit in the last place; the argument is clamped to +-700."""
    if x != x:
        return x
    x = min(max(x, -_EXP_ARGUMENT_MAX), _EXP_ARGUMENT_MAX)
    k = math.floor(x * _INVERSE_LN2 + 0.5)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    term = 1.0
    total = 1.0
    for n in range(1, 16):  # |r| <= ln2 / 2: r^16 / 16! is below 2^-60
        term = term * r / n
        total += term
    return math.ldexp(total, int(k))


@kernel
def exp_each(x: np.ndarray) -> None:
    """Replace each of x[N] by its exp, to the same bits; the compiler does four at a time."""
    power = np.empty(x.shape[0], np.int64)
    for i in range(x.shape[0]):
        y = min(max(x[i], -_EXP_ARGUMENT_MAX), _EXP_ARGUMENT_MAX) if x[i] == x[i] else x[i]
        k = np.floor(y * _INVERSE_LN2 + 0.5)
        r = (y - k * _LN2_HIGH) - k * _LN2_LOW
        term = 1.0
        total = 1.0
        for n in range(1, 16):
            term = term * r / n
            total += term
        x[i] = total
        power[i] = (np.int64(k) + _EXPONENT_BIAS) << _MANTISSA_BITS
    scale = power.view(np.float64)  # 2^k: the result is a normal number, so nothing is rounded
    for i in range(x.shape[0]):
        x[i] *= scale[i]


@kernel
def simple_return(x: float) -> float:
    """Return e^x - 1, the simple return of a logarithmic one, to a few units in the last place."""
    if not -_SMALL < x < _SMALL:
        return exp(x) - 1.0
    return _small_return(x)


@kernel
def _small_return(x: float) -> float:
    total = 0.0
    for coefficient in _INVERSE_FACTORIALS:
        total = total * x + coefficient
    return total * x


@kernel
def simple_returns(x: np.ndarray) -> None:
    """Replace each of x[N] by its simple_return.

    Nearly all are small. A loop over the series alone is one that the compiler does four at a time.
    """
    small = True
    for i in range(x.shape[0]):
        small &= -_SMALL < x[i] < _SMALL
    if small:
        for i in range(x.shape[0]):
            x[i] = _small_return(x[i])
    else:
        for i in range(x.shape[0]):
            x[i] = simple_return(x[i])


@kernel
def log(x: float) -> float:
    """Return ln x for x > 0 to a few units in the last place, -inf at 0, NaN below."""
    if not x > 0.0:
        return -math.inf if x == 0.0 else math.nan
    if x == math.inf:
        return x
    mantissa, exponent = math.frexp(x)
    if mantissa < math.sqrt(0.5):
        mantissa *= 2.0
        exponent -= 1
    # ln m = 2 atanh((m - 1) / (m + 1)), |t| <= 0.1716, so t^2 <= 0.0295
    t = (mantissa - 1.0) / (mantissa + 1.0)
    square = t * t
    total = 0.0
    for n in range(21, 0, -2):
        total = total * square + 1.0 / n
    return exponent * _LN2_HIGH + (2.0 * t * total + exponent * _LN2_LOW)


@kernel
def squash(x: float) -> float:
    """Return x / sqrt(1 + x^2), a sigmoid into [-1, 1] made of exactly rounded operations."""
    return x / math.sqrt(1.0 + x * x)


@kernel
def dot(a: np.ndarray, b: np.ndarray) -> float:
    """Return the sum of a[i] b[i] over four running sums, in one fixed order."""
    n = a.shape[0]
    s0 = s1 = s2 = s3 = 0.0
    whole = n - n % 4
    for i in range(0, whole, 4):
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
    for i in range(whole, n):
        s0 += a[i] * b[i]
    return (s0 + s1) + (s2 + s3)
