"""One way to compile a kernel: cached on disk, IEEE arithmetic, no reordering of sums."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compile a function over arrays; it keeps its Python type.

    Fast-math stays off: it would let the compiler reorder sums and contract products, and the same
    inputs would then give other bits on another machine. The numpy error model makes x / 0 an
    infinity instead of an exception, so every kernel guards its own divisors.
    """
    return cast(Kernel, njit(cache=True, error_model="numpy", fastmath=False)(function))
