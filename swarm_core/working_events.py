"""The working of a decision over time: that it began, and how it ended."""

from dataclasses import dataclass
from typing import ClassVar

from swarm_core.event_record import Event
from swarm_core.execution.working import WorkingPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingStarted(Event):
    """A decision is worked in slices from now on; a new one ends whatever was worked before."""

    schema_version: ClassVar[int] = 2  # 2: the plan tells what it was expected to cost

    decision_id: str
    plan: WorkingPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingEnded(Event):
    """Nothing more of a decision is sent: it is done, was cancelled, or another took its place."""

    decision_id: str
    reason: str
