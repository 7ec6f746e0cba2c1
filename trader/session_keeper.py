"""Opens and closes the sessions of a book as time goes by, each with its net asset value."""

from collections.abc import Sequence

from swarm_core import events as ev
from swarm_core.marking import position_marks
from trader.desk import TradingDesk
from trader.overnight import NightBooks
from trader.ports import Hours

_DAY_NS = 86_400 * 10**9
_ASKED_EVERY_NS = 60 * 10**9  # actions may become known during the night


class SessionKeeper:
    """Writes `SessionOpened` and `SessionClosed`: the day's loss is measured from the first."""

    def __init__(self, desk: TradingDesk, hours: Hours, nights: NightBooks) -> None:
        self.desk, self.hours, self.nights = desk, hours, nights
        # What the next opening changes, for which session it was asked, and when.
        self._changing: tuple[frozenset[str], str, int] = (frozenset(), "", 0)

    def unsettled(self) -> frozenset[str]:
        """Return the instruments whose lots the night after the book's session changes.

        None while that session lasts. A broker's books change at any moment of the night.
        """
        session, now_ns = self.nights.since, self.desk.now_ns()
        if not session or not self.hours.is_over(session, now_ns):
            return frozenset()
        changing, asked_for, asked_ns = self._changing
        if session != asked_for or not 0 <= now_ns - asked_ns < _ASKED_EVERY_NS:
            # A session that opens within a day: its action may be in the account by now.
            changing = self.nights.changing(session, self.hours.session_at(now_ns + _DAY_NS))
            self._changing = (changing, session, now_ns)
        return changing

    def is_due_to_open(self, now_ns: int) -> bool:
        """Return whether a session of which nothing is booked yet has begun."""
        return self.hours.session_at(now_ns) > self.desk.book.session

    def open_if_due(self, now_ns: int) -> None:
        """Open the session of this moment, once, with what the nights before it did to the book.

        What the book holds is valued first, but for what an action changes: its quote may be of
        either side. The opening, carry and actions stand in the log as one, so a process that
        dies books all of them or none.
        """
        session, book = self.hours.session_at(now_ns), self.desk.book
        if session <= book.session:
            return
        actions = self.nights.prepare(session, now_ns)
        changed = {action.instrument_id for action in actions}
        quotes = {i: q for i, q in self.desk.quotes.items() if i not in changed}
        self._write(position_marks(book, quotes, now_ns))
        opened = ev.SessionOpened(
            event_id=ev.make_event_id("SessionOpened", session),
            time_ns=now_ns,
            session=session,
            base_currency=book.base_currency,
            nav_minor=self._nav(f"before {session}"),
        )
        nights = self.nights.events(session, actions, now_ns)
        self._write([opened, *nights])
        self.nights.booked(nights, actions)

    def is_due_to_close(self, now_ns: int) -> bool:
        """Return whether the book's session is over and not yet closed."""
        book = self.desk.book
        is_open = bool(book.session) and book.session not in book.closed_sessions
        return is_open and self.hours.is_over(book.session, now_ns)

    def close(self, now_ns: int) -> None:
        """Value what is held at the newest quotes, and close the book's session.

        What a split changes is valued at a quote of the session itself.
        """
        book, changing = self.desk.book, self.unsettled()
        quotes = {
            instrument_id: quote
            for instrument_id, quote in self.desk.quotes.items()
            if instrument_id not in changing or not self.hours.is_over(book.session, quote.time_ns)
        }
        self._write(position_marks(book, quotes, now_ns))
        settled = self.nights.settlements({i: q.reference_ticks for i, q in quotes.items()}, now_ns)
        self._write(
            [
                *settled,
                ev.SessionClosed(
                    event_id=ev.make_event_id("SessionClosed", book.session),
                    time_ns=now_ns,
                    session=book.session,
                    nav_minor=self._nav(f"of {book.session}"),
                ),
            ]
        )
        self.nights.booked(settled, ())

    def _nav(self, when: str) -> int:
        nav = self.desk.book.ledger.find_nav_minor()
        if nav is None:
            raise ValueError(f"NAV {when} must be known, was not: a mark or a rate is missing")
        return nav

    def _write(self, events: Sequence[ev.Event]) -> None:
        if events:
            self.desk.log.append(events)
            self.desk.catch_up()
