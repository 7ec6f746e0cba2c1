"""Historical bars: how their lengths are written, when they begin, and what they hold."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from gateway_simulator import price_path
from gateway_simulator.clock import ZONE, ZONE_NAME, local_of
from gateway_simulator.listings import Listing
from gateway_simulator.market import Market

SIZES_S = {
    "1 secs": 1,
    "1 sec": 1,
    "5 secs": 5,
    "10 secs": 10,
    "15 secs": 15,
    "30 secs": 30,
    "1 min": 60,
    "2 mins": 120,
    "3 mins": 180,
    "5 mins": 300,
    "10 mins": 600,
    "15 mins": 900,
    "20 mins": 1_200,
    "30 mins": 1_800,
    "1 hour": 3_600,
    "2 hours": 7_200,
    "3 hours": 10_800,
    "4 hours": 14_400,
    "8 hours": 28_800,
    "1 day": 86_400,
    "1D": 86_400,
    "1 week": 7 * 86_400,
    "1W": 7 * 86_400,
    "1 month": 30 * 86_400,
    "1M": 30 * 86_400,
}
DAY_S = 86_400
BARS_MAX = 20_000
_UNITS_S = {"S": 1, "D": DAY_S, "W": 7 * DAY_S, "M": 30 * DAY_S, "Y": 365 * DAY_S}
_DURATION = re.compile(r"(\d+) ([SDWMY])")
_SAMPLES = 12
_OPENS, _CLOSES = time(9, 30), time(16)
_OPENS_EARLY, _CLOSES_LATE = time(4), time(20)
_ALWAYS = ("CRYPTO",)
_WEEKDAYS = ("CASH", "FUT")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryBar:
    """One bar; `time_s` and `ends_s` are its start and its end in seconds since 1970."""

    time_s: int
    ends_s: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    average: Decimal
    count: int


def parse_duration(text: str) -> int:
    """Return the seconds of a duration such as `2 D`; ValueError where it is none."""
    found = _DURATION.fullmatch(text.strip().upper())
    if found is None or not int(found[1]):
        raise ValueError(f"duration must be a number and one of S, D, W, M, Y, was {text!r}")
    return int(found[1]) * _UNITS_S[found[2]]


def session_of(listing: Listing, day: date, *, regular: bool) -> tuple[int, int] | None:
    """Return first and last second of a day's trading, None where it is closed; no holidays."""
    weekend = day.weekday() >= 5
    if listing.sec_type in _ALWAYS or (listing.sec_type in _WEEKDAYS and not weekend):
        return _second(day, time()), _second(day + timedelta(days=1), time())
    if weekend or listing.sec_type in _WEEKDAYS:
        return None
    opens, closes = (_OPENS, _CLOSES) if regular else (_OPENS_EARLY, _CLOSES_LATE)
    return _second(day, opens), _second(day, closes)


def _second(day: date, at: time) -> int:
    return int(datetime.combine(day, at, ZONE).timestamp())


def sessions(
    listing: Listing, start_s: int, end_s: int, *, regular: bool
) -> Iterator[tuple[date, int, int]]:
    """Yield the days that trade between two moments, with their first and last second."""
    day, last = local_of(start_s * 10**9).date(), local_of(end_s * 10**9).date()
    while day <= last:
        found = session_of(listing, day, regular=regular)
        if found is not None:
            yield day, *found
        day += timedelta(days=1)


def start_of(listing: Listing, end_s: int, duration: str, *, regular: bool) -> int:
    """Return where a duration begins: days are counted as days that trade, as the gateway does."""
    length_s = parse_duration(duration)
    if not duration.strip().upper().endswith(" D"):
        return end_s - length_s
    wanted, day = length_s // DAY_S, local_of(end_s * 10**9).date()
    for _ in range(wanted * 3 + 10):
        found = session_of(listing, day, regular=regular)
        if found is not None and found[0] < end_s:
            wanted -= 1
            if not wanted:
                return found[0]
        day -= timedelta(days=1)
    return end_s - length_s


def history(
    market: Market, listing: Listing, start_s: int, end_s: int, size_s: int, *, regular: bool
) -> list[HistoryBar]:
    """Return the bars that begin in start..end, the last one as far as it has come.

    Raises ValueError where they would be more than the gateway gives at once.
    """
    return bars_of(market, listing, spans(listing, start_s, end_s, size_s, regular=regular))


