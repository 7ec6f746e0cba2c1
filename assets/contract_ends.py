"""Contracts near their last trading day, as the scheduled decision meets them.

They are told, let only shrink, then closed or rolled: by the trader's rules, over its order path.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from features.calendars import sessions
from swarm_core.contract_ends import EndSettings, closed_to_more
from swarm_core.end_orders import ContractEnd
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

    def due(self, left: Mapping[str, int]) -> tuple[ContractEnd, ...]:
        """Return what is to be closed or rolled by a session, with what becomes of it.

        A session is decided after its close and its orders fill in the next one: with one session
        left they are the last that do, also where the settings would wait for the day itself.
        """
        if self.settings.then == "nothing":
            return ()
        return tuple(
            ContractEnd(
                name=name,
                last_day=self.last_days[name],
                left=count,
                following=self.settings.following(name),
            )
            for name, count in left.items()
            if 1 <= count <= max(1, self.settings.act_sessions)
        )

    def ended(self, left: Mapping[str, int], lots: Callable[[str], int]) -> list[str]:
        """Return a line for each contract that nothing closes any more and that is held still."""
        return [
            f"{name}: its last trading day was {self.last_days[name]} and {lots(name)} lots are "
            "held still: a person must settle them"
            for name, count in left.items()
            if count < 1 and lots(name)
        ]

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
