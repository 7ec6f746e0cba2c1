"""How far an exchange lets a price move in a session, and what that does to a bar."""

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from swarm_core.market import Bar


@dataclass(frozen=True, slots=True)
class PriceLimits:
    """Limit-up and limit-down: reference x (1 -/+ fraction), rounded inward to whole ticks.

    Source: daily price limits as futures exchanges and the Shanghai exchange set them on the
    previous settlement or close; the bands of the US Limit Up-Limit Down plan (SEC, 2012) work
    alike on a moving reference. At the upper limit nobody sells, at the lower nobody buys.
    """

    fraction: Decimal

    def __post_init__(self) -> None:
        if not (self.fraction.is_finite() and 0 < self.fraction <= 1):
            raise ValueError(f"fraction of price limits must be in (0, 1], was {self.fraction}")

    def band(self, reference_ticks: int) -> tuple[int, int]:
        """Return the lowest and the highest price that may trade, in ticks."""
        width = abs(reference_ticks) * self.fraction
        low = (reference_ticks - width).to_integral_value(ROUND_CEILING)
        high = (reference_ticks + width).to_integral_value(ROUND_FLOOR)
        return int(low), int(high)

    def bounded(self, bar: Bar, reference_ticks: int) -> Bar:
        """Return the bar with the band of this reference (the previous close) beside it."""
        low, high = self.band(reference_ticks)
        return replace(bar, band_low_ticks=low, band_high_ticks=high)