def bars_of(market: Market, listing: Listing, times: Sequence[tuple[int, int]]) -> list[HistoryBar]:
    """Return the bars of some spans; those in which nothing was traded are left out."""
    return [bar for begin, end in times if (bar := _bar(market, listing, begin, end)) is not None]


def spans(
    listing: Listing, start_s: int, end_s: int, size_s: int, *, regular: bool
) -> list[tuple[int, int]]:
    """Return first and last second of the bars that begin in start..end.

    Raises ValueError where they would be more than the gateway gives at once.
    """
    if (end_s - start_s) / size_s > BARS_MAX * (1 if size_s >= DAY_S else 4):
        raise ValueError("Time length exceed max.")
    found = list(_spans(listing, start_s, end_s, size_s, regular=regular))
    if len(found) > BARS_MAX:
        raise ValueError("Time length exceed max.")
    return found


def _spans(
    listing: Listing, start_s: int, end_s: int, size_s: int, *, regular: bool
) -> Iterator[tuple[int, int]]:
    if size_s > DAY_S:
        yield from _long_spans(listing, start_s, end_s, size_s, regular=regular)
        return
    for _, opens, closes in sessions(listing, start_s, end_s, regular=regular):
        if size_s == DAY_S:
            if start_s <= opens < end_s:
                yield opens, min(closes, end_s)
            continue
        begin = opens
        while begin < min(closes, end_s):
            if begin >= start_s:
                yield begin, min(begin + size_s, closes, end_s)
            begin += size_s


def _long_spans(
    listing: Listing, start_s: int, end_s: int, size_s: int, *, regular: bool
) -> Iterator[tuple[int, int]]:
    """Yield weeks or months: from the first session of each to its last."""
    groups: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for day, opens, closes in sessions(listing, start_s, end_s, regular=regular):
        week = tuple(day.isocalendar()[:2])
        key = week if size_s == 7 * DAY_S else (day.year, day.month)
        groups.setdefault(key, []).append((opens, min(closes, end_s)))
    for days in groups.values():
        yield days[0][0], days[-1][1]


def _bar(market: Market, listing: Listing, begin: int, end: int) -> HistoryBar | None:
    given = market.replayed(listing.con_id)
    if given:
        inside = [bar for bar in given if begin <= bar.time_s < end]
        if not inside:
            return None
        volume = sum((bar.volume for bar in inside), Decimal(0))
        return HistoryBar(
            time_s=begin,
            ends_s=end,
            open=inside[0].open,
            high=max(bar.high for bar in inside),
            low=min(bar.low for bar in inside),
            close=inside[-1].close,
            volume=volume,
            average=sum((bar.close for bar in inside), Decimal(0)) / len(inside),
            count=len(inside),
        )
    marks = [begin + (end - begin) * part / _SAMPLES for part in range(_SAMPLES + 1)]
    path = [market.price(listing, mark) for mark in marks]
    busy = price_path.uniform(f"{market.seed}:{listing.con_id}", "volume", begin)
    volume = Decimal(int((0.5 + busy) * (end - begin) * 100))
    return HistoryBar(
        time_s=begin,
        ends_s=end,
        open=path[0],
        high=max(path),
        low=min(path),
        close=path[-1],
        volume=volume,
        average=(sum(path, Decimal(0)) / len(path)).quantize(listing.min_tick / 100),
        count=max(1, int(volume / 150)),
    )


def date_text(bar: HistoryBar, size_s: int, format_date: int) -> str:
    """Return how a bar is dated: the day, or the moment as text (1) or in seconds (2).

    Weeks and months are dated by their last session, as the gateway dates them.
    """
    moment = local_of(bar.time_s * 10**9)
    if size_s > DAY_S:
        return f"{local_of((bar.ends_s - 1) * 10**9):%Y%m%d}"
    if size_s == DAY_S:
        return f"{moment:%Y%m%d}"
    return str(bar.time_s) if format_date == 2 else f"{moment:%Y%m%d %H:%M:%S} {ZONE_NAME}"
