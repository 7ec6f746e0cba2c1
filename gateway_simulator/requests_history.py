"""Requests about the past: bars, their first moment, ticks, sessions; each in its pace."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from gateway_simulator import bars as bar_math
from gateway_simulator.bars import DAY_S, SIZES_S, HistoryBar
from gateway_simulator.clock import ZONE_NAME, date_time_text, local_of, parse_date_time
from gateway_simulator.error_codes import Code
from gateway_simulator.listings import Asked, Listing, read_asked
from gateway_simulator.message_ids import In, Out
from gateway_simulator.session import Handler, Session
from gateway_simulator.wire import Field, Fields

_VOLATILITIES = ("HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY")
_TRADED = ("TRADES", "ADJUSTED_LAST", "AGGTRADES")
_SHOWN = frozenset((*_TRADED, *_VOLATILITIES, "MIDPOINT", "BID", "ASK", "BID_ASK", "SCHEDULE"))
_UPDATE_EVERY_S = 0.5
_FIRST_DAY = "20100104"
_TICKS_MAX = 1_000
_BARS_AT_ONCE = 100  # some milliseconds, in which nobody else is heard


class Bars:
    """One request for bars, read and checked."""

    def __init__(self, session: Session, fields: Fields) -> None:
        self.session = session
        self.request_id, self.asked = fields.whole(), read_asked(fields)
        fields.flag()  # expired contracts
        self.end_text, self.size_text, self.duration = fields.text(), fields.text(), fields.text()
        self.regular, self.shown = fields.flag(), fields.text().upper()
        self.format_date, self.keeps = fields.whole(default=1), False
        fields.skip(4 * fields.whole() if self.asked.sec_type == "BAG" else 0)
        self.keeps = fields.flag()
        self.listing: Listing | None = None
        self.end_s = 0

    @property
    def size_s(self) -> int:
        return SIZES_S.get(self.size_text, 0)

    @property
    def key(self) -> tuple[str, ...]:
        parts = (self.asked, self.end_text, self.size_text, self.duration, self.regular, self.shown)
        return tuple(str(part) for part in parts)

    def find_fault(self) -> str:
        """Return what is wrong with the request, or nothing."""
        if not self.size_s:
            return f"Historical data bar size setting is invalid. Legal ones are: {_sizes()}"
        if self.shown not in _SHOWN:
            return f"Incorrect whatToShow: {self.shown}"
        if self.keeps and self.end_text:
            return "End date not supported with keep up to date"
        if self.shown == "ADJUSTED_LAST" and self.end_text:
            return "End date not supported with adjusted last"
        try:
            bar_math.parse_duration(self.duration)
            now_ns = self.session.gateway.clock.now_ns()
            self.end_s = min(parse_date_time(self.end_text, now_ns), now_ns) // 10**9
        except (ValueError, KeyError):
            return f"Invalid date or duration: {self.end_text!r}, {self.duration!r}"
        return ""

    def spans(self) -> tuple[list[tuple[int, int]], int]:
        """Return the spans of the bars and the second at which they begin."""
        listing = self._known()
        start_s = bar_math.start_of(listing, self.end_s, self.duration, regular=self.regular)
        found = bar_math.spans(listing, start_s, self.end_s, self.size_s, regular=self.regular)
        return found, start_s

    def rows(self, spans: Sequence[tuple[int, int]]) -> list[list[Field]]:
        """Return the bars of some spans as they are told."""
        listing = self._known()
        found = bar_math.bars_of(self.session.gateway.market, listing, spans)
        shown = (self._shown_as(bar, listing) for bar in found)
        return [_fields_of(bar, self.size_s, self.format_date) for bar in shown]

    def _known(self) -> Listing:
        if self.listing is None:
            raise ValueError("the contract must be found first")
        return self.listing

    def _shown_as(self, bar: HistoryBar, listing: Listing) -> HistoryBar:
        if self.shown in _TRADED:
            return bar
        move = {"BID": -listing.min_tick, "ASK": listing.min_tick}.get(self.shown, Decimal(0))
        if self.shown in _VOLATILITIES:
            level = Decimal(repr(listing.volatility))
            bar = replace(bar, open=level, high=level, low=level, close=level)
        moved = {n: getattr(bar, n) + move for n in ("open", "high", "low", "close")}
        return replace(bar, **moved, volume=Decimal(-1), average=Decimal(-1), count=-1)


def _sizes() -> str:
    return ", ".join(SIZES_S)


def _fields_of(bar: HistoryBar, size_s: int, format_date: int) -> list[Field]:
    moment = bar_math.date_text(bar, size_s, format_date)
    prices = (bar.open, bar.high, bar.low, bar.close)
    return [moment, *prices, bar.volume, bar.average, bar.count]


def req_historical_data(session: Session, fields: Fields) -> None:
    """Tell bars of the past, and go on with the newest where it is asked for."""
    asked = Bars(session, fields)
    if not _is_allowed(session, asked.request_id, asked.asked, asked.key):
        return
    fault = asked.find_fault()
    if fault:
        session.error(asked.request_id, Code.VALIDATING, request="bI", reason=fault)
        return
    found = session.gateway.find_listings(asked.asked)
    if len(found) != 1:
        session.error(asked.request_id, Code.NO_DEFINITION)
        return
    asked.listing = found[0]
    if asked.shown == "SCHEDULE":
        _tell_schedule(asked)
        return
    if asked.shown == "TRADES" and asked.listing.sec_type == "CASH":
        _no_data(asked)
        return
    try:
        spans, start_s = asked.spans()
    except ValueError as error:
        session.error(asked.request_id, Code.HISTORICAL, reason=error)
        return
    is_long = len(spans) > _BARS_AT_ONCE
    is_told = not is_long and _tell(asked, asked.rows(spans), start_s)
    if is_long or (is_told and asked.keeps):
        task = asyncio.create_task(_tell_and_keep(asked, spans, start_s))
        session.start_task("history", asked.request_id, task)


async def _tell_and_keep(asked: Bars, spans: Sequence[tuple[int, int]], start_s: int) -> None:
    """Tell many bars, with a turn for everybody else between some of them and the next."""
    if len(spans) > _BARS_AT_ONCE:
        rows: list[list[Field]] = []
        for place in range(0, len(spans), _BARS_AT_ONCE):
            rows += asked.rows(spans[place : place + _BARS_AT_ONCE])
            await asyncio.sleep(0)
        asked.keeps = _tell(asked, rows, start_s) and asked.keeps
    if asked.keeps:
        await _keep(asked)
    asked.session.tasks.pop(("history", asked.request_id), None)


def _tell(asked: Bars, rows: list[list[Field]], start_s: int) -> bool:
    """Tell bars; return whether there were any."""
    if not rows:
        _no_data(asked)
        return False
    ends = [date_time_text(s * 10**9) for s in (start_s, asked.end_s)]
    flat = [field for row in rows for field in row]
    asked.session.send(Out.HISTORICAL_DATA, asked.request_id, *ends, len(rows), *flat)
    return True


def _no_data(asked: Bars) -> None:
    reason = f"HMDS query returned no data: {asked.asked.symbol}@{asked.asked.exchange}"
    asked.session.error(asked.request_id, Code.HISTORICAL, reason=reason)


def _is_allowed(session: Session, request_id: int, asked: Asked, key: tuple[str, ...]) -> bool:
    """Tell whether history may be asked now; says so where it may not."""
    gateway = session.gateway
    if not gateway.upstream:
        reason = "HMDS server disconnected. Attempting reconnection..."
        session.error(request_id, Code.HISTORICAL, reason=reason)
        return False
    violation = "scripted" if gateway.faults.paces_next else ""
    gateway.faults.paces_next = False
    if gateway.settings.paces_history and not violation:
        contract = f"{asked.con_id or asked.symbol}@{asked.exchange}"
        now_s = gateway.clock.now_ns() / 1e9
        violation = gateway.history_pace.find_violation(key, contract, now_s)
    if violation:
        reason = f"Historical data request pacing violation: {violation}"
        session.error(request_id, Code.HISTORICAL, reason=reason)
    return not violation


def _tell_schedule(asked: Bars) -> None:
    listing = asked._known()
    start_s = bar_math.start_of(listing, asked.end_s, asked.duration, regular=asked.regular)
    found = list(bar_math.sessions(listing, start_s, asked.end_s, regular=asked.regular))

    def text(second: int) -> str:
        return f"{local_of(second * 10**9):%Y%m%d-%H:%M:%S}"

    rows = [f for day, o, c in found for f in (text(o), text(c), f"{day:%Y%m%d}")]
    ends = (text(start_s), text(asked.end_s))
    asked.session.send(
        Out.HISTORICAL_SCHEDULE, asked.request_id, *ends, ZONE_NAME, len(found), *rows
    )


async def _keep(asked: Bars) -> None:
    """Tell the newest bar again whenever it has changed."""
    last: HistoryBar | None = None
    while True:
        await asyncio.sleep(_UPDATE_EVERY_S)
        gateway = asked.session.gateway
        if not gateway.upstream:
            continue
        asked.end_s = gateway.clock.now_s() + 1
        market, listing = gateway.market, asked._known()
        span = max(2 * asked.size_s, 3 * DAY_S if asked.size_s >= DAY_S else 0)
        found = bar_math.history(
            market, listing, asked.end_s - span, asked.end_s, asked.size_s, regular=False
        )
        if found and found[-1] != last:
            last = found[-1]
            bar = asked._shown_as(last, listing)
            moment = bar_math.date_text(bar, asked.size_s, asked.format_date)
            asked.session.send(
                Out.HISTORICAL_DATA_UPDATE,
                asked.request_id,
                bar.count,
                moment,
                bar.open,
                bar.close,
                bar.high,
                bar.low,
                bar.average,
                bar.volume,
            )


def cancel_historical_data(session: Session, fields: Fields) -> None:
    fields.text()  # version
    request_id = fields.whole()
    if not session.stop_task("history", request_id):
        session.error(request_id, Code.NO_HISTORICAL, ticker=request_id)


def req_head_timestamp(session: Session, fields: Fields) -> None:
    """Tell the first moment of which there are data."""
    request_id, asked = fields.whole(), read_asked(fields)
    fields.flag()
    fields.flag()
    fields.text()
    form = fields.whole(default=1)
    if len(session.gateway.find_listings(asked)) != 1:
        session.error(request_id, Code.NO_DEFINITION)
        return
    first_ns = parse_date_time(f"{_FIRST_DAY} 14:30:00 UTC", 0)
    text = str(first_ns // 10**9) if form == 2 else f"{_FIRST_DAY}-14:30:00"
    session.send(Out.HEAD_TIMESTAMP, request_id, text)


def cancel_head_timestamp(_: Session, fields: Fields) -> None:
    fields.whole()


def req_historical_ticks(session: Session, fields: Fields) -> None:
    """Tell ticks of the past, one a second: forwards from a start, or backwards from an end."""
    request_id, asked = fields.whole(), read_asked(fields)
    fields.flag()
    start_text, end_text = fields.text(), fields.text()
    count, shown = min(fields.whole(), _TICKS_MAX), fields.text().upper()
    found = session.gateway.find_listings(asked)
    if len(found) != 1:
        session.error(request_id, Code.NO_DEFINITION)
        return
    if bool(start_text) == bool(end_text) or count <= 0:
        reason = "Exactly one of start and end, and a number of ticks must be given."
        session.error(request_id, Code.VALIDATING, request="cn", reason=reason)
        return
    now_ns = session.gateway.clock.now_ns()
    if start_text:
        first = parse_date_time(start_text, now_ns) // 10**9
    else:
        first = parse_date_time(end_text, now_ns) // 10**9 - count
    seconds = range(first, min(first + count, now_ns // 10**9))
    listing, market = found[0], session.gateway.market
    rows = [field for s in seconds for field in _tick(market.price(listing, s), listing, s, shown)]
    number = {"TRADES": Out.HISTORICAL_TICKS_LAST, "BID_ASK": Out.HISTORICAL_TICKS_BID_ASK}
    out = number.get(shown, Out.HISTORICAL_TICKS)
    session.send(out, request_id, len(seconds), *rows, True)


def _tick(price: Decimal, listing: Listing, second: int, shown: str) -> Iterator[Field]:
    yield from (second, 0)
    if shown == "TRADES":
        yield from (price, 100, listing.primary_exchange or listing.exchange, "")
    elif shown == "BID_ASK":
        yield from (price - listing.min_tick, price + listing.min_tick, 100, 100)
    else:
        yield from (price, 0)


HANDLERS: dict[In, Handler] = {
    In.REQ_HISTORICAL_DATA: req_historical_data,
    In.CANCEL_HISTORICAL_DATA: cancel_historical_data,
    In.REQ_HEAD_TIMESTAMP: req_head_timestamp,
    In.CANCEL_HEAD_TIMESTAMP: cancel_head_timestamp,
    In.REQ_HISTORICAL_TICKS: req_historical_ticks,
}
