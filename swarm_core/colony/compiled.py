"""One way to compile a kernel: cached on disk, IEEE arithmetic, no reordering of sums."""

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
_njit: Callable[..., Callable[[Any], Any]] = cast(Any, numba).njit  # numba ships no types
_IMPORT = re.compile(r"^from (swarm_core[\w.]*) import (\([^)]*\)|.*)$", re.MULTILINE)
_ROOT = Path(__file__).parents[2]


def kernel(function: Kernel) -> Kernel:
    """Compile a function over arrays; it keeps its Python type.

    Fast-math stays off: it would let the compiler reorder sums and contract products, and the same
    inputs would then give other bits on another machine. The numpy error model makes x / 0 an
    infinity instead of an exception, so every kernel guards its own divisors.
    """
    return _compiled(function)


def flat_kernel(function: Kernel) -> Kernel:
    """Compile a kernel that makes no array: it counts no references to the rows that it reads.

    Counting them, at every row of every bar, takes a hundred times longer than the sums.
    """
    return _compiled(function, _nrt=False)


def inlined_kernel(function: Kernel) -> Kernel:
    """Make a flat kernel a part of each kernel that calls it: for those that take many arrays.

    A call copies every word of every array that it is given, a dozen words each.
    """
    return _compiled(function, _nrt=False, inline="always")


def merged_kernel(function: Kernel) -> Kernel:
    """Compile a flat kernel once, and make its machine code a part of each kernel that calls it.

    For a part that takes many arrays and is too long to be compiled anew, as an inlined kernel
    is, with every caller: a call would push some three hundred words.
    """
    return _compiled(function, _nrt=False, forceinline=True)


def built_kernel(function: Kernel, *, flat: bool) -> Kernel:
    """Compile a kernel that was built around another one, and that no cache would find again."""
    return _compiled(function, cache=False, _nrt=not flat)


def _compiled(function: Kernel, *, cache: bool = True, **flags: object) -> Kernel:
    # A private kernel is called by kernels alone: without the way in from Python, which unpacks
    # every named array, compiling takes a fraction of the time.
    compiled = _njit(
        cache=cache,
        error_model="numpy",
        fastmath=False,
        no_cpython_wrapper=function.__name__.startswith("_"),
        no_cfunc_wrapper=True,
        **flags,
    )(function)
    # numba's cache looks only at the file of the kernel itself, so a changed callee would leave
    # its callers as they were compiled before. Every kernel is stamped with all its sources.
    cache_file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if cache_file is not None and function.__module__.startswith("swarm_core."):
        _keep_apart(cache_file, source_digest(function.__module__))
    return cast(Kernel, compiled)


def _keep_apart(cache_file: Any, stamp: str) -> None:
    """Give compiled code a file of its own for each source and each signature.

    numba writes its index before the code that the index names, without a lock, and counts the
    code's files from 1 again when sources change. A process that reads between the two writes
    would run what older sources, or another signature, were compiled to.
    """
    base, save = cache_file._index_name.removesuffix(".nbi"), cache_file.save

    def save_apart(key: object, data: object) -> None:
        signature = hashlib.sha256(repr(key).encode()).hexdigest()
        cache_file._data_name_pattern = f"{base}.{stamp[:12]}.{signature[:12]}.{{number}}.nbc"
        save(key, data)

    cache_file._source_stamp, cache_file.save = stamp, save_apart


@lru_cache(maxsize=256)
def source_digest(module: str) -> str:
    """Return the sha256 over the sources of a module of swarm_core and of all it imports there."""
    reached, waiting = set[str](), [module]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _imports(name)
    hasher = hashlib.sha256()
    for name in sorted(reached):
        hasher.update(f"{name}\n{_source(name)}".encode())
    return hasher.hexdigest()


@lru_cache(maxsize=256)
def _source(module: str) -> str:
    path = _ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return path.read_text(encoding="utf-8") if path.is_file() else ""


@lru_cache(maxsize=256)
def _imports(module: str) -> tuple[str, ...]:
    """Return the modules that one imports from, and the names that may be modules themselves."""
    found: list[str] = []
    for package, names in _IMPORT.findall(_source(module)):
        found += [package, *(f"{package}.{name}" for name in re.findall(r"\w+", names))]
    return tuple(name for name in found if _source(name))
