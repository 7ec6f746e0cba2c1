"""What the trader needs of the outside world beside the log: a broker that talks, and a feed."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeAlias, runtime_checkable

from swarm_core import events as ev
from swarm_core.actions.action import CorporateAction
from swarm_core.book import Book
from swarm_core.broker_account import BrokerAccount
from swarm_core.lineage import Lineage
from swarm_core.live_view import LiveView, PheromoneField
from swarm_core.market import Bar, Quote
from swarm_core.orders import Order
from swarm_core.ports import Broker
from swarm_core.sizing import Targets


@dataclass(frozen=True, slots=True)
class Moment:
    """Nothing new but the time: what waits for an hour may act."""

    time_ns: int


@dataclass(frozen=True, slots=True)
class Opening:
    """A session opens at this moment: nothing of it has traded, and nothing is decided by it."""

    time_ns: int


Item: TypeAlias = Bar | Quote | Moment | Opening


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What the book shall become, and what that stands on.

    `withheld` are instruments whose newest record is bad: no quote of theirs is traded on.
    `fault` is why nothing may be released, where a check of the engine's data has failed.
    """

    targets: Targets
    lineage: Lineage | None = None
    withheld: frozenset[str] = frozenset()
    fault: str = ""


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
    def readings_asked(self) -> int:
        """Return how often something was told after which the whole account is to be read.

        E.g. that another hand has changed an order, or that an execution was taken back.
        """
        ...

    @property
    def is_connected(self) -> bool: ...

    @property
    def is_thread_safe(self) -> bool:
        """Return whether cancels may be asked for beside another call that has not returned."""
        ...


@runtime_checkable
class BookkeepingBroker(Protocol):
    """A broker that is told of corporate actions and carry, because nobody tells them to it.

    Told again, an action gives the same events and changes nothing.
    """

    def on_action(self, action: CorporateAction, time_ns: int) -> Sequence[ev.Event]: ...
    def take_in(self, change: ev.HoldingChanged) -> None: ...

    def book_night(self, events: Sequence[ev.Event]) -> None:
        """Take into the account what stands in the log of a night."""
        ...


@runtime_checkable
class RefusingBroker(Protocol):
    """A broker that gives up a connection for good, e.g. where it leads to another account."""

    @property
    def refusal(self) -> str:
        """Return why it is not reached any more until a person has acted, or nothing."""
        ...


@runtime_checkable
class ForgettingBroker(Protocol):
    """A broker whose memory is in this process: it forgets the orders that the book has retired."""

    def forget(self, decision_ids: Collection[str]) -> None: ...


class Actions(Protocol):
    """The corporate actions that are known, in the order in which they take effect."""

    def of_session(self, before: str, session: str) -> Sequence[CorporateAction]:
        """Return those with an ex-date after the session `before`, up to `session`.

        With `before` empty, after the session before that one.
        """
        ...

    def announced(self, after: str, until_ns: int) -> Sequence[CorporateAction]:
        """Return those with an ex-date after a session and up to a moment."""
        ...

    def halted(self, start_ns: int, end_ns: int) -> frozenset[str]:
        """Return the instruments that are halted all the time from one moment to another."""
        ...


class Impact(Protocol):
    """What an order would do to an account, in its currency; None where nobody says."""

    @property
    def initial_before(self) -> Decimal | None: ...
    @property
    def initial_after(self) -> Decimal | None: ...
    @property
    def equity_after(self) -> Decimal | None: ...


@runtime_checkable
class WhatIfBroker(Protocol):
    """A broker that says beforehand what an order would need."""

    def what_if(self, order: Order) -> Impact:
        """OSError where it does not answer, ValueError where it would not take the order."""
        ...


class Feed(Protocol):
    """The market, as it happens; the iterator ends with the session, OSError means it is lost."""

    def stream(self) -> AsyncIterator[Item]: ...


class Engine(Protocol):
    """Turns the market into decisions."""

    def on_market(self, item: Item, book: Book, time_ns: int) -> Intent | None:
        """Return what the book shall become, or None where nothing is to be decided now.

        Raises ValueError where what it decides on has failed a check: the trader halts.
        """
        ...


class Hours(Protocol):
    """When the market is open, and which session a moment belongs to."""

    def session_at(self, time_ns: int) -> str:
        """Return the ISO date of the newest session that has opened by then."""
        ...

    def is_over(self, session: str, time_ns: int) -> bool:
        """Return whether the session had closed before the moment."""
        ...

    def is_open(self, time_ns: int) -> bool: ...


class Showcase(Protocol):
    """Shows a book to whoever watches; it never waits and never fails."""

    def show(self, view: LiveView) -> None: ...

    def show_field(self, field: PheromoneField) -> None: ...
