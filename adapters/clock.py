"""Clocks: the system's, and one that stands still for data of the past."""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the one place that asks the system


@dataclass(frozen=True, slots=True)
class FixedClock:
    """A clock that always shows one moment."""

    moment: datetime

    def now(self) -> datetime:
        """Return the moment it stands at."""
        return self.moment
