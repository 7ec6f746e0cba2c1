"""A strategy's function in a process of its own, that was never shown more than it is asked about.

What a function kept anywhere in memory, of whatever library, while it saw the whole market is not
there when the guard cuts the market's future off.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol, Self

from models.experiments.fields import ExperimentError
from models.experiments.strategy import (
    Floats,
    FunctionStrategy,
    MarketView,
    read_only_copy,
)


class Line(Protocol):
    """One end of a line to another process."""

    def send(self, value: Any) -> None: ...

    def recv(self) -> Any: ...

    def close(self) -> int | None: ...


OpenLine = Callable[[str], Line]  # "module:name" of the function that answers at the other end
_TARGET = f"{__name__}:answer"


class Apart:
    """Asks a function in another process; as a context, so that the process ends.

    A market of fewer sessions than the last one's is asked of a new process: the shortest first
    is soonest done.
    """

    def __init__(self, strategy: FunctionStrategy, open_line: OpenLine) -> None:
        self._strategy, self._open, self._sessions = strategy, open_line, 0
        self._line: Line | None = None

    def __enter__(self) -> Self:
        """Start at once: the libraries are loaded while the whole market is asked about here."""
        self._start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop()

    def weights(self, view: MarketView) -> Floats:
        """Return the function's weights [T, N]; raises ExperimentError with one line."""
        if self._line is None or len(view.days) < self._sessions:
            self._stop()
            self._start()
        self._sessions, line = len(view.days), self._line
        assert line is not None
        try:
            line.send(replace(view, features=dict.fromkeys(view.features)))
            while True:
                word, told = line.recv()
                if word == "feature":
                    line.send(view.features[told])
                elif word == "failed":
                    raise ExperimentError(told)
                else:
                    return told
        except (EOFError, OSError) as error:
            raise ExperimentError(
                f"strategy.{self._strategy.function} must run, its process ended with code "
                f"{self._stop()}"
            ) from error

    def _start(self) -> None:
        self._line, self._sessions = self._open(_TARGET), 0
        self._line.send(self._strategy)

    def _stop(self) -> int | None:
        line, self._line = self._line, None
        return None if line is None else line.close()


class _Asked(Mapping[str, Floats]):
    """Features by name, each sent for when it is first looked at."""

    def __init__(self, names: tuple[str, ...], link: Line) -> None:
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


def answer(link: Line) -> None:
    """Answer questions until the other end is closed: what Apart's process does."""
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
