"""The time that the trader goes by: the machine's, or that of a market which is replayed."""

import time

# What waits for an hour would wait for the clock to come back; a second or two is set by time
# servers now and then, and passes.
CLOCK_BACK_S_MAX = 5.0


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


class ClockWatch:
    """Sees a clock that goes back."""

    def __init__(self) -> None:
        self._newest_ns = 0

    def went_back_s(self, now_ns: int) -> float:
        """Return by how many seconds the clock is behind what it last showed; told once."""
        back_s = (self._newest_ns - now_ns) / 1e9
        if not 0 < back_s <= CLOCK_BACK_S_MAX:
            self._newest_ns = now_ns
        return max(0.0, back_s)
