"""What the order path needs of the outside world: a log that lasts and a broker."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from swarm_core import events as ev
from swarm_core.orders import Order


class ConcurrentAppendError(RuntimeError):
    """Somebody else wrote to the log since it was read; nothing was appended."""


class EventLog(Protocol):
    """The append-only record. An append is on disk when it returns.

    An event whose id is in the log already is not written again. With `expected_sequence`, the
    append happens only if that is the last record, else ConcurrentAppendError is raised.
    """

    def append(
        self, events: Sequence[ev.Event], *, expected_sequence: int | None = None
    ) -> Sequence[ev.RecordedEvent]: ...

    def read(self, after_sequence: int = 0) -> Iterable[ev.RecordedEvent]: ...


class Broker(Protocol):
    """Takes orders; what became of them comes back as events.

    OSError means that nobody knows whether the broker has heard.
    """

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]: ...

    def find(self, client_order_id: str) -> Sequence[ev.Event] | None:
        """Return all that the broker knows of an order, or None where it never got it."""
        ...

    def cancel(self, client_order_id: str, time_ns: int) -> Sequence[ev.Event]: ...
