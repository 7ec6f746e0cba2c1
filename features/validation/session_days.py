"""The sessions of a calendar as arrays of days and closes, for comparing many bars at once."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from features import calendars
from features.validation.view import Bools, Ints

_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
FIRST_DAY = (calendars.FIRST_DAY - _EPOCH).days  # of all calendars, since 1970
# Around a day, within so many days, one weekday in the week has about thirty chances of a session.
_WEEKDAY_DAYS, _WEEKDAY_SESSIONS_MIN = 200, 100
# Sessions on weekends that the calendars do not all know: India's Muhurat and test sessions,
# Taiwan's working Saturdays, Moscow's weekend sessions.
_UNLISTED = frozenset({"XBOM", "XTAI", "XMOS"})
_RESTS_MIN_US = 4 * 3_600_000_000  # a market that rests less opens on the evening before
# Sessions are read in whole blocks of years, so that neighbouring checks share them.
_BLOCK_DAYS = 3_653


@dataclass(frozen=True)
class Sessions:
    """The sessions of one calendar: `days` since 1970 (k), `opens` and `closes` in us (k)."""

    calendar: str
    days: Ints
    opens: Ints
    closes: Ints

    def position(self, time: Ints) -> Ints:
        """Return each record's session: the one that closes then, else the one of its UTC day.

        A day without a session gives the position that a session on it would have.
        """
        closing = np.searchsorted(self.closes, time)
        exact = self.closes[np.minimum(closing, self.closes.size - 1)] == time
        return np.where(exact, closing, np.searchsorted(self.days, time // _DAY_US))

    def contains(self, time: Ints) -> Bools:
        """Return whether each record closes with a session, or lies on the day of one."""
        at = np.minimum(self.position(time), self.days.size - 1)
        return (self.days[at] == time // _DAY_US) | (self.closes[at] == time)

    def never_open(self, time: Ints) -> Bools:
        """Return whether each record lies on a weekday on which the exchange does not open at all.

        So it is where no session around has that weekday: Saturdays in New York, Fridays in
        Riyadh, not a holiday. Markets that hardly rest are left out, as their sessions begin on
        the evening before (Sundays in futures and currencies), and so are exchanges whose weekend
        sessions are not all listed.
        """
        closed = np.zeros(time.size, dtype=np.bool_)
        if (
            self.calendar in _UNLISTED
            or np.median(self.closes - self.opens) > _DAY_US - _RESTS_MIN_US
        ):
            return closed
        days = (time - 1) // _DAY_US  # a stamp at midnight is of the day that ends
        for day in np.unique(days[~self.contains(time)]).tolist():
            low, high = np.searchsorted(self.days, [day - _WEEKDAY_DAYS, day + _WEEKDAY_DAYS + 1])
            around = self.days[low:high]
            if around.size >= _WEEKDAY_SESSIONS_MIN and not ((around - day) % 7 == 0).any():
                closed |= days == day
        return closed & ~self.contains(time)

    def lag(self, last: Ints, as_of: int) -> Ints:
        """Return how many sessions closed by as_of after each record's own session."""
        closed = int(np.searchsorted(self.closes, as_of, side="right"))
        own = self.position(last) + self.contains(last)
        return np.maximum(closed - own, 0)


def load_sessions(calendar: str, first_day: int, last_day: int) -> Sessions | None:
    """Return the sessions around the days that the calendar reaches; None where it reaches none.

    A row of 1900 does not keep those of the others from being compared.
    """
    first_day = max(first_day, FIRST_DAY)
    low = first_day // _BLOCK_DAYS * _BLOCK_DAYS
    high = (last_day // _BLOCK_DAYS + 1) * _BLOCK_DAYS
    if not calendar or last_day < first_day:
        return None
    return _load(calendar, low, high)


@lru_cache(maxsize=64)
def _load(calendar: str, low: int, high: int) -> Sessions | None:
    start = max(_EPOCH + timedelta(days=low), calendars.FIRST_DAY)
    end = min(_EPOCH + timedelta(days=high), calendars.LAST_DAY)
    try:
        rows = calendars.sessions(calendar, start, end)
    except ValueError:
        return None
    if rows.is_empty():
        return None
    days = rows.get_column("session").to_physical().to_numpy().astype(np.int64)
    opens = rows.get_column("open").to_physical().to_numpy().astype(np.int64)
    closes = rows.get_column("close").to_physical().to_numpy().astype(np.int64)
    return Sessions(calendar, days, opens, closes)
