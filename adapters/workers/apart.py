"""A strategy's function in a process of its own, that was never shown more than it is asked about.

What a function kept anywhere in memory, of whatever library, while it saw the whole market is not
there when the guard cuts the market's future off.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from models.experiments.fields import ExperimentError
from models.experiments.strategy import (
    Floats,
    FunctionStrategy,
    MarketView,
    read_only_copy,
)

_ROOT = Path(__file__).resolve().parents[2]
# A process that starts so runs no file of whoever started this one.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from adapters.workers.apart import answer; answer(int(sys.argv[1]))"
)


class Apart:
    """Asks a function in another process; as a context, so that the process ends.

    A market of fewer sessions than the last one's is asked of a new process: the shortest first
    is soonest done.
    """

    def __init__(self, strategy: FunctionStrategy) -> None:
        self._strategy, self._sessions = strategy, 0
        self._process: subprocess.Popen[bytes] | None = None
        self._link: Connection | None = None

    def __enter__(self) -> Self:
        """Start at once: the libraries are loaded while the whole market is asked about here."""
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def weights(self, view: MarketView) -> Floats:
        """Return the function's weights [T, N]; raises ExperimentError with one line."""
        if self._link is None or len(view.days) < self._sessions:
            self._stop()
            self._start()
        self._sessions = len(view.days)
        assert self._link is not None
        try:
            self._link.send(replace(view, features=dict.fromkeys(view.features)))
            while True:
                word, told = self._link.recv()
                if word == "feature":
                    self._link.send(view.features[told])
                elif word == "failed":
                    raise ExperimentError(told)
                else:
                    return told
        except (EOFError, OSError) as error:
            code = self._stop()
            raise ExperimentError(
                f"strategy.{self._strategy.function} must run, its process ended with code {code}"
            ) from error

    def _start(self) -> None:
        self._link, other = Pipe()
        with other:
            handle = other.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(handle), str(_ROOT), *sys.path],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno() if _has_file(sys.stderr) else subprocess.DEVNULL,
                pass_fds=(handle,),
            )
        self._sessions = 0
        self._link.send(self._strategy)

    def _stop(self) -> int | None:
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._process is None:
            return None
        try:
            return self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _has_file(stream: Any) -> bool:
    try:
        return stream.fileno() >= 0
    except (AttributeError, OSError, ValueError):  # of a notebook, of a captured test
        return False


class _Asked(Mapping[str, Floats]):
    """Features by name, each sent for when it is first looked at."""

    def __init__(self, names: tuple[str, ...], link: Connection) -> None:
        self._names, self._link, self._given = names, link, dict[str, Floats]()

    def __getitem__(self, name: str) -> Floats:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._given:
            self._link.send(("feature", name))
            self._given[name] = read_only_copy(self._link.recv())
        return self._given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def answer(handle: int) -> None:
    """Answer questions until the other end is closed: what Apart's process does."""
    with Connection(handle) as link:
        strategy: FunctionStrategy = link.recv()
        while True:
            try:
                view: MarketView = link.recv()
            except EOFError:
                return
            shown = replace(
                view,
                close=read_only_copy(view.close),
                volume=None if view.volume is None else read_only_copy(view.volume),
                features=_Asked(tuple(view.features), link),
            )
            try:
                link.send(("weights", strategy.weights(shown)))
            except ExperimentError as error:
                link.send(("failed", str(error)))
