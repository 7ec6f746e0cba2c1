"""How long an order is on its way to the venue."""

from dataclasses import dataclass

_NS_PER_MS = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """An order reaches the venue `milliseconds` after it was sent, and then misses `bars` bars.

    An order that reaches it after a bar has opened cannot trade at that bar's open.
    Source: NautilusTrader's LatencyModel (2023) for the time, LEAN's next-bar fills for the bars.
    """

    milliseconds: int = 0
    bars: int = 0

    def __post_init__(self) -> None:
        for name, high in (("milliseconds", 3_600_000), ("bars", 1_000)):
            value = getattr(self, name)
            if not 0 <= value <= high:
                raise ValueError(f"{name} of a latency must be in 0..{high}, was {value}")

    def arrival_ns(self, sent_ns: int) -> int:
        """Return when an order that was sent at `sent_ns` stands at the venue."""
        return sent_ns + self.milliseconds * _NS_PER_MS

    @property
    def parameters(self) -> tuple[int, int]:
        """Return (nanoseconds, bars) for compiled code."""
        return self.milliseconds * _NS_PER_MS, self.bars


NO_LATENCY = Latency()
