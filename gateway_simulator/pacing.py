"""How often history may be asked for: the gateway's three rules."""

from collections import deque
from dataclasses import dataclass, field

REQUESTS_MAX, REQUESTS_WINDOW_S = 60, 600.0
IDENTICAL_WINDOW_S = 15.0
CONTRACT_MAX, CONTRACT_WINDOW_S = 6, 2.0


@dataclass
class HistoryPace:
    """Counts historical requests: 60 in ten minutes, 5 of a contract in 2 s, none twice in 15 s."""

    _all: deque[float] = field(default_factory=deque[float])
    _identical: dict[tuple[str, ...], float] = field(default_factory=dict[tuple[str, ...], float])
    _contracts: dict[str, deque[float]] = field(default_factory=dict[str, deque[float]])

    def find_violation(self, request: tuple[str, ...], contract: str, now_s: float) -> str:
        """Count a request; return which rule it breaks, or nothing where it keeps them all."""
        while self._all and self._all[0] <= now_s - REQUESTS_WINDOW_S:
            self._all.popleft()
        mine = self._contracts.setdefault(contract, deque())
        while mine and mine[0] <= now_s - CONTRACT_WINDOW_S:
            mine.popleft()
        last = self._identical.get(request)
        self._all.append(now_s)
        mine.append(now_s)
        self._identical[request] = now_s
        if len(self._all) > REQUESTS_MAX:
            return "more than 60 requests in ten minutes"
        if last is not None and now_s - last < IDENTICAL_WINDOW_S:
            return "an identical request within 15 seconds"
        if len(mine) >= CONTRACT_MAX:
            return "six or more requests of one contract within 2 seconds"
        return ""
