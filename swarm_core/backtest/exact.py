"""Exact integer arithmetic whose products need 128 bits, for kernels that have 64."""

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from swarm_core.colony.compiled import flat_kernel

# numba's way to say int64, which is an int to whoever reads the types; and a truth value that is
# no constant: a kernel is compiled anew for each constant that it is given.
whole = cast(Callable[[Any], int], np.int64)
flag = cast(Callable[[Any], bool], np.bool_)
I64_MAX = 2**63 - 1
# Amounts of money stay below this, so that the sum of two of them still fits 64 bits.
SAFE = 4 * 10**18
_PRODUCT_SURE = 9.2e18  # a float product below this is an exact int64 product


@flat_kernel
def wide_product(a: int, b: int) -> tuple[np.uint64, np.uint64]:
    """Return the high and the low 64 bits of a x b, both not negative."""
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    x, y = np.uint64(a), np.uint64(b)
    x0, x1, y0, y1 = x & mask, x >> half, y & mask, y >> half
    low = x0 * y0
    middle = x1 * y0 + (low >> half)
    cross = x0 * y1 + (middle & mask)
    high = x1 * y1 + (middle >> half) + (cross >> half)
    return high, (cross << half) | (low & mask)


@flat_kernel
def wide_divide(high: np.uint64, low: np.uint64, divisor: int) -> tuple[int, int]:
    """Return quotient and remainder of a 128-bit number; the quotient I64_MAX where it is larger.

    The divisor is positive. Schoolbook division, bit by bit: it is only met where a product left
    64 bits.
    """
    d, one, zero = np.uint64(divisor), np.uint64(1), np.uint64(0)
    if high >= d:
        return I64_MAX, 0
    rest, quotient = high, zero
    for bit in range(63, -1, -1):
        rest = (rest << one) | ((low >> np.uint64(bit)) & one)
        quotient = quotient << one
        if rest >= d:
            rest = rest - d
            quotient = quotient | one
    if quotient > np.uint64(I64_MAX):
        return I64_MAX, 0
    return whole(quotient), whole(rest)


@flat_kernel
def divide_product(a: int, b: int, c: int) -> tuple[int, int]:
    """Return quotient and remainder of a x b / c, all not negative, c > 0."""
    if float(a) * float(b) < _PRODUCT_SURE:
        product = a * b
        quotient = product // c
        return quotient, product - quotient * c
    high, low = wide_product(a, b)
    return wide_divide(high, low, c)


@flat_kernel
def floor_share(a: int, b: int, c: int) -> int:
    """Return floor(a x b / c) for any a and b >= 0, c > 0."""
    if a >= 0:
        return divide_product(a, b, c)[0]
    return -ceil_share(-a, b, c)


@flat_kernel
def ceil_share(a: int, b: int, c: int) -> int:
    """Return ceil(a x b / c), all not negative, c > 0."""
    quotient, rest = divide_product(a, b, c)
    return quotient + 1 if rest else quotient


@flat_kernel
def even_share(a: int, b: int, c: int) -> int:
    """Return a x b / c rounded half to even, for any a and b >= 0, c > 0."""
    quotient, rest = divide_product(abs(a), b, c)
    if rest > c - rest or (rest == c - rest and quotient % 2 == 1):
        quotient += 1
    return quotient if a >= 0 else -quotient


@flat_kernel
def whole_root(n: int) -> int:
    """Return the integer square root of a number that is not negative."""
    root = whole(math.sqrt(float(n)))
    while root * root > n:
        root -= 1
    while (root + 1) * (root + 1) <= n:
        root += 1
    return root


@flat_kernel
def shift_product(a: int, b: int, shift: int) -> tuple[np.uint64, np.uint64, bool]:
    """Return a x b / 2**shift towards zero in two words, and whether anything was cut off.

    Neither factor is negative, and 0 < shift < 128.
    """
    high, low = wide_product(a, b)
    one, zero = np.uint64(1), np.uint64(0)
    if shift >= 64:
        lost = low != zero
        if shift > 64:
            step = np.uint64(shift - 64)
            lost = lost or (high & ((one << step) - one)) != zero
            return zero, high >> step, lost
        return zero, high, lost
    step = np.uint64(shift)
    lost = (low & ((one << step) - one)) != zero
    return high >> step, (low >> step) | (high << np.uint64(64 - shift)), lost


@flat_kernel
def ceil_shifted(a: int, b: int, shift: int) -> int:
    """Return ceil(a x b / 2**shift), not negative; saturates at SAFE."""
    if shift >= 128:
        return 1 if a > 0 and b > 0 else 0
    high, low, lost = shift_product(a, b, shift)
    if high != np.uint64(0) or low >= np.uint64(SAFE):
        return SAFE
    return whole(low) + (1 if lost else 0)


@flat_kernel
def weighted_lots(weight: float, amount: int, lot: int) -> int:
    """Return weight x amount / lot towards zero, exactly; amount >= 0, lot > 0.

    The weight counts as the rational number that the float is. Saturates at SAFE.
    """
    fraction, exponent = math.frexp(abs(weight))
    shift = 53 - exponent
    if weight == 0.0 or amount == 0 or shift >= 128:
        return 0
    if shift <= 0:
        return SAFE if weight > 0 else -SAFE
    high, low, _ = shift_product(whole(fraction * 9007199254740992.0), amount, shift)
    if high == np.uint64(0) and low <= np.uint64(I64_MAX):
        lots = whole(low) // lot
    else:
        lots = wide_divide(high, low, lot)[0]
    lots = min(lots, SAFE)
    return lots if weight > 0 else -lots
