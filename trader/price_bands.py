"""The day's price limits beside each bar: how far the venue lets it move from the close before."""

from collections.abc import Callable
from dataclasses import dataclass

from swarm_core.frictions.price_limits import PriceLimits
from swarm_core.market import Bar


@dataclass(slots=True)
class _Seen:
    session: str
    close_ticks: int
    reference_ticks: int | None = None  # the close of the session before


class PriceBands:
    """Bounds bars that come in the order of time; in a first session there is no close to bound by.

    `changed` says which instruments an action gives other lots between two sessions: the close of
    before is no reference for them.
    """

    def __init__(
        self,
        limits: PriceLimits | None,
        session_at: Callable[[int], str],
        changed: Callable[[str, str], frozenset[str]],
    ) -> None:
        self._limits, self._session_at, self._changed = limits, session_at, changed
        self._seen: dict[str, _Seen] = {}

    def bounded(self, bar: Bar) -> Bar:
        """Return the bar with the band of its session, where there is one."""
        if self._limits is None:
            return bar
        session = self._session_at(bar.time_ns - 1)  # a bar may close with its session
        seen = self._seen.get(bar.instrument_id)
        if seen is None:
            seen = self._seen[bar.instrument_id] = _Seen(session, bar.close_ticks)
        elif session > seen.session:
            is_changed = bar.instrument_id in self._changed(seen.session, session)
            seen.reference_ticks = None if is_changed else seen.close_ticks
            seen.session = session
        seen.close_ticks = bar.close_ticks
        if seen.reference_ticks is None:
            return bar
        return self._limits.bounded(bar, seen.reference_ticks)
