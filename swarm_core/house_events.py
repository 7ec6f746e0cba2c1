"""Events of other parts of the house: rows moved down, a model promoted, a universe chosen."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseChosen(Event):
    """From now on these instruments are decided on, and why.

    `rule` is a sentence; `values` has what each was chosen by (the median of close times volume,
    in the desk's currency), none where the rule is a list. No instrument means the whole market.
    `chosen_as_of_ns` is the moment whose knowledge the choice stands on, 0 where it needed none.
    """

    rule: str
    chosen_as_of_ns: int
    instrument_ids: tuple[str, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        Event.__post_init__(self)
        if not self.rule.strip():
            raise ValueError("a universe must have a rule, had none")
        if len(self.values) not in {0, len(self.instrument_ids)}:
            raise ValueError(
                f"values must be one for each of {len(self.instrument_ids)} instruments, or none, "
                f"were {len(self.values)}"
            )
