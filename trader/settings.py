"""How the trader watches its market, its broker and itself."""

from dataclasses import dataclass, fields
from math import isfinite

# How long an instrument that has not been quoted yet is waited for; then the gate denies it.
QUOTE_PATIENCE_NS = 60 * 10**9
# Between two tries of what was cut off or waits for the broker, where nothing has happened.
RESUME_NS = 5 * 10**9

_BOUNDS = {
    "heartbeat_s": (0.001, 60.0),
    "feed_silence_s_max": (0.01, 86_400.0),
    "data_age_s_max": (0.01, 604_800.0),
    "reconcile_every_s": (0.1, 86_400.0),
    "retire_after_s": (1.0, 604_800.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TraderSettings:
    """Seconds; a field out of its bounds raises ValueError with one line."""

    heartbeat_s: float = 0.25
    feed_silence_s_max: float = 30.0
    data_age_s_max: float = 60.0
    reconcile_every_s: float = 300.0
    retire_after_s: float = 3_600.0  # how long what has ended stays in memory

    def __post_init__(self) -> None:
        for field in fields(self):
            low, high = _BOUNDS[field.name]
            value = getattr(self, field.name)
            if not (isfinite(value) and low <= value <= high):
                raise ValueError(f"{field.name} must be in [{low}, {high}], was {value}")
