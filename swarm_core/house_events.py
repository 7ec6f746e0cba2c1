"""Events of other parts of the house: rows that moved down a tier, models that were promoted."""

from dataclasses import dataclass

from swarm_core.event_record import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class TierMoved(Event):
    table: str
    partition: str
    tier_from: str
    tier_to: str
    row_count: int
    content_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPromoted(Event):
    model_name: str
    model_version: str
    previous_version: str
    reason: str
