"""Which settings the colony of a home decides by, before anything is run on other ones."""

from contextlib import closing
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pipelines.desk_log import open_event_log
from pipelines.settings import ApiarySettings, SettingsError, read_colony
from pipelines.trading_parts import open_states
from swarm_core.colony.migration import take_up

if TYPE_CHECKING:
    from swarm_core.book import Book
    from swarm_core.colony.state import ColonyState


def book_and_state(settings: ApiarySettings) -> "tuple[Book, ColonyState | None]":
    """Return the book of the log and the colony's state after the newest decision in it."""
    from trader.colony_changes import newest_state

    book = _book(settings)
    with closing(open_states(settings)) as states:
        return book, newest_state(book, states)


def require_in_force(settings: ApiarySettings, last: date) -> None:
    """Raise SettingsError where a session up to `last` would be decided by settings not in force.

    The decision itself refuses them too, after minutes of work on what comes before it.
    """
    from features.calendars import sessions
    from trader.colony_changes import decided_sessions

    decided = decided_sessions(_book(settings))
    if not decided:
        return
    first = date.fromisoformat(decided[-1]) + timedelta(days=1)
    if first > last or sessions(settings.calendar, first, last).is_empty():
        return  # what is decided stands, whatever the file says by now
    book, state = book_and_state(settings)
    if state is not None:
        try:
            take_up(state, read_colony(settings), book.colony_changes)
        except ValueError as error:
            raise SettingsError(str(error)) from error


def _book(settings: ApiarySettings) -> "Book":
    from swarm_core.book import book_from_events

    log = open_event_log(settings)
    return book_from_events(log.read(), settings.base_currency, settings.book.starting_cash)
