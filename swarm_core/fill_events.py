"""Events of executions after they were told."""

from dataclasses import dataclass

from swarm_core.event_record import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionCorrected(Event):
    """The broker has corrected an execution: it keeps its id, and costs another price.

    `revision` counts from 2; the highest one that was told counts.
    """

    execution_id: str
    revision: int
    lots: int
    price_ticks: int
