"""The change of a colony's settings: who, when, why, and every setting as it then stands."""

from dataclasses import dataclass

from swarm_core.event_record import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ColonySettingsChanged(Event):
    """From now on the colony may decide by these settings, with what it knows carried over.

    `settings` is the canonical text of ColonySettings, the digests are theirs: the log alone says
    what any decision was made by.
    """

    digest_before: str
    digest_after: str
    settings: str
    changed: tuple[str, ...]  # the settings that differ, where those before are known
    actor: str
    reason: str

    def __post_init__(self) -> None:
        Event.__post_init__(self)
        if not self.actor.strip() or not self.reason.strip():
            raise ValueError(
                f"actor and reason of changed colony settings must be given, were {self.actor!r} "
                f"and {self.reason!r}"
            )
