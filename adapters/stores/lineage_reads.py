"""What lineage asks of the event log and of tables at the versions that a decision pinned."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import polars as pl

from swarm_core.events import (
    DecisionTaken,
    Event,
    OrderEvent,
    OrderIntended,
    RecordedEvent,
    UniverseChosen,
    WorkingStarted,
)
from swarm_core.execution.working import WorkingPlan
from swarm_core.lineage import Lineage


class Events(Protocol):
    def read(self, after_sequence: int = 0) -> Iterable[RecordedEvent]: ...


class PinnedTables(Protocol):
    def exists(self, table: str) -> bool: ...

    def read(
        self,
        table: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        known_by: datetime | None = None,
        columns: Sequence[str] | None = None,
        version: int | None = None,
    ) -> pl.DataFrame: ...


class ModelCards(Protocol):
    def card(self, name: str, version: str) -> Mapping[str, object]: ...


def moment(time_ns: int) -> datetime:
    """Return nanoseconds since 1970 as a time in UTC, to the microsecond."""
    seconds, rest = divmod(time_ns, 10**9)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


class OrderHistory:
    """The event log, sorted by order and by decision; one pass over the log."""

    def __init__(self, events: Events) -> None:
        self.decisions: dict[str, DecisionTaken] = {}
        self.intents: dict[str, OrderIntended] = {}
        self.universes: dict[str, UniverseChosen] = {}  # by the decision that was taken on it
        self.plans: dict[str, WorkingPlan] = {}  # by the decision that is worked
        self._orders: dict[str, list[Event]] = {}
        self._of_decision: dict[str, list[OrderIntended]] = {}
        universe: UniverseChosen | None = None
        for recorded in events.read():
            event = recorded.event
            if isinstance(event, UniverseChosen):
                universe = event
            elif isinstance(event, DecisionTaken):
                self.decisions[event.lineage.decision_id] = event
                if universe is not None:
                    self.universes[event.lineage.decision_id] = universe
            elif isinstance(event, WorkingStarted):
                self.plans[event.decision_id] = event.plan
            elif isinstance(event, OrderIntended):
                if event.order.client_order_id not in self.intents:
                    self._of_decision.setdefault(event.order.decision_id, []).append(event)
                self.intents[event.order.client_order_id] = event
            elif isinstance(event, OrderEvent):
                self._orders.setdefault(event.client_order_id, []).append(event)

    def get_order_id(self, text: str) -> str:
        """Return the one order id that starts with the text; KeyError where none or several do."""
        found = sorted(i for i in self.intents if i.startswith(text)) if text else []
        if text in found or len(found) == 1:
            return text if text in found else found[0]
        if found:
            raise KeyError(
                f"an order id must be named in full, {text!r} begins {len(found)} of them"
            )
        raise KeyError(f"the event log holds no order {text!r}, of {len(self.intents)} orders")

    def of_order(self, order_id: str) -> Sequence[Event]:
        """Return what happened to an order after it was intended, in order."""
        return self._orders.get(order_id, [])

    def of_decision(self, decision_id: str) -> Sequence[OrderIntended]:
        """Return the orders that a decision intended, in order."""
        return self._of_decision.get(decision_id, [])


def pinned_version(lineage: Lineage, table: str) -> int | None:
    """Return the version of a table that a decision read, None where it does not say."""
    pins = (*lineage.clean_versions, *lineage.raw_versions)
    for pin in pins:
        name, _, version = pin.rpartition("@")
        if name == table and version.isdecimal():
            return int(version)
    if table == "features":
        version = lineage.feature_table_version.rpartition("@")[2]
        return int(version) if version.isdecimal() else None
    return None


def read_pinned(
    tables: PinnedTables,
    lineage: Lineage,
    table: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    known_by: datetime | None = None,
) -> pl.DataFrame | None:
    """Return the rows as the decision could read them; None where there is no such table."""
    if not tables.exists(table):
        return None
    version = pinned_version(lineage, table)
    return tables.read(table, start=start, end=end, known_by=known_by, version=version)
