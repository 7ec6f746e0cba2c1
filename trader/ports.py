"""What the trader needs of the outside world beside the log: a broker that talks, and a feed."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.market import Bar, Quote
from swarm_core.ports import Broker
from swarm_core.reconciliation import BrokerAccount
from swarm_core.sizing import Targets


class LiveBroker(Broker, Protocol):
    """A broker that also speaks unasked, and shows the whole account."""

    def heard(self) -> Sequence[ev.Event]:
        """Return what the broker has said since the last call; never waits."""
        ...

    def account(self) -> BrokerAccount:
        """Return the whole account; OSError where any part of it could not be read in full."""
        ...

    def cancel_everything(self) -> None:
        """Ask the broker to cancel whatever works in the account, whoever placed it."""
        ...

    @property
    def connection_count(self) -> int:
        """Return how often the broker was reached; it grows with every reconnection."""
        ...

    @property
    def is_connected(self) -> bool: ...


class Feed(Protocol):
    """The market, as it happens; the iterator ends with the session, OSError means it is lost."""

    def stream(self) -> AsyncIterator[Bar | Quote]: ...


class Engine(Protocol):
    """Turns the market into decisions."""

    def on_market(self, item: Bar | Quote, book: Book, time_ns: int) -> Targets | None:
        """Return what the book shall become, or None where nothing is to be decided now."""
        ...
