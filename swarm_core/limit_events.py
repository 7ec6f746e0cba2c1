"""The change of the gate's limits: who, when, why, and every limit as it stands from then on."""

from dataclasses import dataclass

from swarm_core.event_record import Event
from swarm_core.risk.limits import RiskLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsChanged(Event):
    """From now on these are the limits; only a person may loosen any of them.

    The digests name the limits before (empty: there were none) and after. `second_actor` is who
    agreed, where two persons must.
    """

    limits: RiskLimits
    digest_before: str
    digest_after: str
    loosened: tuple[str, ...]
    actor: str
    second_actor: str
    reason: str
    by_person: bool

    def __post_init__(self) -> None:
        Event.__post_init__(self)
        if not self.actor.strip() or not self.reason.strip():
            raise ValueError(
                f"actor and reason of changed limits must be given, were {self.actor!r} "
                f"and {self.reason!r}"
            )
        if self.loosened and not self.by_person:
            raise ValueError(f"limits must be loosened by a person, were by {self.actor}")
