"""The pace at which Interactive Brokers lets history be asked for.

Sixty requests in ten minutes, none the same within fifteen seconds, fewer than six of one contract
within two seconds; more is refused (error 162), and who insists is disconnected.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceLimits:
    """The broker's limits, each with a small margin for the clocks of both sides."""

    requests_max: int = 60
    requests_window_s: float = 600.0
    identical_window_s: float = 15.0
    contract_max: int = 5
    contract_window_s: float = 2.0
    margin_s: float = 0.1

    def __post_init__(self) -> None:
        for name in ("requests_max", "contract_max"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, was {getattr(self, name)}")


@dataclass
class Pace:
    """Waits until a request may be made; `now_s` never goes back, `sleep` waits for seconds."""

    now_s: Callable[[], float]
    sleep: Callable[[float], None]
    limits: PaceLimits = field(default_factory=PaceLimits)
    _all: deque[float] = field(default_factory=deque[float])
    _identical: dict[str, float] = field(default_factory=dict[str, float])
    _contracts: dict[str, deque[float]] = field(default_factory=dict[str, deque[float]])

    def wait(self, request: str, contract: str) -> float:
        """Wait until a request may be made, count it, and return how long that took, in seconds."""
        waited = 0.0
        while (needed := self.needed_s(request, contract)) > 0:
            self.sleep(needed)
            waited += needed
        now = self.now_s()
        self._all.append(now)
        self._contracts.setdefault(contract, deque()).append(now)
        self._identical[request] = now
        return waited

    def needed_s(self, request: str, contract: str) -> float:
        """Return how many seconds must pass before a request may be made; 0 where it may be now."""
        now, limits = self.now_s(), self.limits
        mine = self._contracts.get(contract, deque())
        _forget(self._all, now - limits.requests_window_s - 2 * limits.margin_s)
        _forget(mine, now - limits.contract_window_s - 2 * limits.margin_s)
        free_at = [0.0]
        if len(self._all) >= limits.requests_max:
            free_at.append(self._all[-limits.requests_max] + limits.requests_window_s)
        if len(mine) >= limits.contract_max:
            free_at.append(mine[-limits.contract_max] + limits.contract_window_s)
        if request in self._identical:
            free_at.append(self._identical[request] + limits.identical_window_s)
        return max(0.0, max(free_at) + limits.margin_s - now)


def _forget(times: deque[float], before: float) -> None:
    while times and times[0] <= before:
        times.popleft()
