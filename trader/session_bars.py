"""Which bars of a feed have their session's auctions, and which orders end where it ends."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from swarm_core.market import Bar


class Sessions(Protocol):
    """When sessions open and close, asked by the nanosecond."""

    def bounds(self, session: str) -> tuple[int, int]: ...
    def session_at(self, time_ns: int) -> str: ...


@dataclass(slots=True)
class SessionBars:
    """Tells of bars that come in the order of time what the calendar says of their sessions.

    The first bar of an instrument in its session has the opening auction, the one that closes with
    it the closing one; a bar outside of the hours has neither. `whole` are instruments whose bars
    are each a session: theirs have both. `since_ns` is from when on every bar was seen, and
    `grace_ns` how long after the close its last bars may come.
    """

    hours: Sessions
    whole: Collection[str] = frozenset()
    since_ns: int = 0
    grace_ns: int = 0
    _seen: dict[str, str] = field(default_factory=dict[str, str])  # the last session opened
    _ended: str = ""

    def told(self, bar: Bar) -> Bar:
        """Return the bar with the auctions that it has."""
        if bar.instrument_id in self.whole:
            return bar
        session = self.hours.session_at(bar.time_ns - 1)  # a bar may close with its session
        opens_ns, closes_ns = self.hours.bounds(session)
        began_ns = bar.time_ns if bar.open_time_ns is None else bar.open_time_ns
        is_inside = began_ns < closes_ns or bar.time_ns == closes_ns
        is_first = is_inside and self._seen.get(bar.instrument_id, "") < session
        is_known = self.since_ns <= opens_ns or began_ns <= opens_ns
        if is_inside:
            self._seen[bar.instrument_id] = session
        return replace(
            bar,
            opens_session=is_first and is_known,
            closes_session=is_inside and bar.time_ns >= closes_ns,
        )

    def end(self, time_ns: int, end_session: Callable[[int], None]) -> None:
        """Say once, when a session's last bars are told, at which moment it has ended."""
        session = self.hours.session_at(time_ns - 1)
        closes_ns = self.hours.bounds(session)[1]
        if session > self._ended and time_ns > closes_ns + self.grace_ns:
            self._ended = session
            end_session(closes_ns)


def one_a_session(bars: Iterable[Bar], hours: Sessions) -> frozenset[str]:
    """Return the instruments of which no session has two bars."""
    last: dict[str, str] = {}
    several: set[str] = set()
    for bar in bars:
        session = hours.session_at(bar.time_ns - 1)
        if last.get(bar.instrument_id) == session:
            several.add(bar.instrument_id)
        last[bar.instrument_id] = session
    return frozenset(last) - several
