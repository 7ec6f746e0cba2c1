"""One way to compile a kernel: cached on disk, IEEE arithmetic, no reordering of sums."""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compile a function over arrays; it keeps its Python type.

    Fast-math stays off: it would let the compiler reorder sums and contract products, and the same
    inputs would then give other bits on another machine. The numpy error model makes x / 0 an
    infinity instead of an exception, so every kernel guards its own divisors.
    """
    # A private kernel is called by kernels alone: without the way in from Python, which unpacks
    # every named array, compiling takes a fraction of the time.
    inner = function.__name__.startswith("_")
    compiled = njit(
        cache=True,
        error_model="numpy",
        fastmath=False,
        no_cpython_wrapper=inner,
        no_cfunc_wrapper=True,
    )(function)
    # numba's cache looks only at the file of the kernel itself, so a changed callee would leave
    # its callers as they were compiled before. Every kernel is stamped with all sources instead.
    cache_file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if cache_file is not None:
        cache_file._source_stamp = source_digest()
    return cast(Kernel, compiled)


@lru_cache(maxsize=1)
def source_digest() -> str:
    """Return the sha256 of this package's sources: kernels compiled from others are not used."""
    hasher = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        hasher.update(path.name.encode())
        hasher.update(path.read_bytes())
    return hasher.hexdigest()
