"""Recorded bars as a feed: each moment's bars, then the quotes at their closes, at any speed."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import groupby

from swarm_core import events as ev
from swarm_core.market import Bar, Quote
from trader.ports import Item, Moment, Opening

_DAY_NS = 86_400 * 10**9
_TYPICAL_SESSIONS = 20
# What the market has put in the log; an operator's words carry another clock's time.
_MARKET_EVENTS = (
    ev.OrderFilled,
    ev.SessionOpened,
    ev.SessionClosed,
    ev.ReleasePlanned,
    ev.OrderSubmitted,
)


def resume_ns(events: Iterable[ev.RecordedEvent]) -> int:
    """Return the market's time at the end of a log: from there a replay goes on (0: the start)."""
    return max((r.event.time_ns for r in events if isinstance(r.event, _MARKET_EVENTS)), default=0)


def _utc_day(time_ns: int) -> int:
    return time_ns // _DAY_NS


def _day_lots(
    bars: Iterable[Bar], session_of: Callable[[int], int]
) -> dict[tuple[str, int], int | None]:
    """Return by instrument and moment what a day trades, for series of several bars a session.

    It is the mean of the last sessions that were over by then, or what the running one has traded
    where that is more. A series of one bar a session says it by itself and is not in it.
    """
    told: dict[tuple[str, int], int | None] = {}
    series: dict[str, list[Bar]] = {}
    for bar in bars:
        series.setdefault(bar.instrument_id, []).append(bar)
    for instrument_id, own in series.items():
        keys = [session_of(bar.time_ns) for bar in own]
        if len(set(keys)) == len(keys):
            continue
        over: deque[int] = deque(maxlen=_TYPICAL_SESSIONS)
        so_far: int | None = None
        for number, (bar, key) in enumerate(zip(own, keys, strict=True)):
            if number and key != keys[number - 1]:
                if so_far is not None:
                    over.append(so_far)
                so_far = None
            if bar.volume_lots is not None:
                so_far = (so_far or 0) + bar.volume_lots
            typical = sum(over) // len(over) if over else None
            known = [lots for lots in (typical, so_far) if lots is not None]
            told[(instrument_id, bar.time_ns)] = max(known, default=None)
    return told


class ReplayFeed:
    """Tells bars in the order of their closes; a moment that was told before does no harm.

    Whoever takes an item moves the clock, so a slow trader is never overrun. At `speed` 0 the
    items come as fast as they are taken, else that many times as fast as they once came.
    """

    def __init__(
        self,
        bars: Sequence[Bar],
        *,
        is_open: Callable[[str, int], bool],
        moment_lag_ns: int = 0,
        speed: float = 0.0,
        from_ns: int = 0,
        opening_ns: Callable[[int], int] | None = None,
    ) -> None:
        """Tell the bars that close at or after `from_ns`, or whose moment comes after it.

        `is_open` says whether an instrument trades after a moment; quotes carry it. The time
        alone is told `moment_lag_ns` after a moment's quotes: what is decided then sees them all.
        `opening_ns` says when the session of a moment opened; it is told before its first bars.
        """
        self.bars = [bar for bar in bars if bar.time_ns + moment_lag_ns >= from_ns]
        self._day_lots = _day_lots(bars, opening_ns or _utc_day)
        self._is_open, self._lag_ns, self._speed = is_open, moment_lag_ns, speed
        self._opening_ns = opening_ns

    async def stream(self) -> AsyncIterator[Item]:
        before_ns = opened_ns = 0
        for time_ns, together in groupby(self.bars, key=lambda bar: bar.time_ns):
            opens_ns = 0 if self._opening_ns is None else self._opening_ns(time_ns)
            if opens_ns > opened_ns:
                await self._wait(before_ns, opens_ns)
                yield Opening(opens_ns)
                before_ns, opened_ns = max(before_ns, opens_ns), opens_ns
            await self._wait(before_ns, time_ns)
            bars = list(together)
            for bar in bars:
                yield bar
            for bar in bars:
                yield self.quote(bar)
            before_ns = time_ns + self._lag_ns
            await self._wait(time_ns, before_ns)
            yield Moment(before_ns)

    def quote(self, bar: Bar) -> Quote:
        """Return what the market shows when the bar has closed."""
        return Quote(
            instrument_id=bar.instrument_id,
            reference_ticks=bar.close_ticks,
            time_ns=bar.time_ns,
            daily_volume_lots=self._day_lots.get((bar.instrument_id, bar.time_ns), bar.volume_lots),
            session_open=self._is_open(bar.instrument_id, bar.time_ns),
        )

    async def _wait(self, before_ns: int, time_ns: int) -> None:
        if self._speed and before_ns:
            await asyncio.sleep(max(0, time_ns - before_ns) / 1e9 / self._speed)
