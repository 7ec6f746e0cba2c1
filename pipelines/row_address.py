"""The address of a raw row, as a person types it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from features.calendars import session_close, session_open

FORM = "TABLE:NAME:TIME, e.g. bars:US.AAPL:2020-03-16 or macro:DGS10:2020-03-16"
_OF_SESSIONS = ("bars", "corporate_actions")  # a day names one moment of theirs


@dataclass(frozen=True, slots=True)
class RowAddress:
    """A table, an instrument or series, and a moment in UTC, or a day where no time was given."""

    table: str
    identity: str
    event_time: datetime
    whole_day: bool = False


def parse_row(text: str, calendar: str = "XNYS") -> RowAddress:
    """Return the address of "bars:US.AAPL:2020-03-16".

    A date alone is the close of that session for bars, its open for corporate actions (the
    ex-date), and the whole day in UTC for other tables. News that name no instrument are those of
    "market". Raises ValueError with one line that says the form.
    """
    parts = text.split(":", 2)
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"a row must be named {FORM}, was {text!r}")
    table, identity, when = parts
    try:
        if len(when) > len("2020-03-16"):
            moment = datetime.fromisoformat(when)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        else:
            day = date.fromisoformat(when)
            moment = _moment(table, calendar, day)
    except ValueError as error:
        raise ValueError(f"a row must be named {FORM}, was {text!r}: {error}") from error
    whole_day = len(when) <= len("2020-03-16") and table not in _OF_SESSIONS
    return RowAddress(table, identity, moment.astimezone(UTC), whole_day)


def _moment(table: str, calendar: str, day: date) -> datetime:
    if table == "bars":
        return session_close(calendar, day)
    if table == "corporate_actions":
        return session_open(calendar, day)
    return datetime.combine(day, datetime.min.time(), tzinfo=UTC)
