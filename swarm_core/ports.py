"""What the order path needs of the outside world: a log that lasts and a broker."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from swarm_core import events as ev
from swarm_core.orders import Order
from swarm_core.working_terms import WorkingTerms


class OutOfReachError(ConnectionError):
    """This process cannot cancel an order, however often it asks: a person must."""


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


@runtime_checkable
class IndexedLog(Protocol):
    """A log that finds records by the ids of their events; one that does not is read through."""

    def find_all(self, event_ids: Sequence[str]) -> Mapping[str, ev.RecordedEvent]:
        """Return, by id, the records of those that are in the log."""
        ...


@runtime_checkable
class TendedLog(Protocol):
    """A log with housekeeping that can wait until orders are out."""

    def tend(self) -> None: ...


class Broker(Protocol):
    """Takes orders; what became of them comes back as events.

    OSError means that nobody knows whether the broker has heard.
    """

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]: ...

    def find(self, client_order_id: str) -> Sequence[ev.Event] | None:
        """Return all that the broker knows of an order, or None where it never got it."""
        ...

    def cancel(self, client_order_id: str, time_ns: int) -> Sequence[ev.Event]: ...


@runtime_checkable
class BracketBroker(Protocol):
    """A broker that holds orders together by itself, whether or not this process lives."""

    def submit_together(self, orders: Sequence[Order], time_ns: int) -> Sequence[ev.Event]:
        """Take an order with its two exits, or the two exits; nothing works before all have come.

        The exits sleep until the order has filled whole, and are cancelled where it ends
        otherwise; what one of them fills is taken from the other. OSError as with `submit`.
        """
        ...


@runtime_checkable
class ModifyingBroker(Protocol):
    """A broker that gives a working order other terms under its own id."""

    def modify(
        self, order: Order, terms: WorkingTerms, number: int, time_ns: int
    ) -> Sequence[ev.Event]:
        """Ask for other terms; return OrderModified or OrderModifyRejected of that number.

        OSError means that nobody knows whether the broker has heard.
        """
        ...

    def find_terms(self, order: Order) -> WorkingTerms | None:
        """Return the terms in which an order works now, None where it works no more. OSError
        where the broker does not say."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginAfter:
    """What an order would do to the account, by the broker's own sums (minor units).

    Any of them is None where the broker does not say.
    """

    needed_before_minor: int | None
    needed_minor: int | None
    equity_minor: int | None

    @property
    def is_short(self) -> bool:
        """Return whether the equity does not carry the margin and the order makes it worse."""
        if self.needed_minor is None or self.equity_minor is None:
            return True  # what is not known denies
        eases = (
            self.needed_before_minor is not None and self.needed_minor <= self.needed_before_minor
        )
        return self.needed_minor > self.equity_minor and not eases


@runtime_checkable
class MarginBroker(Protocol):
    """A broker that says beforehand what an order would need."""

    def margin_after(self, order: Order) -> MarginAfter | None:
        """Return the account's margin with the order, or None where nobody asks for it.

        OSError where it does not answer, ValueError where it would not take the order.
        """
        ...
