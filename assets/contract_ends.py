"""Contracts near their last trading day, as the scheduled decision meets them: they only shrink.

The trader also closes and rolls them; the gate and the limits are the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from features.calendars import sessions
from swarm_core.contract_ends import EndSettings, closed_to_more
from swarm_core.instruments import Instrument
from swarm_core.risk.limits import RiskLimits


@dataclass(frozen=True, slots=True)
class KnownEnds:
    """The contracts of which the settings tell the last trading day (ISO date)."""

    settings: EndSettings = field(default_factory=EndSettings)
    last_days: Mapping[str, str] = field(default_factory=dict[str, str])

    def left(
        self, instruments: Mapping[str, Instrument], calendar: str, session: str
    ) -> dict[str, int]:
        """Return by contract how many sessions come after one (ISO date), below 0 after its end."""
        classes = self.settings.asset_classes
        return {
            name: _sessions_left(calendar, session, day)
            for name, day in sorted(self.last_days.items())
            if name in instruments and instruments[name].asset_class in classes
        }

    def limited(self, limits: RiskLimits, left: Mapping[str, int]) -> RiskLimits:
        """Return limits under which nothing near its end may become larger."""
        names = [name for name, count in left.items() if count <= self.settings.reduce_sessions]
        return closed_to_more(limits, names) if names else limits

    def warnings(self, left: Mapping[str, int]) -> list[str]:
        """Return a line for each contract that ends soon."""
        return [
            f"{name}: last trading day {self.last_days[name]}, "
            + (f"{count} sessions after this one" if count >= 0 else "which is over")
            + (", it may only be reduced" if count <= self.settings.reduce_sessions else "")
            for name, count in left.items()
            if count <= self.settings.warn_sessions
        ]


def _sessions_left(calendar: str, session: str, last_day: str) -> int:
    first, last = date.fromisoformat(session), date.fromisoformat(last_day)
    if last < first:
        return -1
    day = timedelta(days=1)
    return len(sessions(calendar, first + day, last + day)) if first < last else 0
