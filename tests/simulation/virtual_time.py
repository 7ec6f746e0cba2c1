"""An event loop whose clock jumps from timer to timer, and whose threads are plain calls.

So hours pass in milliseconds, and everything happens in an order that a seed decides alone.
"""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

_NS_PER_S = 10**9


class _JumpingSelector(selectors.SelectSelector):
    """Waits for nothing: the time that would be waited is added to the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_ns = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("somebody must be waiting for a timer, nobody was")
        if timeout > 0:
            self.waited_ns += -int(-timeout * _NS_PER_S // 1)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop at `now_ns`; to be used by one thread alone."""

    def __init__(self, start_ns: int) -> None:
        self._selector_of_ours = _JumpingSelector()
        self._start_ns = start_ns
        super().__init__(self._selector_of_ours)

    def now_ns(self) -> int:
        return self._start_ns + self._selector_of_ours.waited_ns

    def time(self) -> float:
        # Counted from the start, so that a float holds nanoseconds.
        return self._selector_of_ours.waited_ns / _NS_PER_S

    def run_in_executor(
        self, executor: object, func: Callable[..., Any], *args: object
    ) -> "asyncio.Future[Any]":
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except BaseException as error:  # noqa: BLE001  # a death, too, comes out of the future
            future.set_exception(error)
        return future
