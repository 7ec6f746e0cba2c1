"""The time that the trader goes by: the machine's, or that of a market which is replayed."""

import time


def wall_ns() -> int:
    """Return the machine's moment in nanoseconds since 1970 in UTC."""
    return time.time_ns()


class ReplayClock:
    """Shows the time of the last item that was taken, and stands until the next.

    So a replay writes the same times at whatever speed it is run, and however slow the machine.
    """

    def __init__(self) -> None:
        self._now_ns = 0

    def advance(self, time_ns: int) -> None:
        """Go on to an item's time; the clock never goes back."""
        self._now_ns = max(self._now_ns, time_ns)

    def __call__(self) -> int:
        return self._now_ns
