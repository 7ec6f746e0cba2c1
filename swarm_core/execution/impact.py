"""How hard orders press the price: foretold when a decision is worked, and learned from its fills.

y = s i + e for each order that was worked: y is what its fills were worse than the price that it
began at, less the touch; i the impact that the model foretold, e the price's own move meanwhile,
whose variance is foretold too. s, the coefficient, is estimated by recursive least squares with a
normal prior around 1 (Young 1984): what an order tells counts by i^2 / variance, so an order that
is small beside the noise of its price says next to nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

_MINOR = 1e8
PRIOR_PRECISION = 4.0  # of a coefficient that is within 0.5 of 1 two times out of three
_LEAST, _MOST = 0.1, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingForecast:
    """How an instrument of a plan is worked, and what that was expected to cost.

    Money is in units of the instrument's currency for the whole order: `touch` is half the spread,
    `impact` what pressing the price costs at a coefficient of 1, `deviation` the standard
    deviation of the shortfall.
    """

    instrument_id: str
    schedule: str  # a ScheduleKind's value
    lots: int
    arrival_ticks: int
    touch: float
    impact: float
    deviation: float


class ImpactEstimate:
    """The coefficient of impact, folded from plans and fills; `precision` is 1 / its variance."""

    def __init__(self) -> None:
        self.mean, self.precision = 1.0, PRIOR_PRECISION
        self._forecasts: dict[str, WorkingForecast] = {}  # by instrument, of the plan worked now
        self._filled: dict[str, tuple[int, int]] = {}  # lots, and minor units that they were worse

    @property
    def coefficient(self) -> float:
        """Return what a foretold impact is multiplied by, within a tenth and ten."""
        return min(max(self.mean, _LEAST), _MOST)

    def start(self, forecasts: Iterable[WorkingForecast]) -> None:
        """Listen to the fills of another plan; what was listened to before is not learned."""
        self._forecasts = {f.instrument_id: f for f in forecasts}
        self._filled = {}

    def fill(self, instrument_id: str, signed_lots: int, ticks: int, lot_tick_minor: int) -> None:
        """Count a fill of an order of the plan."""
        forecast = self._forecasts.get(instrument_id)
        if forecast is not None:
            lots, worse = self._filled.get(instrument_id, (0, 0))
            worse += signed_lots * (ticks - forecast.arrival_ticks) * lot_tick_minor
            self._filled[instrument_id] = lots + abs(signed_lots), worse

    def forget(self, instrument_id: str) -> None:
        """Learn nothing of an instrument of the plan: a corporate action has moved its price."""
        self._forecasts.pop(instrument_id, None)

    def end(self) -> None:
        """Learn from what was filled of the plan."""
        for name, (lots, worse) in sorted(self._filled.items()):
            forecast = self._forecasts.get(name)
            if forecast is not None and forecast.lots > 0:
                part = lots / forecast.lots
                beyond = worse / _MINOR - forecast.touch * part
                self._learn(beyond, forecast.impact * part * part, forecast.deviation * part)
        self.start(())

    def _learn(self, beyond: float, foretold: float, deviation: float) -> None:
        if not (isfinite(beyond) and foretold > 0.0 and deviation > 0.0):
            return
        told = foretold / deviation
        self.precision += told * told
        self.mean += told * (beyond / deviation - self.mean * told) / self.precision
