"""The hours of an exchange, asked by the nanosecond."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from features.calendars import previous_session, session_close, session_open, sessions
from features.observing import time_ns as ns_of


@dataclass(slots=True)
class ExchangeHours:
    """The sessions of one calendar; a session is known by the ISO date of its day."""

    calendar: str
    _known: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    _last: tuple[int, int, str] = (1, 0, "")  # from, to (exclusive), session: asked at every item

    def bounds(self, session: str) -> tuple[int, int]:
        """Return when the session opens and closes, in nanoseconds since 1970."""
        if session not in self._known:
            day = date.fromisoformat(session)
            opens, closes = session_open(self.calendar, day), session_close(self.calendar, day)
            self._known[session] = ns_of(opens), ns_of(closes)
        return self._known[session]

    def session_at(self, time_ns: int) -> str:
        low, high, session = self._last
        if low <= time_ns < high:
            return session
        moment = datetime.fromtimestamp(time_ns // 10**9, UTC)
        day = moment.date()
        opened = sessions(self.calendar, day - timedelta(days=2), day + timedelta(days=3))
        past = opened.filter(opened["open"] <= moment)["session"]
        found: date = past[-1] if len(past) else previous_session(self.calendar, day)
        session = found.isoformat()
        later = opened.filter(opened["open"] > moment)["open"]
        opens = self.bounds(session)[0]
        self._last = (opens, ns_of(later[0]) if len(later) else opens, session)
        return session

    def sessions_left(self, session: str, last_day: str) -> int:
        """Return how many sessions come after one, up to a day (ISO dates), that day included."""
        first, last = (date.fromisoformat(day) + timedelta(days=1) for day in (session, last_day))
        return len(sessions(self.calendar, first, last)) if first < last else 0

    def is_over(self, session: str, time_ns: int) -> bool:
        return time_ns > self.bounds(session)[1]

    def is_open(self, time_ns: int) -> bool:
        opens, closes = self.bounds(self.session_at(time_ns))
        return opens <= time_ns < closes
