"""What a strategy may not touch while it decides: files, other processes, the network.

A result is kept under the hash of everything that fixes it, and the guard cuts the future off the
market: a file is in neither. What runs in Python is seen by the interpreter's audit events (PEP
578); a few libraries read files by themselves, and are known by the names of their readers. It is
a fence against mistakes and not against a person who means to climb it.
"""

import ast
import os
import re
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from models.experiments.fields import ExperimentError

_TOUCHES = {
    **dict.fromkeys(("socket.connect", "socket.getaddrinfo", "socket.bind"), "the network"),
    **dict.fromkeys(("subprocess.Popen", "os.system", "os.posix_spawn"), "another process"),
    **dict.fromkeys(("os.exec", "os.fork", "os.spawn"), "another process"),
}
_CODE = (".py", ".pyc", ".so", ".pyd", ".dll", ".dylib", ".pth")
_SYSTEM = ("/usr/", "/lib", "/etc/", "/proc/", "/sys/", "/dev/", "/System/", "/Library/")
_MEMORIES = re.compile(r"/dev/(?:shm|mqueue)/|/proc/\d+/(?:task/\d+/)?mem$")
_FORMATS = "csv|parquet|ipc|feather|ndjson|json|delta|database|excel|avro|iceberg|orc|hdf|table"
_READER = re.compile(rf"(?:read|scan)_(?:{_FORMATS})\w*|Parquet(?:File|Dataset)|OSFile|memory_map")
_IN_TEXT = re.compile(rf"\b(?:read|scan)_(?:{_FORMATS})\w*\s*\(")
_LIBRARIES = frozenset({"duckdb", "deltalake", "adbc_driver_manager", "connectorx"})
# What reaches into the memory of whoever asks, where the whole market lies.
_MEMORY = frozenset(
    {"_getframe", "_current_frames", "currentframe", "f_back", "f_locals", "gc", "ctypes"}
)
# What other processes, which a process starts later, can read as well.
_SHARED = re.compile(r"environb?|(?:get|put)env|shared_memory|_posixshmem")
_ASKS_FOR_CORES = re.compile(r"\b(?:sklearn|joblib)\b")
_state = threading.local()


@contextmanager
def only_the_market() -> Iterator[None]:
    """Let this thread open no file of data, no connection and no process.

    Raises ExperimentError at the end where it tried, also where its code hid that it failed.
    """
    _watch()
    before = getattr(_state, "breach", None), getattr(_state, "sealed", False)
    _state.breach, _state.sealed = None, True
    try:
        yield
    finally:
        breach = _state.breach
        _state.breach, _state.sealed = before
        if breach is not None:
            raise ExperimentError(
                f"a strategy must look at nothing but the market that it is given, opened {breach}"
            )


def count_cores_of(source: str) -> None:
    """Let joblib ask for the number of cores where scikit-learn will: once, by a process."""
    if _ASKS_FOR_CORES.search(source) and find_spec("joblib") is not None:
        cores = import_module("joblib.externals.loky").cpu_count
        cores(only_physical_cores=True)


def check_readers(source: str) -> None:
    """Raise ExperimentError where a module's text names what reads files or memory by itself."""
    for node in ast.walk(ast.parse(source)):
        found = next((name for name in _names_of(node) if _is_reader(name)), None)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            told = _IN_TEXT.search(node.value)
            found = told.group().rstrip("( ") if told else None
        if found is not None:
            raise ExperimentError(
                f"a strategy must look at nothing but the market that it is given, "
                f"names {found} in line {getattr(node, 'lineno', 0)}"
            )


def _names_of(node: ast.AST) -> tuple[str, ...]:
    """Return what an expression or an import names."""
    if isinstance(node, ast.Attribute):
        return (node.attr,)
    if isinstance(node, ast.Import):
        return tuple(alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return (node.module or "", *(alias.name for alias in node.names))
    return ()


def _is_reader(name: str) -> bool:
    first, last = name.split(".")[0], name.split(".")[-1]
    is_known = first in _LIBRARIES or first in _MEMORY or _SHARED.fullmatch(last) is not None
    return is_known or _READER.fullmatch(name) is not None


@cache
def _watch() -> None:
    """Hook in once: an audit hook stays as long as its process.

    The folders are asked for before: the interpreter opens a file of its own to tell them, and
    would be asked in the middle of that.
    """
    _roots()
    sys.addaudithook(_audit)


@cache
def _roots() -> tuple[str, ...]:
    """Return the folders of the interpreter and its libraries."""
    known = (sys.prefix, sys.base_prefix, *sysconfig.get_paths().values())
    return tuple(f"{Path(path).resolve()}{os.sep}" for path in known)


def _audit(event: str, args: tuple[object, ...]) -> None:
    if not getattr(_state, "sealed", False):
        return
    opens = event in ("open", "sqlite3.connect")
    touched = _data_file(args[0]) if opens else _TOUCHES.get(event)
    if touched is not None:
        _state.breach = _state.breach or touched
        raise RuntimeError(f"a strategy opened {touched}")


def _data_file(path: object) -> str | None:
    """Return the path of a file that is neither code, nor of the interpreter or the system."""
    if not isinstance(path, str | bytes | os.PathLike):
        return None  # a descriptor that is open already
    name = Path(os.fsdecode(path)).resolve()
    if _MEMORIES.match(str(name)):
        return str(name)
    known = str(name).startswith((*_SYSTEM, *_roots()))
    return None if known or name.suffix in _CODE or not name.exists() else str(name)
