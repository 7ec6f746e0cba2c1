"""What the nights do to a book that is traded: carry, actions, and the orders that they meet."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from swarm_core import events as ev
from swarm_core.actions.action import CorporateAction
from swarm_core.actions.dividends import CashDividend
from swarm_core.actions.exchanges import CashOut
from swarm_core.broker_account import BrokerAccount
from swarm_core.derivatives.futures import variation_settlements
from swarm_core.halting import cancel_all
from swarm_core.ledger import Ledger
from swarm_core.overnight import (
    NO_CARRY,
    ActionVenue,
    Carry,
    action_events,
    kept_order_events,
    nights_between,
)
from swarm_core.owed_payments import CASH_SUFFIX
from trader.desk import TradingDesk
from trader.ports import Actions, BookkeepingBroker, Hours

_DAY_NS = 86_400 * 10**9
_CLOCKS_APART_NS = 5 * 10**9  # what a broker fills at the opening, it may date before
# A broker pays when it pays: what it owes becomes cash when its account shows it.
AT_ITS_WORD_NS = 2**62


class NoActions:
    """Nobody knows of any action."""

    def of_session(self, before: str, session: str) -> Sequence[CorporateAction]:
        return ()

    def announced(self, after: str, until_ns: int) -> Sequence[CorporateAction]:
        return ()

    def halted(self, start_ns: int, end_ns: int) -> frozenset[str]:
        return frozenset()


class _ByItself:
    """A venue that adjusts its orders and its account by itself, and tells of it."""

    def on_action(self, action: CorporateAction, time_ns: int) -> Sequence[ev.Event]:
        return ()

    def take_in(self, change: ev.HoldingChanged) -> None:
        """It knows."""


@dataclass(frozen=True, slots=True)
class NightBooks:
    """Books the nights between two sessions, by the functions that the decision job books by.

    A broker that keeps no books of its own (paper) is told, and its carry is charged here. Any
    other charges by itself: orders that would meet a split are cancelled there, as brokers do, a
    dividend is owed from its ex-date, and becomes cash when the account shows it.
    """

    desk: TradingDesk
    broker: object
    actions: Actions = field(default_factory=NoActions)
    carry: Carry = NO_CARRY
    hours: Hours | None = None  # whose dividends are whose, where an opening is booked late

    @property
    def since(self) -> str:
        """The session that the book is of; where none was opened, that of its oldest fill."""
        fills = self.desk.book.ledger.executions
        if self.desk.book.session or self.hours is None or not fills:
            return self.desk.book.session
        oldest_ns = min(fill.time_ns for fill in fills.values())
        return self.hours.session_at(oldest_ns + _CLOCKS_APART_NS)

    def prepare(self, session: str, now_ns: int) -> Sequence[CorporateAction]:
        """Return the actions of a session's nights; what must not meet them is cancelled first."""
        actions = self.actions.of_session(self.since, session)
        known = [a for a in actions if a.instrument_id in self.desk.instruments]
        self._cancel(known, now_ns)
        return known

    def changing(self, before: str, session: str) -> frozenset[str]:
        """Return the instruments whose lots the nights between two sessions change at a broker.

        Until the opening books it, their positions and quotes may each be of before or after.
        """
        if self._keeps_books or not before < session:
            return frozenset()
        return frozenset(
            action.instrument_id
            for action in self.actions.of_session(before, session)
            if action.instrument_id in self.desk.instruments
            and not isinstance(action, CashDividend)
        )

    def events(
        self, session: str, actions: Sequence[CorporateAction], now_ns: int
    ) -> list[ev.Event]:
        """Return the carry of the nights before a session, and what its actions do."""
        book, instruments = self.desk.book, self.desk.instruments
        days = nights_between(book.session, session)
        carried: list[ev.Event] = []
        if self._keeps_books:
            carried = self.carry.charges(book.ledger, instruments, days, now_ns)
        return [*carried, *self._acted(actions, now_ns)]

    def settlements(self, closes: Mapping[str, int], now_ns: int) -> list[ev.Event]:
        """Return what futures pay at a session's end on paper; any other broker pays by itself."""
        if not self._keeps_books:
            return []
        return variation_settlements(self.desk.book.ledger, closes, now_ns)

    def booked(self, events: Sequence[ev.Event], actions: Sequence[CorporateAction]) -> None:
        """Tell the broker what stands in the log now, and forget the prices of before."""
        if isinstance(self.broker, BookkeepingBroker):
            self.broker.book_night(events)
        self.forget_prices(actions)

    def forget_prices(self, actions: Sequence[CorporateAction]) -> None:
        """Drop quotes of before a split and its like: they are of other lots."""
        for action in actions:
            if not isinstance(action, CashDividend):
                self.desk.quotes.pop(action.instrument_id, None)

    def explain(self, account: BrokerAccount, now_ns: int) -> bool:
        """Book announced actions where the account shows them already; return whether it did.

        Only what makes a position agree that differs is taken: anything else stays for a person.
        """
        book = self.desk.book
        held = {i: p.lots for i, p in book.ledger.positions.items() if p.lots}
        differing = {
            i
            for i in {*held, *account.position_lots}
            if held.get(i, 0) != account.position_lots.get(i, 0)
        }
        if not differing or self._keeps_books or not self.since:
            return False
        announced = self.actions.announced(self.since, now_ns + _DAY_NS)
        met = [
            a
            for a in announced
            if a.instrument_id in differing and a.instrument_id in self.desk.instruments
        ]
        explained = self._explained(met, account, now_ns)
        if not explained:
            return False
        self._cancel(explained, now_ns)
        self.desk.note(*self._acted(explained, now_ns))
        self.forget_prices(explained)
        return True

    def _explained(
        self, actions: Sequence[CorporateAction], account: BrokerAccount, now_ns: int
    ) -> list[CorporateAction]:
        """Return the actions of the instruments whose positions agree once they are booked."""
        agreed: list[CorporateAction] = []
        for instrument_id in sorted({a.instrument_id for a in actions}):
            own = [a for a in actions if a.instrument_id == instrument_id]
            lots = dict(self._lots_after(own, now_ns))
            if lots and all(account.position_lots.get(i, 0) == n for i, n in lots.items()):
                agreed.extend(own)
        return agreed

    def _lots_after(
        self, actions: Sequence[CorporateAction], now_ns: int
    ) -> Collection[tuple[str, int]]:
        after: dict[str, int] = {}
        for event in self._acted(actions, now_ns):
            if isinstance(event, ev.HoldingChanged):
                for instrument_id, change in (
                    (event.instrument_id, event.lots_change),
                    (event.to_instrument_id, event.to_lots),
                ):
                    if instrument_id:
                        held = after.get(instrument_id, self.desk.book.lots(instrument_id))
                        after[instrument_id] = held + change
        return after.items()

    @property
    def _keeps_books(self) -> bool:
        return isinstance(self.broker, BookkeepingBroker)

    def _acted(self, actions: Sequence[CorporateAction], now_ns: int) -> list[ev.Event]:
        book = self.desk.book
        venue: ActionVenue = (
            self.broker if isinstance(self.broker, BookkeepingBroker) else _ByItself()
        )
        taken = actions if self._keeps_books else [_paid_at_its_word(a) for a in actions]
        ledger = book.ledger if self._keeps_books else self._before_ex(taken)
        acted = action_events(taken, ledger, self.desk.instruments, venue, now_ns)
        if not self._keeps_books:
            stated = {a.action_id for a in taken if isinstance(a, CashOut) and a.price is not None}
            acted = [owed for event in acted for owed in _cash_at_its_word(event, stated)]
        return [*acted, *kept_order_events(taken, book, acted, now_ns)]

    def _before_ex(self, actions: Sequence[CorporateAction]) -> Ledger:
        """Return the books without what traded since the last session in what pays a dividend.

        An opening that is booked late meets fills of its own day: who bought on the ex-date gets
        nothing, and who sold is paid.
        """
        book = self.desk.book
        pays = {a.instrument_id for a in actions if isinstance(a, CashDividend)}
        since = self.since
        if not pays or self.hours is None or not since:
            return book.ledger
        before = book.ledger.scratch()
        for fill in book.ledger.executions.values():
            opened = self.hours.session_at(fill.time_ns + _CLOCKS_APART_NS)
            if fill.instrument_id in pays and opened > since:
                position = before.positions.get(fill.instrument_id)
                position = position or replace(book.ledger.positions[fill.instrument_id])
                position.lots -= fill.side.sign * fill.lots
                before.positions[fill.instrument_id] = position
        return before

    def _cancel(self, actions: Sequence[CorporateAction], now_ns: int) -> None:
        """Cancel what works in an instrument that a split or its like changes."""
        if self._keeps_books:
            return  # it adjusts them
        changed = {a.instrument_id for a in actions if not isinstance(a, CashDividend)}
        if changed:
            cancel_all(
                book=self.desk.book,
                log=self.desk.log,
                broker=self.desk.line,
                reason="a corporate action changes its instrument",
                time_ns=now_ns,
                which=lambda order: order.instrument_id in changed,
            )


def _cash_at_its_word(event: ev.Event, stated: Collection[str]) -> tuple[ev.Event, ...]:
    """Return what an action does at a broker: its cash comes later, at a price of the broker's.

    Cash for a fraction is what the broker sells it for, some days after; only where the price is
    `stated`, by the action's id, is it no estimate.
    """
    if not (isinstance(event, ev.HoldingChanged) and event.cash_minor):
        return (event,)
    action_id = f"{event.action_id}{CASH_SUFFIX}"
    owed = ev.EntitlementAccrued(
        event_id=ev.make_event_id("EntitlementAccrued", action_id),
        time_ns=event.time_ns,
        action_id=action_id,
        instrument_id=event.instrument_id,
        currency=event.currency,
        amount_minor=event.cash_minor,
        pay_ns=AT_ITS_WORD_NS,
        is_estimate=event.action_id not in stated,
    )
    return (owed, replace(event, cash_minor=0))


def _paid_at_its_word(action: CorporateAction) -> CorporateAction:
    if isinstance(action, CashDividend):
        return replace(action, pay_ns=AT_ITS_WORD_NS)
    return action
