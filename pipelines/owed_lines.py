"""What `apiary status` tells of cash that is owed to the book, or by it, and has not come yet."""

from datetime import UTC, datetime

from pipelines.desk_log import open_event_log
from pipelines.settings import ApiarySettings, Environment
from pipelines.trading_parts import book_snapshots
from swarm_core.instruments import MINOR_PER_UNIT
from swarm_core.ledger import Ledger
from swarm_core.owed_payments import unpaid

_LINES_MAX = 10


def owed_lines(settings: ApiarySettings) -> list[str]:
    """Return a line for each currency and for the oldest of what is owed; none where nothing is.

    That the log cannot be read is a line of its own; a home without one is not given one.
    """
    is_there = (settings.home / "warm" / "events.db").exists()
    if not (is_there or Environment().postgres_text()):
        return []
    try:
        log = open_event_log(settings)
        return lines_of(book_snapshots(settings).open_book(log).ledger)
    except (OSError, ValueError) as error:
        return [f"owed: not known: {' '.join(str(error).split())}"]


def lines_of(ledger: Ledger) -> list[str]:
    """Return what a ledger is owed, in lines; negative is what the book owes itself."""
    owed = unpaid(ledger)
    lines = [
        f"owed: {ledger.owed[currency] / MINOR_PER_UNIT:+,.2f} {currency} of "
        f"{sum(event.currency == currency for event in owed)} actions"
        for currency in sorted({event.currency for event in owed})
    ]
    for event in owed[:_LINES_MAX]:
        since = datetime.fromtimestamp(event.time_ns // 10**9, UTC).date()
        estimate = ", an estimate" if event.is_estimate else ""
        amount = f"{event.amount_minor / MINOR_PER_UNIT:+,.2f} {event.currency}"
        lines.append(
            f"  {amount} of {event.instrument_id} since {since}{estimate} ({event.action_id})"
        )
    more = len(owed) - _LINES_MAX
    return [*lines, f"  and {more} more"] if more > 0 else lines
